//! Laws as plain numbers: log weights and scores of the atoms of a window, by walking from one atom to the next.

use super::math::{LANES, Lanes, Real, each};
use super::tile::{STRIDE, Tile};
use super::windows::own_window;
use crate::distributions::Parameter;
use std::marker::PhantomData;
use std::sync::OnceLock;
use tch::Tensor;

/// How many terms a tail may have beyond the window before it is taken from the complement.
const LONGEST_TAIL: usize = 10_000;

/// Sums of ratios gather rounding errors, of a part in 10^16 of a log weight each; a closed form has one of them.
const ROWS_BETWEEN_CLOSED_FORMS: usize = 128;

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
    /// Whether the scores of each parameter are a line in `k`: their steps are the same everywhere.
    const LINES: [bool; 2] = [false; 2];

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
        let shared = tile.is_shared;
        let mut lines = [[0.0; LANES]; PARAMETERS];
        for (p, line) in lines.iter_mut().enumerate() {
            *line = each(|i| laws[i].score_steps(Step::from(0.0))[p]);
            tile.lines[p] = L::LINES[p].then_some(*line);
        }
        walk::<L, PARAMETERS>(&laws, &lines, tile, shared);
        let (lo, hi) = tile.windows[0];
        let above = above::<L, PARAMETERS>(&laws, &lines, tile, shared, precision).finish();
        let usual =
            |i: usize| above.complete[i] && hi as f64 >= laws[i].mean() && laws[i].upper_tail(hi as f64).is_none();
        if shared && lo == 0 && hi > 0 && (0..LANES).all(usual) {
            // Most often: a window from 0 to the far side of the mean. Where there is nothing above, the series is its first term.
            let last = tile.last(0);
            for i in 0..LANES {
                tile.log_weights[last][i] += above.log_weights[i];
            }
            for p in 0..PARAMETERS {
                tile.bends[p] = [[0.0; LANES], above.bends[p]];
            }
        } else {
            tile.clear_outside();
            tile.bends = [[[0.0; LANES]; 2]; 2];
            let below = below::<L, PARAMETERS>(&laws, tile, precision).finish();
            for lane in 0..LANES {
                merge(&laws[lane], tile, lane, &below, &above);
            }
        }
        for p in 0..PARAMETERS {
            if tile.keeps::<L>(p) {
                for lane in 0..LANES {
                    let (first, last) = (tile.first(lane), tile.last(lane));
                    tile.scores[p][first][lane] += tile.bends[p][0][lane];
                    tile.scores[p][last][lane] += tile.bends[p][1][lane];
                }
            }
        }
    }
}

/// The interior: closed forms now and then, ratios from there.
#[inline(always)]
fn walk<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    tile: &mut Tile,
    shared: bool,
) {
    let first_steps = first_steps();
    let (mut log_weights, mut scores) = ([0.0; LANES], [[0.0; LANES]; PARAMETERS]);
    for start in (0..tile.rows).step_by(STRIDE) {
        let k = each(|i| (tile.origins[i] + start as i64) as f64);
        if start % ROWS_BETWEEN_CLOSED_FORMS == 0 {
            let atoms: Lanes<Atom> = each(|i| laws[i].atom(k[i]));
            log_weights = each(|i| atoms[i].log_weight);
            for (p, scores) in scores.iter_mut().enumerate() {
                *scores = each(|i| atoms[i].scores[p]);
            }
        }
        if shared {
            let steps = common_steps(first_steps, tile.origins[0] + start as i64);
            stride(laws, lines, tile, start, |_, j| steps[j], &mut log_weights, &mut scores);
        } else {
            stride(laws, lines, tile, start, |i, j| Step::from(k[i] + j as f64), &mut log_weights, &mut scores);
        }
    }
}

/// A few rows from this one on, and the log weights and scores of the row after them.
#[inline(always)]
fn stride<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    tile: &mut Tile,
    start: usize,
    step: impl Fn(usize, usize) -> Step,
    log_weights: &mut Lanes<f64>,
    scores: &mut [Lanes<f64>; PARAMETERS],
) {
    if let Some(rows) = tile.log_weights[start..].first_chunk_mut::<STRIDE>() {
        for i in 0..LANES {
            for j in 0..STRIDE {
                rows[j][i] = log_weights[i];
                log_weights[i] += laws[i].log_ratio(step(i, j));
            }
        }
    }
    for p in 0..PARAMETERS {
        if tile.keeps::<L>(p)
            && let Some(rows) = tile.scores[p][start..].first_chunk_mut::<STRIDE>()
        {
            for i in 0..LANES {
                for j in 0..STRIDE {
                    rows[j][i] = scores[p][i];
                    scores[p][i] += score_step(laws, lines, p, i, step(i, j));
                }
            }
        }
    }
}

