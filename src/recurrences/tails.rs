//! The tails beyond the windows of a lane block, merged into the windows' first and last atoms.

use super::lane_block::{LaneBlock, STRIDE};
use super::recurrence::{Atom, PmfRecurrence, Step, common_steps, first_steps, ln, score_step};
use crate::math::lanes::{LANES, Lanes, each};

/// The most terms of an upper tail that are summed for all lanes together. A longer tail is computed lane by lane.
const LONG_TAIL: usize = 10_000;

/// The most terms of one lane's tail, which bounds its time. For longer tails, the sampler uses the tensor graph.
const LONGEST_TAIL: usize = 1 << 16;

/// The log mass above which a long upper tail is computed as one minus the rest of the law. A smaller tail is summed,
/// since the subtraction would lose its digits.
const LEAST_COMPLEMENT: f64 = -4.0;

/// The index of a window's first and last atom in arrays of two.
const FIRST: usize = 0;
const LAST: usize = 1;

/// The partial sums of a tail per lane, relative to the atom that it starts from.
pub(super) struct Sums<const PARAMETERS: usize> {
    /// The last term added; zero once the tail is complete.
    last_term: Lanes<f64>,
    /// The sum of the terms, the first of which is one.
    pub sum: Lanes<f64>,
    /// The change of the scores from the first atom to the last term's.
    scores: [Lanes<f64>; PARAMETERS],
    /// The sum of the terms times the changes of their scores.
    weighted: [Lanes<f64>; PARAMETERS],
}

impl<const PARAMETERS: usize> Sums<PARAMETERS> {
    /// Starts a tail in the lanes that have one.
    #[inline(always)]
    fn start(has_tail: Lanes<bool>) -> Self {
        let zeros = [[0.0; LANES]; PARAMETERS];
        Self { last_term: each(|i| f64::from(has_tail[i])), sum: [1.0; LANES], scores: zeros, weighted: zeros }
    }

    /// Returns whether the tails of all lanes are complete.
    #[inline(always)]
    fn is_complete(&self) -> bool {
        self.last_term.iter().all(|last_term| *last_term == 0.0)
    }

    /// Adds [`STRIDE`] terms per lane, from the ratios of neighbouring terms and the changes of the scores. A complete
    /// lane adds zeros, so that its sum does not depend on the other lanes.
    #[inline(always)]
    fn add(
        &mut self,
        precision: f64,
        ratio: impl Fn(usize, usize) -> f64,
        score_step: impl Fn(usize, usize, usize) -> f64,
    ) {
        let (mut last_term, mut sum, mut last) = (self.last_term, self.sum, [0.0; LANES]);
        for j in 0..STRIDE {
            last = each(|i| ratio(i, j));
            last_term = each(|i| last_term[i] * last[i]);
            sum = each(|i| sum[i] + last_term[i]);
            for p in 0..PARAMETERS {
                let scores = each(|i| self.scores[p][i] + score_step(p, i, j));
                self.weighted[p] = each(|i| self.weighted[p][i] + last_term[i] * scores[i]);
                self.scores[p] = scores;
            }
        }
        self.sum = sum;
        // The rest is at most a geometric series with this ratio, or with a limit that is only slightly larger.
        self.last_term =
            each(|i| if last_term[i] * last[i] > precision * sum[i] * (1.0 - last[i]) { last_term[i] } else { 0.0 });
    }

    /// Returns the tail of each lane, relative to the atom that it starts from.
    #[inline(always)]
    pub fn finish(&self) -> Tail<PARAMETERS> {
        let mut tail_corrections = [[0.0; LANES]; PARAMETERS];
        for (p, tail_corrections) in tail_corrections.iter_mut().enumerate() {
            *tail_corrections = each(|i| self.weighted[p][i] / self.sum[i]);
        }
        Tail { log_weights: each(|i| ln(self.sum[i])), tail_corrections, complete: each(|i| self.last_term[i] == 0.0) }
    }
}

/// The tails of all lanes, relative to the atoms that they start from.
pub(super) struct Tail<const PARAMETERS: usize> {
    /// The logarithm of the tail's mass over the atom's.
    pub log_weights: Lanes<f64>,
    /// The mean change of the scores over the tail.
    pub tail_corrections: [Lanes<f64>; PARAMETERS],
    /// Whether the tail was summed to its end.
    pub complete: Lanes<bool>,
}

