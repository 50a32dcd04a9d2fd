//! Laws as plain numbers: log weights and scores of the atoms of a window, by walking from one atom to the next.

use super::math::{LANES, Lanes, Real, each};
use super::tile::Tile;
use super::windows::own_window;
use crate::distributions::Parameter;
use std::marker::PhantomData;
use std::sync::OnceLock;
use tch::Tensor;

/// How many terms a tail may have beyond the window before it is taken from the complement.
const LONGEST_TAIL: usize = 10_000;

/// Sums of ratios gather rounding errors, of a part in 10^16 of a log weight each; a closed form has one of them.
const ROWS_BETWEEN_CLOSED_FORMS: usize = 128;

/// Terms of a tail between two looks at whether all lanes have enough.
const TERMS_BETWEEN_LOOKS: usize = 4;

/// An atom of a law: its log weight, and the derivative of that in each of up to two parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Atom {
    /// `log P(X = k)`.
    pub log_weight: f64,
    /// `d log P(X = k) / d parameter`.
    pub scores: [f64; 2],
}

/// The step from an atom `k` to the next.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The atom `k` that is left.
    pub from: f64,
    /// `1 / (k + 1)`.
    pub inverse: f64,
    /// `log(k + 1)`.
    pub log: f64,
}

impl Step {
    #[inline(always)]
    pub(super) fn from(k: f64) -> Self {
        Self { from: k, inverse: 1.0 / (k + 1.0), log: Real::ln(k + 1.0) }
    }
}

/// The first steps, made once.
fn first_steps() -> &'static [Step] {
    static STEPS: OnceLock<Vec<Step>> = OnceLock::new();
    STEPS.get_or_init(|| (0..4096).map(|k| Step::from(f64::from(k))).collect())
}

/// The natural logarithm of a positive number, without the branches that keep a loop from becoming vector instructions.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    Real::ln(x)
}

/// A law on `0, 1, ...` as plain numbers: what a family writes so that the one-pass sampler draws from it. Ratios of neighbours must fall
/// with `k`, or rise to a limit.
pub trait Walk: Copy {
    /// The atom `k`, by a closed form.
    fn atom(&self, k: f64) -> Atom;

    /// `P(X = k + 1) / P(X = k)`.
    fn ratio(&self, step: Step) -> f64;

    /// The logarithm of the ratio; [`ln`] goes with it.
    fn log_ratio(&self, step: Step) -> f64;

    /// The scores at `k + 1` less those at `k`.
    fn score_steps(&self, step: Step) -> [f64; 2];

    /// The mean, which tells on which side of the window most of the mass lies.
    fn mean(&self) -> f64;

    /// The last atom, if there is one.
    fn highest(&self) -> Option<i64> {
        None
    }

    /// What the ratios rise to, where they rise.
    fn ratio_limit(&self) -> f64 {
        0.0
    }

    /// `P(X >= k)` as an atom, where it has a closed form.
    fn upper_tail(&self, _k: f64) -> Option<Atom> {
        None
    }
}

/// All laws of a batch, one a latent.
pub trait Rows: Send + Sync {
    /// The smallest window around the mean of this latent's law with at most half of `tail_mass` beyond each end; nothing where it has more
    /// than `widest` atoms.
    fn window(&self, latent: usize, tail_mass: f64, widest: i64) -> Option<(i64, i64)>;

    /// Log weights and scores of a tile's latents in their windows, with tails merged to this relative precision.
    fn fill(&self, tile: &mut Tile, precision: f64);
}

/// A batch of walks made latent by latent from the values of one or two parameters.
#[derive(Debug)]
pub struct Walks<F> {
    values: Vec<Vec<f64>>,
    parameters: usize,
    law: F,
}

impl<F, L> Walks<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: Walk,
{
    /// From one or two parameters without dimensions of their own; nothing where libtorch does not hand over their values.
    pub fn new(parameters: &[Parameter], law: F) -> Option<Self> {
        let columns: Vec<&Tensor> = parameters.iter().map(|parameter| &parameter.value).collect();
        Self::of_columns(&columns, parameters.len(), law)
    }

