//! Probabilities of the atoms of a window, each from the one before: a product per atom in place of an exponential.

use super::lane_block::LaneBlock;
use super::recurrence::{PmfRecurrence, Step, common_steps, first_steps, score_step};
use super::tails::above;
use crate::math::lanes::{LANES, Lanes, Real, each};
use std::marker::PhantomData;

/// The most rows that are multiplied from one closed form: rounding errors add up, of a part in 10^16 for each.
const MOST_ROWS: usize = 128;

/// The logarithm of the smallest probability of atom 0 from which all others are multiplied; what is smaller loses
/// digits or becomes zero.
const LEAST_START: f64 = -600.0;

/// Fills a block whose lanes share a window from 0 to beyond their means.
pub(super) struct FillWeights<'a, M, L, const PARAMETERS: usize> {
    /// Returns the laws of the lanes.
    pub laws: M,
    pub lanes: &'a mut LaneBlock,
    pub precision: f64,
    /// Whether log weights are needed too.
    pub with_logs: bool,
    pub law: PhantomData<L>,
}

impl<M, L, const PARAMETERS: usize> pulp::WithSimd for FillWeights<'_, M, L, PARAMETERS>
where
    M: Fn(&LaneBlock) -> Lanes<L>,
    L: PmfRecurrence,
{
    /// Whether the block was filled.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> bool {
        let Self { laws, lanes, precision, with_logs, .. } = self;
        let (lo, hi) = lanes.windows[0];
        if !lanes.is_shared || lo != 0 || hi == 0 || lanes.rows > MOST_ROWS {
            return false;
        }
        let laws = laws(lanes);
        let start: Lanes<f64> = each(|i| laws[i].atom(0.0).log_weight);
        let mut lines = [[0.0; LANES]; PARAMETERS];
        for (p, line) in lines.iter_mut().enumerate() {
            *line = each(|i| laws[i].score_steps(Step::from(0.0))[p]);
            lanes.lines[p] = L::LINEAR_SCORES[p].then_some(*line);
        }
        let above = above::<L, PARAMETERS>(&laws, &lines, lanes, true, precision);
        let tail = above.finish();
        let is_served = |i: usize| {
            let beyond = laws[i].upper_tail(hi as f64).is_none() && hi as f64 >= laws[i].mean();
            start[i] > LEAST_START && tail.complete[i] && beyond
        };
        if !(0..LANES).all(is_served) {
            return false;
        }
        walk(&laws, &start, lanes, with_logs);
        let last = lanes.last(0);
        for i in 0..LANES {
            lanes.weights[last][i] *= above.sum[i];
        }
        if with_logs {
            let log_weights = &mut lanes.log_weights[last];
            *log_weights = each(|i| log_weights[i] + tail.log_weights[i]);
        }
        for p in 0..PARAMETERS {
            lanes.tail_corrections[p] = [[0.0; LANES], tail.tail_corrections[p]];
            if !L::LINEAR_SCORES[p] {
                let mut scores: Lanes<f64> = each(|i| laws[i].atom(0.0).scores[p]);
                for row in 0..lanes.rows {
                    let step = common_steps(first_steps(), row as i64)[0];
                    lanes.scores[p][row] = scores;
                    scores = each(|i| scores[i] + score_step(&laws, &lines, p, i, step));
                }
                for i in 0..LANES {
                    lanes.scores[p][last][i] += tail.tail_corrections[p][i];
                }
            }
        }
        true
    }
}

/// The atoms' probabilities, and their logarithms where they are asked for.
#[inline(always)]
fn walk<L: PmfRecurrence>(laws: &Lanes<L>, start: &Lanes<f64>, lanes: &mut LaneBlock, with_logs: bool) {
    let steps = first_steps();
    let mut weights: Lanes<f64> = each(|i| Real::exp(start[i]));
    for (row, step) in lanes.weights.iter_mut().zip(steps) {
        *row = weights;
        weights = each(|i| weights[i] * laws[i].ratio(*step));
    }
    if with_logs {
        let mut log_weights = *start;
        for (row, step) in lanes.log_weights.iter_mut().zip(steps) {
            *row = log_weights;
            log_weights = each(|i| log_weights[i] + laws[i].log_ratio(*step));
        }
    }
}