/// The step of a score, looked up where it is the same everywhere.
#[inline(always)]
fn score_step<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    p: usize,
    lane: usize,
    step: Step,
) -> f64 {
    if L::LINES[p] { lines[p][lane] } else { laws[lane].score_steps(step)[p] }
}

/// The steps from atom `k` on that all lanes take.
#[inline(always)]
fn common_steps(first_steps: &[Step], k: i64) -> [Step; STRIDE] {
    match first_steps.get(k as usize..).and_then(|steps| steps.first_chunk()) {
        Some(steps) => *steps,
        None => std::array::from_fn(|j| Step::from(k as f64 + j as f64)),
    }
}

/// A tail of each lane, relative to the atom that it starts from; `left` is the last term, zero where the tail is complete.
struct Sums<const PARAMETERS: usize> {
    left: Lanes<f64>,
    sum: Lanes<f64>,
    scores: [Lanes<f64>; PARAMETERS],
    weighted: [Lanes<f64>; PARAMETERS],
}

impl<const PARAMETERS: usize> Sums<PARAMETERS> {
    #[inline(always)]
    fn start(open: Lanes<bool>) -> Self {
        let zeros = [[0.0; LANES]; PARAMETERS];
        Self { left: each(|i| f64::from(open[i])), sum: [1.0; LANES], scores: zeros, weighted: zeros }
    }

    #[inline(always)]
    fn is_complete(&self) -> bool {
        self.left.iter().all(|left| *left == 0.0)
    }

    /// The next terms of each lane, by the ratio of each to the one before and the change of the scores. Once what follows is negligible,
    /// terms are zero, so that how long other lanes go on changes nothing.
    #[inline(always)]
    fn add(
        &mut self,
        precision: f64,
        ratio: impl Fn(usize, usize) -> f64,
        score_step: impl Fn(usize, usize, usize) -> f64,
    ) {
        for i in 0..LANES {
            let (mut left, mut sum, mut last) = (self.left[i], self.sum[i], 0.0);
            for j in 0..STRIDE {
                last = ratio(i, j);
                left *= last;
                sum += left;
                for p in 0..PARAMETERS {
                    self.scores[p][i] += score_step(p, i, j);
                    self.weighted[p][i] += left * self.scores[p][i];
                }
            }
            self.sum[i] = sum;
            // What follows is at most a geometric series of this ratio, or of one that rises to a limit not far above.
            self.left[i] = if left > precision * sum * (1.0 - last) { left } else { 0.0 };
        }
    }

    /// The tail of each lane, relative to the atom that it starts from: its log weight and scores, and whether it is complete.
    #[inline(always)]
    fn finish(&self) -> Tail<PARAMETERS> {
        let mut bends = [[0.0; LANES]; PARAMETERS];
        for (p, bends) in bends.iter_mut().enumerate() {
            *bends = each(|i| self.weighted[p][i] / self.sum[i]);
        }
        Tail { log_weights: each(|i| ln(self.sum[i])), bends, complete: each(|i| self.left[i] == 0.0) }
    }
}

struct Tail<const PARAMETERS: usize> {
    log_weights: Lanes<f64>,
    bends: [Lanes<f64>; PARAMETERS],
    complete: Lanes<bool>,
}

impl<const PARAMETERS: usize> Tail<PARAMETERS> {
    /// Merges the tail of a lane into the row that it starts from, at the first or the last end.
    #[inline(always)]
    fn merge_into(&self, tile: &mut Tile, row: usize, end: usize, lane: usize) {
        tile.log_weights[row][lane] += self.log_weights[lane];
        for (ends, bends) in tile.bends.iter_mut().zip(&self.bends) {
            ends[end][lane] = bends[lane];
        }
    }
}

