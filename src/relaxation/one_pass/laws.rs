//! Laws as plain numbers: log weights and scores of the atoms of a window, by walking up from atom 0.

use crate::distributions::Parameter;

/// How many terms a tail may have beyond the window before it is taken from the complement.
const LONGEST_TAIL: usize = 10_000;

/// An atom of a law: its log weight, and the derivative of that in each of up to two parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Atom {
    /// `log P(X = k)`.
    pub log_weight: f64,
    /// `d log P(X = k) / d parameter`.
    pub scores: [f64; 2],
}

/// A law on `0, 1, ...` as plain numbers: what a family writes so that the one-pass sampler draws from it.
pub trait Walk {
    /// The atom 0.
    fn start(&self) -> Atom;

    /// From the scores at `k` to those at `k + 1`; returns `P(X = k + 1) / P(X = k)`.
    fn step(&self, k: f64, scores: &mut [f64; 2]) -> f64;

    /// The mean, which tells on which side of the window most of the mass lies.
    fn mean(&self) -> f64;

    /// The last atom, if there is one.
    fn highest(&self) -> Option<i64> {
        None
    }

    /// `log P(X = k + 1)` from the atom before and the ratio; overridden where there is a formula without a logarithm.
    #[inline(always)]
    fn advance(&self, log_weight: f64, ratio: f64, _k: f64) -> f64 {
        log_weight + ratio.ln()
    }
}

/// Log weights and scores of the atoms `lo ..= hi`, with the tails merged into the ends: what
/// [`TruncatedDistribution`](crate::TruncatedDistribution) computes as tensors.
#[inline(always)]
pub(super) fn fill(
    law: &impl Walk,
    (lo, hi): (i64, i64),
    precision: f64,
    log_weights: &mut [f64],
    scores: &mut [Vec<f64>; 2],
) {
    let mut atom = law.start();
    // What lies at and below the first atom joins it.
    let (mut below, mut below_scores) = (0.0, [0.0; 2]);
    for k in 0..=hi {
        if k <= lo && lo > 0 {
            let p = atom.log_weight.exp();
            below += p;
            for (sum, score) in below_scores.iter_mut().zip(atom.scores) {
                *sum += p * score;
            }
        }
        if k >= lo {
            let i = (k - lo) as usize;
            log_weights[i] = atom.log_weight;
            scores[0][i] = atom.scores[0];
            scores[1][i] = atom.scores[1];
        }
        if k < hi {
            let ratio = law.step(k as f64, &mut atom.scores);
            atom.log_weight = law.advance(atom.log_weight, ratio, k as f64);
        }
    }
    if lo == hi {
        (log_weights[0], scores[0][0], scores[1][0]) = (0.0, 0.0, 0.0);
        return;
    }
    if lo > 0 && below > 0.0 {
        log_weights[0] = below.ln();
        (scores[0][0], scores[1][0]) = (below_scores[0] / below, below_scores[1] / below);
    }
    if law.highest() == Some(hi) {
        return;
    }
    let last = (hi - lo) as usize;
    let tail = if hi as f64 >= law.mean() { tail_by_series(law, atom, hi, precision) } else { None };
    let tail = tail.unwrap_or_else(|| {
        let (mut body, mut body_scores) = (0.0, [0.0; 2]);
        for i in 0..last {
            let p = log_weights[i].exp();
            body += p;
            body_scores[0] += p * scores[0][i];
            body_scores[1] += p * scores[1][i];
        }
        let tail = (1.0 - body).max(f64::MIN_POSITIVE);
        Atom { log_weight: (-body).max(-1.0 + f64::EPSILON / 2.0).ln_1p(), scores: body_scores.map(|sum| -sum / tail) }
    });
    log_weights[last] = tail.log_weight;
    (scores[0][last], scores[1][last]) = (tail.scores[0], tail.scores[1]);
}

/// The tail that starts at an atom, relative to it, term by term; nothing where that is too long.
#[inline(always)]
fn tail_by_series(law: &impl Walk, first: Atom, hi: i64, precision: f64) -> Option<Atom> {
    let (mut term, mut scores) = (1.0, first.scores);
    let (mut sum, mut weighted) = (1.0, first.scores);
    let mut k = hi;
    for _ in 0..LONGEST_TAIL {
        let ratio = law.step(k as f64, &mut scores);
        k += 1;
        term *= ratio;
        sum += term;
        weighted[0] += term * scores[0];
        weighted[1] += term * scores[1];
        // What follows is at most a geometric series of this ratio, or of one that rises to a limit not far above.
        if term <= precision * sum * (1.0 - ratio) {
            return Some(Atom { log_weight: first.log_weight + sum.ln(), scores: weighted.map(|w| w / sum) });
        }
        if law.highest() == Some(k) {
            return Some(Atom { log_weight: first.log_weight + sum.ln(), scores: weighted.map(|w| w / sum) });
        }
    }
    None
}

/// All laws of a batch, one a row.
pub trait Rows: Send + Sync {
    /// Log weights and scores of row `row` in the window `lo ..= hi`, with tails merged to this relative precision.
    fn fill(&self, row: usize, window: (i64, i64), precision: f64, log_weights: &mut [f64], scores: &mut [Vec<f64>; 2]);
}

/// A batch of walks made row by row from the values of one or two parameters.
pub(crate) struct Walks<F> {
    values: Vec<Vec<f64>>,
    law: F,
}

impl<F, L> Walks<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: Walk,
{
    /// From parameters on the CPU, contiguous or not.
    pub fn new(parameters: &[Parameter], law: F) -> Option<Self> {
        let values =
            parameters.iter().map(|p| Vec::try_from(p.value.detach().reshape([-1])).ok()).collect::<Option<_>>()?;
        Some(Self { values, law })
    }
}

impl<F, L> Rows for Walks<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: Walk,
{
    #[inline(always)]
    fn fill(
        &self,
        row: usize,
        window: (i64, i64),
        precision: f64,
        log_weights: &mut [f64],
        scores: &mut [Vec<f64>; 2],
    ) {
        let value = |i: usize| self.values.get(i).map_or(0.0, |values| values[row]);
        fill(&(self.law)([value(0), value(1)]), window, precision, log_weights, scores);
    }
}