impl<const PARAMETERS: usize> Tail<PARAMETERS> {
    /// Merges the tail of a lane into `row`, the row of its [`FIRST`] or [`LAST`] atom as `end` says.
    #[inline(always)]
    fn merge_into(&self, lanes: &mut LaneBlock, row: usize, end: usize, lane: usize) {
        lanes.log_weights[row][lane] += self.log_weights[lane];
        for (corrections, tail_corrections) in lanes.tail_corrections.iter_mut().zip(&self.tail_corrections) {
            corrections[end][lane] = tail_corrections[lane];
        }
    }
}

/// Sums the tails from each lane's first atom downwards, in the lanes whose mean is at or above that atom.
#[inline(always)]
pub(super) fn below<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lanes: &LaneBlock,
    precision: f64,
) -> Sums<PARAMETERS> {
    let mut k = each(|i| lanes.windows[i].0 as f64);
    let mut below = Sums::start(each(|i| k[i] > 0.0 && k[i] <= laws[i].mean()));
    for _ in (0..LONGEST_TAIL).step_by(STRIDE) {
        if below.is_complete() {
            break;
        }
        // Below zero there are no atoms: this and all later terms are zero.
        let inside = |i: usize, j: usize| k[i] > j as f64;
        let step = |i: usize, j: usize| Step::from(if inside(i, j) { k[i] - 1.0 - j as f64 } else { 0.0 });
        below.add(
            precision,
            |i, j| if inside(i, j) { 1.0 / laws[i].ratio(step(i, j)) } else { 0.0 },
            |p, i, j| if inside(i, j) { -laws[i].score_steps(step(i, j))[p] } else { 0.0 },
        );
        k = each(|i| if k[i] > STRIDE as f64 { k[i] - STRIDE as f64 } else { 0.0 });
    }
    below
}

/// Sums the tails from each lane's last atom upwards, in the lanes whose mean is at or below that atom. `shared` states
/// that all lanes have the same window.
#[inline(always)]
pub(super) fn above<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    lanes: &LaneBlock,
    shared: bool,
    precision: f64,
) -> Sums<PARAMETERS> {
    let has_tail = |i: usize| laws[i].highest() != Some(lanes.windows[i].1) && lanes.last_atoms[i] >= laws[i].mean();
    let mut above = Sums::start(each(has_tail));
    let first_steps = first_steps();
    for term in (0..LONG_TAIL).step_by(STRIDE) {
        if above.is_complete() {
            break;
        }
        if shared {
            let steps = common_steps(first_steps, lanes.windows[0].1 + term as i64);
            above.add(precision, |i, j| laws[i].ratio(steps[j]), |p, i, j| score_step(laws, lines, p, i, steps[j]));
        } else {
            let step = |i: usize, j: usize| Step::from(lanes.last_atoms[i] + (term + j) as f64);
            above.add(precision, |i, j| laws[i].ratio(step(i, j)), |p, i, j| score_step(laws, lines, p, i, step(i, j)));
        }
    }
    above
}

/// Merges a lane's tails into its first and last atom: each from the series if it was summed, otherwise as one minus
/// the rest of the law. Returns `None` if a tail has too many terms to be summed.
#[inline(always)]
pub(super) fn merge<L: PmfRecurrence, const PARAMETERS: usize>(
    law: &L,
    lanes: &mut LaneBlock,
    lane: usize,
    below: &Tail<PARAMETERS>,
    above: &Tail<PARAMETERS>,
) -> Option<()> {
    let (lo, hi) = lanes.windows[lane];
    let (first, last) = (lanes.first(lane), lanes.last(lane));
    if lo == hi {
        lanes.log_weights[first][lane] = 0.0;
        // The only atom has probability one: its score becomes zero.
        let scores = law.atom(lo as f64).scores;
        for (corrections, score) in lanes.tail_corrections.iter_mut().zip(scores) {
            corrections[FIRST][lane] = -score;
        }
        return Some(());
    }
    let mean = law.mean();
    // If most of the mass is below the window, the lower tail is one minus the window and the upper tail.
    let most_is_below = lo > 0 && lo as f64 > mean;
    if lo > 0 && !most_is_below {
        if !below.complete[lane] {
            return None;
        }
        below.merge_into(lanes, first, FIRST, lane);
    }
    if law.highest() != Some(hi) {
        if let Some(tail) = law.upper_tail(hi as f64) {
            lanes.put(law, LAST, lane, tail);
        } else if above.complete[lane] && hi as f64 >= mean {
            above.merge_into(lanes, last, LAST, lane);
        } else if most_is_below {
            lanes.put(law, LAST, lane, long_tail(law, hi)?);
        } else {
            let mut rest = complement(law, lanes, lane, first..last);
            if hi as f64 >= mean && rest.log_weight < LEAST_COMPLEMENT {
                rest = long_tail(law, hi)?;
            }
            lanes.put(law, LAST, lane, rest);
        }
    }
    if most_is_below {
        let rest = complement(law, lanes, lane, first + 1..last + 1);
        lanes.put(law, FIRST, lane, rest);
    }
    Some(())
}

