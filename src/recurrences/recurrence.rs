//! Laws as plain numbers: log weights and scores of the atoms of a window, by walking from one atom to the next.

use super::lane_block::STRIDE;
use crate::math::lanes::{Lanes, ln64};
use std::sync::OnceLock;

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

/// A law on `0, 1, ...` as plain numbers: what a family writes so that the one-pass sampler draws from it. Ratios of
/// neighbours must fall with `k`, or rise to a limit.
pub trait PmfRecurrence: Copy {
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

/// The step of a score, looked up where it is the same everywhere.
#[inline(always)]
pub(super) fn score_step<L: PmfRecurrence, const PARAMETERS: usize>(
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