    /// From columns of the batch shape, which need not be the parameters themselves: functions of them that libtorch computes faster than
    /// one at a time.
    pub(crate) fn of_columns(columns: &[&Tensor], parameters: usize, law: F) -> Option<Self> {
        let values = columns.iter().map(|column| Vec::try_from(column.detach().reshape([-1])).ok());
        Some(Self { values: values.collect::<Option<_>>()?, parameters, law })
    }

    #[inline(always)]
    fn law(&self, latent: usize) -> L {
        let value = |i: usize| self.values.get(i).map_or(0.0, |values| values[latent]);
        (self.law)([value(0), value(1)])
    }
}

impl<F, L> Rows for Walks<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: Walk,
{
    fn window(&self, latent: usize, tail_mass: f64, widest: i64) -> Option<(i64, i64)> {
        own_window(&self.law(latent), tail_mass, widest)
    }

    fn fill(&self, tile: &mut Tile, precision: f64) {
        if self.parameters > 1 {
            pulp::Arch::new().dispatch(Fill::<F, L, 2> { walks: self, tile, precision, law: PhantomData });
        } else {
            pulp::Arch::new().dispatch(Fill::<F, L, 1> { walks: self, tile, precision, law: PhantomData });
        }
    }
}

struct Fill<'a, F, L, const PARAMETERS: usize> {
    walks: &'a Walks<F>,
    tile: &'a mut Tile,
    precision: f64,
    law: PhantomData<L>,
}

impl<F, L, const PARAMETERS: usize> pulp::WithSimd for Fill<'_, F, L, PARAMETERS>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: Walk,
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { walks, tile, precision, .. } = self;
        let mut laws = [walks.law(tile.latents[0]); LANES];
        for (law, &latent) in laws.iter_mut().zip(&tile.latents) {
            *law = walks.law(latent);
        }
        let shared = tile.is_shared();
        walk::<L, PARAMETERS>(&laws, tile, shared);
        let [below, above] = tails::<L, PARAMETERS>(&laws, tile, shared, precision);
        let (below, above) = (below.finish(), above.finish());
        let (lo, hi) = tile.windows[0];
        let usual =
            |i: usize| above.complete[i] && hi as f64 >= laws[i].mean() && laws[i].upper_tail(hi as f64).is_none();
        if shared && lo == 0 && hi > 0 && (0..LANES).all(usual) {
            // Most often: a window from 0 to the far side of the mean. Where there is nothing above, the series is its first term.
            let last = tile.last(0);
            for lane in 0..LANES {
                above.merge_into(tile, last, lane);
            }
            return;
        }
        tile.clear_outside();
        for lane in 0..LANES {
            merge(&laws[lane], tile, lane, &below, &above);
        }
    }
}

/// The interior: closed forms now and then, ratios from there.
#[inline(always)]
fn walk<L: Walk, const PARAMETERS: usize>(laws: &Lanes<L>, tile: &mut Tile, shared: bool) {
    let first_steps = first_steps();
    let mut k = each(|i| tile.origins[i] as f64);
    let (mut log_weights, mut scores) = ([0.0; LANES], [[0.0; LANES]; PARAMETERS]);
    for row in 0..tile.rows {
        if row % ROWS_BETWEEN_CLOSED_FORMS == 0 {
            let atoms: Lanes<Atom> = each(|i| laws[i].atom(k[i]));
            log_weights = each(|i| atoms[i].log_weight);
            for (p, scores) in scores.iter_mut().enumerate() {
                *scores = each(|i| atoms[i].scores[p]);
            }
        }
        tile.log_weights[row] = log_weights;
        for (all, scores) in tile.scores.iter_mut().zip(&scores) {
            all[row] = *scores;
        }
        if shared {
            let step = common_step(first_steps, k[0]);
            advance(laws, |_| step, &mut log_weights, &mut scores);
        } else {
            advance(laws, |i| Step::from(k[i]), &mut log_weights, &mut scores);
        }
        for i in 0..LANES {
            k[i] += 1.0;
        }
    }
}
/// Log weights and scores of the next row.
#[inline(always)]
fn advance<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    step: impl Fn(usize) -> Step,
    log_weights: &mut Lanes<f64>,
    scores: &mut [Lanes<f64>; PARAMETERS],
) {
    for i in 0..LANES {
        log_weights[i] += laws[i].log_ratio(step(i));
        let steps = laws[i].score_steps(step(i));
        for p in 0..PARAMETERS {
            scores[p][i] += steps[p];
        }
    }
}

