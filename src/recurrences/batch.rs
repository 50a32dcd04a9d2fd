//! The laws of a batch as `f64` recurrences, and the loops that fill a lane block from them.

use super::lane_block::{LaneBlock, STRIDE};
use super::linear::FillWeights;
use super::recurrence::{PmfRecurrence, Step, common_steps, first_steps, score_step};
use super::tails::{above, below, merge};
use super::window::own_window;
use crate::math::lanes::{LANES, Lanes, each, ln64};
use std::marker::PhantomData;
use tch::Tensor;

/// Rows between two closed forms. A row adds a rounding error of a part in 10^16 to the log weight; a closed form
/// resets it.
const ROWS_BETWEEN_CLOSED_FORMS: usize = 128;

/// All laws of a batch, one per latent. [`Recurrences`] is the only implementation, since `fill` depends on the layout
/// of the sampler's blocks.
pub trait LawBatch: Send + Sync {
    /// Returns a window around the mean of this latent's law, with at least two atoms and at most half of `tail_mass`
    /// beyond each end; `None` if it has more than `widest` atoms.
    fn window(&self, latent: usize, tail_mass: f64, widest: i64) -> Option<(i64, i64)>;

    /// Writes log weights and scores of a block's latents in their windows, with tails merged to this relative
    /// precision. Returns `false` if a tail has too many terms to be summed; the block's content is then invalid.
    #[must_use]
    fn fill(&self, lanes: &mut LaneBlock, precision: f64) -> bool;

    /// Writes probabilities of a block's latents instead, and log weights if asked for, by products of ratios. Returns
    /// `false` if these would lose digits, outside of one window from 0 to beyond the means; the block's content is
    /// then invalid.
    #[must_use]
    fn fill_weights(&self, lanes: &mut LaneBlock, precision: f64, with_logs: bool) -> bool;
}

/// A batch of recurrences, one per latent, made by a function of one or two parameter values.
#[derive(Debug)]
pub struct Recurrences<F> {
    values: Vec<Vec<f64>>,
    parameters: usize,
    has_logs: bool,
    law: F,
}

impl<F, L> Recurrences<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: PmfRecurrence,
{
    /// Makes a batch from one or two parameters without own dimensions; `None` if libtorch cannot copy their values.
    pub fn new(parameters: &[Tensor], law: F) -> Option<Self> {
        let values = parameters.iter().map(|values| Vec::try_from(values.detach().reshape([-1])).ok());
        Some(Self { values: values.collect::<Option<_>>()?, parameters: parameters.len(), has_logs: false, law })
    }

    /// Passes the logarithm of the law's only parameter, a positive number, as its second value.
    #[must_use]
    pub(crate) fn with_logs(self) -> Self {
        Self { has_logs: true, ..self }
    }

    /// Returns the law of a latent.
    fn law(&self, latent: usize) -> L {
        let value = |i: usize| self.values.get(i).map_or(0.0, |values| values[latent]);
        (self.law)([value(0), if self.has_logs { log(value(0)) } else { value(1) }])
    }

    /// Returns the laws of a block's lanes; `with_logs` if log ratios or closed forms beyond atom 0 will be asked of
    /// them, which need the logarithm of the parameter.
    #[inline(always)]
    fn laws(&self, lanes: &LaneBlock, with_logs: bool) -> Lanes<L> {
        let mut columns = [[0.0; LANES]; 2];
        let follow = lanes.follow();
        for (column, values) in columns.iter_mut().zip(&self.values) {
            match values.get(lanes.latents[0]..).and_then(|values| values.first_chunk()) {
                Some(values) if follow => *column = *values,
                _ => *column = each(|i| values[lanes.latents[i]]),
            }
        }
        if self.has_logs && with_logs {
            columns[1] = each(|i| log(columns[0][i]));
        }
        let mut laws = [(self.law)([columns[0][0], columns[1][0]]); LANES];
        for i in 1..LANES {
            laws[i] = (self.law)([columns[0][i], columns[1][i]]);
        }
        laws
    }
}