/// Sums the mass from atom `from` upwards, with its scores; `from` must lie beyond the mean. Returns `None` if there
/// are more than [`LONGEST_TAIL`] terms.
fn long_tail(law: &impl PmfRecurrence, from: i64) -> Option<Atom> {
    let Atom { log_weight, scores } = law.atom(from as f64);
    let (mut term, mut sum, mut change, mut weighted) = (1.0, 1.0, [0.0; 2], [0.0; 2]);
    for term_number in 0..LONGEST_TAIL {
        let step = Step::from(from as f64 + term_number as f64);
        let ratio = law.ratio(step);
        term *= ratio;
        sum += term;
        let steps = law.score_steps(step);
        for i in 0..2 {
            change[i] += steps[i];
            weighted[i] += term * change[i];
        }
        // The rest is at most a geometric series with the largest later ratio. NaN ends the sum, too.
        let largest = ratio.max(law.ratio_limit());
        let goes_on = term * largest > f64::EPSILON / 4.0 * sum * (1.0 - largest);
        if !goes_on {
            return Some(Atom {
                log_weight: log_weight + ln(sum),
                scores: std::array::from_fn(|i| scores[i] + weighted[i] / sum),
            });
        }
    }
    None
}

/// Computes one minus the mass of `rows`, with its scores. Scores of the first and last atom include their tail
/// corrections.
fn complement(law: &impl PmfRecurrence, lanes: &LaneBlock, lane: usize, rows: std::ops::Range<usize>) -> Atom {
    let (mut mass, mut weighted) = (0.0, [0.0; 2]);
    let k = |row: usize| (lanes.origins[lane] + row as i64) as f64;
    let mut scores = law.atom(k(rows.start)).scores;
    for row in rows {
        let p = f64::exp(lanes.log_weights[row][lane]);
        let steps = law.score_steps(Step::from(k(row)));
        mass += p;
        for i in 0..2 {
            let corrections = &lanes.tail_corrections[i];
            let first = if row == lanes.first(lane) { corrections[FIRST][lane] } else { 0.0 };
            let last = if row == lanes.last(lane) { corrections[LAST][lane] } else { 0.0 };
            weighted[i] += p * (scores[i] + first + last);
            scores[i] += steps[i];
        }
    }
    let rest = (1.0 - mass).max(f64::MIN_POSITIVE);
    Atom { log_weight: (-mass).max(-1.0 + f64::EPSILON / 2.0).ln_1p(), scores: weighted.map(|sum| -sum / rest) }
}

impl LaneBlock {
    /// Sets the log weight and scores of a lane's [`FIRST`] or [`LAST`] atom, as `end` says.
    fn put(&mut self, law: &impl PmfRecurrence, end: usize, lane: usize, atom: Atom) {
        let row = if end == FIRST { self.first(lane) } else { self.last(lane) };
        let scores = law.atom((self.origins[lane] + row as i64) as f64).scores;
        self.log_weights[row][lane] = atom.log_weight;
        for p in 0..2 {
            self.tail_corrections[p][end][lane] = atom.scores[p] - scores[p];
            // Stored, because `score + correction` may cancel.
            self.scores[p][row][lane] = atom.scores[p];
        }
        self.is_replaced[end][lane] = true;
    }
}