#[inline(always)]
fn common_step(first_steps: &[Step], k: f64) -> Step {
    first_steps.get(k as usize).copied().unwrap_or_else(|| Step::from(k))
}

/// A tail of each lane, relative to the atom it starts from; `left` is the last term, zero where the tail is complete.
struct Sums<const PARAMETERS: usize> {
    left: Lanes<f64>,
    sum: Lanes<f64>,
    scores: [Lanes<f64>; PARAMETERS],
    weighted: [Lanes<f64>; PARAMETERS],
}

impl<const PARAMETERS: usize> Sums<PARAMETERS> {
    #[inline(always)]
    fn start(tile: &Tile, rows: Lanes<usize>, open: Lanes<bool>) -> Self {
        let mut scores = [[0.0; LANES]; PARAMETERS];
        for (p, scores) in scores.iter_mut().enumerate() {
            *scores = each(|i| tile.scores[p][rows[i]][i]);
        }
        Self { left: each(|i| f64::from(open[i])), sum: [1.0; LANES], scores, weighted: scores }
    }

    #[inline(always)]
    fn is_complete(&self) -> bool {
        self.left.iter().all(|left| *left == 0.0)
    }

    /// The next term of each lane, by the ratio to the last and the change of the scores. Once what follows is negligible, terms are zero,
    /// so that how long other lanes go on changes nothing.
    #[inline(always)]
    fn add(&mut self, precision: f64, term: impl Fn(usize) -> (f64, [f64; 2])) {
        for i in 0..LANES {
            let (ratio, steps) = term(i);
            let left = self.left[i] * ratio;
            self.sum[i] += left;
            for p in 0..PARAMETERS {
                self.scores[p][i] += steps[p];
                self.weighted[p][i] += left * self.scores[p][i];
            }
            // What follows is at most a geometric series of this ratio, or of one that rises to a limit not far above.
            self.left[i] = if left > precision * self.sum[i] * (1.0 - ratio) { left } else { 0.0 };
        }
    }

    /// The tail of each lane, relative to the atom that it starts from: its log weight and scores, and whether it is complete.
    #[inline(always)]
    fn finish(&self) -> Tail<PARAMETERS> {
        let mut scores = [[0.0; LANES]; PARAMETERS];
        for (p, scores) in scores.iter_mut().enumerate() {
            *scores = each(|i| self.weighted[p][i] / self.sum[i]);
        }
        Tail { log_weights: each(|i| ln(self.sum[i])), scores, complete: each(|i| self.left[i] == 0.0) }
    }
}

struct Tail<const PARAMETERS: usize> {
    log_weights: Lanes<f64>,
    scores: [Lanes<f64>; PARAMETERS],
    complete: Lanes<bool>,
}

impl<const PARAMETERS: usize> Tail<PARAMETERS> {
    /// Merges the tail of a lane into the row that it starts from.
    #[inline(always)]
    fn merge_into(&self, tile: &mut Tile, row: usize, lane: usize) {
        tile.log_weights[row][lane] += self.log_weights[lane];
        for (all, scores) in tile.scores.iter_mut().zip(&self.scores) {
            all[row][lane] = scores[lane];
        }
    }
}