impl<F, L> LawBatch for Recurrences<F>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: PmfRecurrence,
{
    fn window(&self, latent: usize, tail_mass: f64, widest: i64) -> Option<(i64, i64)> {
        own_window(&self.law(latent), tail_mass, widest)
    }

    fn fill(&self, lanes: &mut LaneBlock, precision: f64) -> bool {
        if self.parameters > 1 {
            pulp::Arch::new().dispatch(Fill::<F, L, 2> { recurrences: self, lanes, precision, law: PhantomData })
        } else {
            pulp::Arch::new().dispatch(Fill::<F, L, 1> { recurrences: self, lanes, precision, law: PhantomData })
        }
    }

    fn fill_weights(&self, lanes: &mut LaneBlock, precision: f64, with_logs: bool) -> bool {
        let laws = |lanes: &LaneBlock| self.laws(lanes, with_logs);
        let law = PhantomData;
        if self.parameters > 1 {
            pulp::Arch::new().dispatch(FillWeights::<_, L, 2> { laws, lanes, precision, with_logs, law })
        } else {
            pulp::Arch::new().dispatch(FillWeights::<_, L, 1> { laws, lanes, precision, with_logs, law })
        }
    }
}

/// Returns the natural logarithm of a positive number; of zero, that of the smallest normal number.
#[inline(always)]
fn log(x: f64) -> f64 {
    ln64(if x > f64::MIN_POSITIVE { x } else { f64::MIN_POSITIVE })
}

/// Fills a lane block, with the CPU's widest vectors.
struct Fill<'a, F, L, const PARAMETERS: usize> {
    recurrences: &'a Recurrences<F>,
    lanes: &'a mut LaneBlock,
    precision: f64,
    law: PhantomData<L>,
}

impl<F, L, const PARAMETERS: usize> pulp::WithSimd for Fill<'_, F, L, PARAMETERS>
where
    F: Fn([f64; 2]) -> L + Send + Sync,
    L: PmfRecurrence,
{
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> bool {
        let Self { recurrences, lanes, precision, .. } = self;
        let laws = recurrences.laws(lanes, true);
        let shared = lanes.is_shared;
        let mut lines = [[0.0; LANES]; PARAMETERS];
        for (p, line) in lines.iter_mut().enumerate() {
            *line = each(|i| laws[i].score_steps(Step::from(0.0))[p]);
            lanes.lines[p] = L::LINEAR_SCORES[p].then_some(*line);
        }
        fill_rows::<L, PARAMETERS>(&laws, &lines, lanes, shared);
        lanes.is_replaced = [[false; LANES]; 2];
        let (lo, hi) = lanes.windows[0];
        let above = above::<L, PARAMETERS>(&laws, &lines, lanes, shared, precision).finish();
        let usual =
            |i: usize| above.complete[i] && hi as f64 >= laws[i].mean() && laws[i].upper_tail(hi as f64).is_none();
        if shared && lo == 0 && hi > 0 && (0..LANES).all(usual) {
            // The most common case: all windows begin at 0 and end beyond the mean. A lane without upper tail has a
            // series of one term.
            let last = lanes.last(0);
            let row = &mut lanes.log_weights[last];
            *row = each(|i| row[i] + above.log_weights[i]);
            for p in 0..PARAMETERS {
                lanes.tail_corrections[p] = [[0.0; LANES], above.tail_corrections[p]];
            }
        } else {
            lanes.clear_outside();
            lanes.tail_corrections = [[[0.0; LANES]; 2]; 2];
            let below = below::<L, PARAMETERS>(&laws, lanes, precision).finish();
            for lane in 0..LANES {
                if merge(&laws[lane], lanes, lane, &below, &above).is_none() {
                    return false;
                }
            }
        }
        for p in 0..PARAMETERS {
            if lanes.keeps::<L>(p) {
                for lane in 0..LANES {
                    let (first, last) = (lanes.first(lane), lanes.last(lane));
                    for (end, row) in [first, last].into_iter().enumerate() {
                        if !lanes.is_replaced[end][lane] {
                            lanes.scores[p][row][lane] += lanes.tail_corrections[p][end][lane];
                        }
                    }
                }
            }
        }
        true
    }
}

