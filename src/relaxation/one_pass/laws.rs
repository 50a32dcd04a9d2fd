//! Laws as plain numbers: log weights and scores of the atoms of a window, by walking from one atom to the next.

use super::math::{LANES, Lanes, each, ln64};
use super::tails::{above, below, merge};
use super::tile::{STRIDE, Tile};
use super::windows::own_window;
use crate::distributions::Parameter;
use crate::threads;
use std::marker::PhantomData;
use std::sync::OnceLock;

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
        Self { from: k, inverse: 1.0 / (k + 1.0), log: ln64(k + 1.0) }
    }
}

/// The first steps, made once.
pub(super) fn first_steps() -> &'static [Step] {
    static STEPS: OnceLock<Vec<Step>> = OnceLock::new();
    STEPS.get_or_init(|| (0..4096).map(|k| Step::from(f64::from(k))).collect())
}

/// The natural logarithm of a positive number, without the branches that keep a loop from becoming vector instructions.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    ln64(x)
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
        let values = parameters.iter().map(|parameter| Vec::try_from(parameter.value.detach().reshape([-1])).ok());
        Some(Self { values: values.collect::<Option<_>>()?, parameters: parameters.len(), law })
    }

    /// Hands the law the logarithm of its only parameter, a positive number, beside it: in one go, which costs less than one at a time.
    #[must_use]
    pub(crate) fn with_logs(mut self) -> Self {
        /// Numbers that a thread takes at a time.
        const AT_A_TIME: usize = 4096;
        let mut logs = self.values[0].clone();
        let parts = logs.chunks_mut(AT_A_TIME).collect();
        threads::run(parts, |_, part| pulp::Arch::new().dispatch(Logs(part)));
        self.values.push(logs);
        self
    }

    fn law(&self, latent: usize) -> L {
        let value = |i: usize| self.values.get(i).map_or(0.0, |values| values[latent]);
        (self.law)([value(0), value(1)])
    }

    /// The laws of a tile's lanes.
    #[inline(always)]
    fn laws(&self, tile: &Tile) -> Lanes<L> {
        let mut columns = [[0.0; LANES]; 2];
        let follow = tile.follow();
        for (column, values) in columns.iter_mut().zip(&self.values) {
            match values.get(tile.latents[0]..).and_then(|values| values.first_chunk()) {
                Some(values) if follow => *column = *values,
                _ => *column = each(|i| values[tile.latents[i]]),
            }
        }
        let mut laws = [(self.law)([columns[0][0], columns[1][0]]); LANES];
        for i in 1..LANES {
            laws[i] = (self.law)([columns[0][i], columns[1][i]]);
        }
        laws
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

/// Positive numbers, of which the logarithms take the place.
struct Logs<'a>(&'a mut [f64]);

impl pulp::WithSimd for Logs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for x in self.0 {
            *x = ln64(if *x > f64::MIN_POSITIVE { *x } else { f64::MIN_POSITIVE });
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
        let laws = walks.laws(tile);
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
            let row = &mut tile.log_weights[last];
            *row = each(|i| row[i] + above.log_weights[i]);
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
    let (rows, starts, origin) = (tile.rows, tile.starts, tile.origins[0]);
    for block in (0..rows).step_by(ROWS_BETWEEN_CLOSED_FORMS) {
        let (mut log_weights, mut scores) = ([0.0; LANES], [[0.0; LANES]; PARAMETERS]);
        if shared && origin == 0 && block == 0 {
            // At zero, where most windows start, closed forms are plain enough for vectors.
            closed_forms(laws, tile, |_| 0.0, &mut log_weights, &mut scores);
        } else {
            closed_forms(laws, tile, |i| starts[i] + block as f64, &mut log_weights, &mut scores);
        }
        for start in (block..rows.min(block + ROWS_BETWEEN_CLOSED_FORMS)).step_by(STRIDE) {
            if shared {
                let steps = common_steps(first_steps, origin + start as i64);
                stride(laws, lines, tile, start, |_, j| steps[j], &mut log_weights, &mut scores);
            } else {
                let step = |i: usize, j: usize| Step::from(starts[i] + (start + j) as f64);
                stride(laws, lines, tile, start, step, &mut log_weights, &mut scores);
            }
        }
    }
}

/// Log weights of an atom of each lane, and the scores that are kept, by closed forms.
#[inline(always)]
fn closed_forms<L: Walk, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    tile: &Tile,
    k: impl Fn(usize) -> f64,
    log_weights: &mut Lanes<f64>,
    scores: &mut [Lanes<f64>; PARAMETERS],
) {
    *log_weights = each(|i| laws[i].atom(k(i)).log_weight);
    for (p, scores) in scores.iter_mut().enumerate().filter(|(p, _)| tile.keeps::<L>(*p)) {
        *scores = each(|i| laws[i].atom(k(i)).scores[p]);
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
        for (j, row) in rows.iter_mut().enumerate() {
            *row = *log_weights;
            *log_weights = each(|i| row[i] + laws[i].log_ratio(step(i, j)));
        }
    }
    for p in 0..PARAMETERS {
        if tile.keeps::<L>(p)
            && let Some(rows) = tile.scores[p][start..].first_chunk_mut::<STRIDE>()
        {
            for (j, row) in rows.iter_mut().enumerate() {
                *row = scores[p];
                scores[p] = each(|i| row[i] + score_step(laws, lines, p, i, step(i, j)));
            }
        }
    }
}

/// The step of a score, looked up where it is the same everywhere.
#[inline(always)]
pub(super) fn score_step<L: Walk, const PARAMETERS: usize>(
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
pub(super) fn common_steps(first_steps: &[Step], k: i64) -> [Step; STRIDE] {
    match first_steps.get(k as usize..).and_then(|steps| steps.first_chunk()) {
        Some(steps) => *steps,
        None => std::array::from_fn(|j| Step::from(k as f64 + j as f64)),
    }
}

impl Tile {
    /// Whether the scores of a parameter are kept.
    #[inline(always)]
    fn keeps<L: Walk>(&self, p: usize) -> bool {
        self.keeps_lines || !L::LINES[p]
    }
}