/// What lies at and below each lane's first atom, and at and above its last, by series where most of the mass is on the other side.
#[inline(always)]
fn tails<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    tile: &Tile,
    shared: bool,
    precision: f64,
) -> [Sums<PARAMETERS>; 2] {
    let means: Lanes<f64> = each(|i| laws[i].mean());
    let mut k = each(|i| tile.windows[i].0 as f64);
    let open = each(|i| k[i] > 0.0 && k[i] <= means[i]);
    let mut below = Sums::start(tile, each(|i| tile.first(i)), open);
    while !below.is_complete() {
        below.add(precision, |i| {
            // At zero there is no further step; the term is made zero for good.
            let inside = k[i] > 0.0;
            let step = Step::from(if inside { k[i] - 1.0 } else { 0.0 });
            let steps = laws[i].score_steps(step);
            if inside { (1.0 / laws[i].ratio(step), [-steps[0], -steps[1]]) } else { (0.0, [0.0; 2]) }
        });
        k = each(|i| if k[i] > 0.0 { k[i] - 1.0 } else { 0.0 });
    }

    let mut k = each(|i| tile.windows[i].1 as f64);
    let open = each(|i| laws[i].highest() != Some(tile.windows[i].1) && k[i] >= means[i]);
    let mut above = Sums::start(tile, each(|i| tile.last(i)), open);
    let first_steps = first_steps();
    for term in 0..LONGEST_TAIL {
        if term % TERMS_BETWEEN_LOOKS == 0 && above.is_complete() {
            break;
        }
        if shared {
            let step = common_step(first_steps, k[0]);
            above.add(precision, |i| (laws[i].ratio(step), laws[i].score_steps(step)));
        } else {
            above.add(precision, |i| (laws[i].ratio(Step::from(k[i])), laws[i].score_steps(Step::from(k[i]))));
        }
        k = each(|i| k[i] + 1.0);
    }
    [below, above]
}

/// Merges a lane's tails into its ends: series where they were summed, else what the rest of the law leaves.
#[inline(always)]
fn merge<L: Walk, const PARAMETERS: usize>(
    law: &L,
    tile: &mut Tile,
    lane: usize,
    below: &Tail<PARAMETERS>,
    above: &Tail<PARAMETERS>,
) {
    let (lo, hi) = tile.windows[lane];
    let (first, last) = (tile.first(lane), tile.last(lane));
    if lo == hi {
        tile.put(first, lane, Atom::default());
        return;
    }
    let mean = law.mean();
    let opens_below = lo > 0;
    if opens_below && lo as f64 <= mean {
        below.merge_into(tile, first, lane);
    }
    if law.highest() != Some(hi) {
        if let Some(tail) = law.upper_tail(hi as f64) {
            tile.put(last, lane, tail);
        } else if above.complete[lane] && hi as f64 >= mean {
            above.merge_into(tile, last, lane);
        } else {
            let rest = complement(tile, lane, first..last);
            tile.put(last, lane, rest);
        }
    }
    if opens_below && lo as f64 > mean {
        let rest = complement(tile, lane, first + 1..last + 1);
        tile.put(first, lane, rest);
    }
}

/// What these rows leave of the mass, as an atom.
fn complement(tile: &Tile, lane: usize, rows: std::ops::Range<usize>) -> Atom {
    let (mut body, mut weighted) = (0.0, [0.0; 2]);
    for row in rows {
        let p = f64::exp(tile.log_weights[row][lane]);
        body += p;
        weighted[0] += p * tile.scores[0][row][lane];
        weighted[1] += p * tile.scores[1][row][lane];
    }
    let rest = (1.0 - body).max(f64::MIN_POSITIVE);
    Atom { log_weight: (-body).max(-1.0 + f64::EPSILON / 2.0).ln_1p(), scores: weighted.map(|sum| -sum / rest) }
}

impl Tile {
    fn put(&mut self, row: usize, lane: usize, atom: Atom) {
        self.log_weights[row][lane] = atom.log_weight;
        self.scores[0][row][lane] = atom.scores[0];
        self.scores[1][row][lane] = atom.scores[1];
    }
}