/// Fills the rows inside the windows: a closed form every [`ROWS_BETWEEN_CLOSED_FORMS`] rows, ratios between them.
#[inline(always)]
fn fill_rows<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    lanes: &mut LaneBlock,
    shared: bool,
) {
    let first_steps = first_steps();
    let (rows, starts, origin) = (lanes.rows, lanes.starts, lanes.origins[0]);
    for block in (0..rows).step_by(ROWS_BETWEEN_CLOSED_FORMS) {
        let (mut log_weights, mut scores) = ([0.0; LANES], [[0.0; LANES]; PARAMETERS]);
        if shared && origin == 0 && block == 0 {
            // At the atom 0, where most windows start, the compiler vectorises the closed forms.
            closed_forms(laws, lanes, |_| 0.0, &mut log_weights, &mut scores);
        } else {
            closed_forms(laws, lanes, |i| starts[i] + block as f64, &mut log_weights, &mut scores);
        }
        for start in (block..rows.min(block + ROWS_BETWEEN_CLOSED_FORMS)).step_by(STRIDE) {
            if shared {
                let steps = common_steps(first_steps, origin + start as i64);
                stride(laws, lines, lanes, start, |_, j| steps[j], &mut log_weights, &mut scores);
            } else {
                let step = |i: usize, j: usize| Step::from(starts[i] + (start + j) as f64);
                stride(laws, lines, lanes, start, step, &mut log_weights, &mut scores);
            }
        }
    }
}

/// Computes the log weight of an atom `k` per lane, and the scores that are kept, by closed forms.
#[inline(always)]
fn closed_forms<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lanes: &LaneBlock,
    k: impl Fn(usize) -> f64,
    log_weights: &mut Lanes<f64>,
    scores: &mut [Lanes<f64>; PARAMETERS],
) {
    *log_weights = each(|i| laws[i].atom(k(i)).log_weight);
    for (p, scores) in scores.iter_mut().enumerate().filter(|(p, _)| lanes.keeps::<L>(*p)) {
        *scores = each(|i| laws[i].atom(k(i)).scores[p]);
    }
}

/// Fills [`STRIDE`] rows from `start` on, and leaves the log weights and scores of the next row in the last two
/// arguments.
#[inline(always)]
fn stride<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    lanes: &mut LaneBlock,
    start: usize,
    step: impl Fn(usize, usize) -> Step,
    log_weights: &mut Lanes<f64>,
    scores: &mut [Lanes<f64>; PARAMETERS],
) {
    if let Some(rows) = lanes.log_weights[start..].first_chunk_mut::<STRIDE>() {
        for (j, row) in rows.iter_mut().enumerate() {
            *row = *log_weights;
            *log_weights = each(|i| row[i] + laws[i].log_ratio(step(i, j)));
        }
    }
    for p in 0..PARAMETERS {
        if lanes.keeps::<L>(p)
            && let Some(rows) = lanes.scores[p][start..].first_chunk_mut::<STRIDE>()
        {
            for (j, row) in rows.iter_mut().enumerate() {
                *row = scores[p];
                scores[p] = each(|i| row[i] + score_step(laws, lines, p, i, step(i, j)));
            }
        }
    }
}

impl LaneBlock {
    /// Returns whether the scores of a parameter are kept.
    #[inline(always)]
    fn keeps<L: PmfRecurrence>(&self, p: usize) -> bool {
        self.keeps_linear_scores || !L::LINEAR_SCORES[p]
    }
}