/// What lies at and below each lane's first atom, by series where most of the mass is above.
#[inline(always)]
fn below<L: Walk, const PARAMETERS: usize>(laws: &Lanes<L>, tile: &Tile, precision: f64) -> Sums<PARAMETERS> {
    let mut k = each(|i| tile.windows[i].0 as f64);
    let mut below = Sums::start(each(|i| k[i] > 0.0 && k[i] <= laws[i].mean()));
    while !below.is_complete() {
        // At zero there is no further step; the term is made zero for good.
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

/// What lies at and above each lane's last atom, by series where most of the mass is below.
#[inline(always)]
fn above<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    tile: &Tile,
    shared: bool,
    precision: f64,
) -> Sums<PARAMETERS> {
    let mut k = each(|i| tile.windows[i].1 as f64);
    let mut above = Sums::start(each(|i| laws[i].highest() != Some(tile.windows[i].1) && k[i] >= laws[i].mean()));
    let first_steps = first_steps();
    for term in (0..LONGEST_TAIL).step_by(STRIDE) {
        if above.is_complete() {
            break;
        }
        if shared {
            let steps = common_steps(first_steps, tile.windows[0].1 + term as i64);
            above.add(precision, |i, j| laws[i].ratio(steps[j]), |p, i, j| score_step(laws, lines, p, i, steps[j]));
        } else {
            let step = |i: usize, j: usize| Step::from(k[i] + j as f64);
            above.add(precision, |i, j| laws[i].ratio(step(i, j)), |p, i, j| score_step(laws, lines, p, i, step(i, j)));
        }
        k = each(|i| k[i] + STRIDE as f64);
    }
    above
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
        tile.log_weights[first][lane] = 0.0;
        // There is no gradient where there is no choice.
        let scores = law.atom(lo as f64).scores;
        for (ends, score) in tile.bends.iter_mut().zip(scores) {
            ends[0][lane] = -score;
        }
        return;
    }
    let mean = law.mean();
    let opens_below = lo > 0;
    if opens_below && lo as f64 <= mean {
        below.merge_into(tile, first, 0, lane);
    }
    if law.highest() != Some(hi) {
        if let Some(tail) = law.upper_tail(hi as f64) {
            tile.put(law, 1, lane, tail);
        } else if above.complete[lane] && hi as f64 >= mean {
            above.merge_into(tile, last, 1, lane);
        } else {
            let rest = complement(law, tile, lane, first..last);
            tile.put(law, 1, lane, rest);
        }
    }
    if opens_below && lo as f64 > mean {
        let rest = complement(law, tile, lane, first + 1..last + 1);
        tile.put(law, 0, lane, rest);
    }
}

/// What these rows leave of the mass, as an atom.
fn complement(law: &impl Walk, tile: &Tile, lane: usize, rows: std::ops::Range<usize>) -> Atom {
    let (mut body, mut weighted) = (0.0, [0.0; 2]);
    let k = |row: usize| (tile.origins[lane] + row as i64) as f64;
    let mut scores = law.atom(k(rows.start)).scores;
    for row in rows {
        let p = f64::exp(tile.log_weights[row][lane]);
        let steps = law.score_steps(Step::from(k(row)));
        body += p;
        for i in 0..2 {
            let ends = &tile.bends[i];
            let first = if row == tile.first(lane) { ends[0][lane] } else { 0.0 };
            let last = if row == tile.last(lane) { ends[1][lane] } else { 0.0 };
            weighted[i] += p * (scores[i] + first + last);
            scores[i] += steps[i];
        }
    }
    let rest = (1.0 - body).max(f64::MIN_POSITIVE);
    Atom { log_weight: (-body).max(-1.0 + f64::EPSILON / 2.0).ln_1p(), scores: weighted.map(|sum| -sum / rest) }
}

impl Tile {
    /// Whether the scores of a parameter are kept.
    #[inline(always)]
    fn keeps<L: Walk>(&self, p: usize) -> bool {
        self.keeps_lines || !L::LINES[p]
    }

    /// Puts an atom at the first or the last end of a lane.
    fn put(&mut self, law: &impl Walk, end: usize, lane: usize, atom: Atom) {
        let row = if end == 0 { self.first(lane) } else { self.last(lane) };
        let scores = law.atom((self.origins[lane] + row as i64) as f64).scores;
        self.log_weights[row][lane] = atom.log_weight;
        for p in 0..2 {
            self.bends[p][end][lane] = atom.scores[p] - scores[p];
        }
    }
}
