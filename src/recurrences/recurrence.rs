//! The trait of a law as an `f64` recurrence: its atoms by closed forms, and the ratios between them.

use super::lane_block::STRIDE;
use crate::math::lanes::{Lanes, ln64};
use std::sync::OnceLock;

/// The log weight of an atom, and its derivatives in up to two parameters. The mass of a tail is given in the same
/// form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Atom {
    /// `log P(X = k)`.
    pub log_weight: f64,
    /// `d log P(X = k) / d parameter`, one per parameter.
    pub scores: [f64; 2],
}

/// The numbers that a step from atom `k` to `k + 1` needs.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The atom `k` that the step starts from.
    pub from: f64,
    /// `1 / (k + 1)`.
    pub inverse: f64,
    /// `log(k + 1)`.
    pub log: f64,
}

impl Step {
    /// Makes the step from atom `k`.
    #[inline(always)]
    pub(super) fn from(k: f64) -> Self {
        Self { from: k, inverse: 1.0 / (k + 1.0), log: ln64(k + 1.0) }
    }
}

/// Returns the steps from the atoms 0 to 4095, computed once.
pub(super) fn first_steps() -> &'static [Step] {
    static STEPS: OnceLock<Vec<Step>> = OnceLock::new();
    STEPS.get_or_init(|| (0..4096).map(|k| Step::from(f64::from(k))).collect())
}

/// Computes the natural logarithm of a positive number without branches, so that a loop over it becomes vector
/// instructions.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    ln64(x)
}

/// A law on `0, 1, ...` as `f64` recurrence. A family implements it so that the one-pass sampler draws from it. Its
/// ratios must fall with `k`, or rise to a limit.
pub trait PmfRecurrence: Copy {
    /// Whether the score in each parameter is linear in `k`, so that its change from atom to atom is constant.
    const LINEAR_SCORES: [bool; 2] = [false; 2];

    /// Computes the atom `k` by a closed form.
    fn atom(&self, k: f64) -> Atom;

    /// Computes `P(X = k + 1) / P(X = k)`.
    fn ratio(&self, step: Step) -> f64;

    /// Computes the logarithm of the ratio. [`ln`] keeps the loop over lanes vectorised.
    fn log_ratio(&self, step: Step) -> f64;

    /// Computes the scores at `k + 1` minus the scores at `k`.
    fn score_steps(&self, step: Step) -> [f64; 2];

    /// Returns the mean, which decides on which side of the window most of the mass lies.
    fn mean(&self) -> f64;

    /// Returns the last atom; `None` if there is none.
    fn highest(&self) -> Option<i64> {
        None
    }

    /// Returns the limit of the ratios if they rise, otherwise 0.
    fn ratio_limit(&self) -> f64 {
        0.0
    }

    /// Returns `P(X >= k)` and its scores; `None` if there is no closed form.
    fn upper_tail(&self, _k: f64) -> Option<Atom> {
        None
    }
}

/// Returns the change of a score from an atom to the next: from `lines` if it is constant.
#[inline(always)]
pub(super) fn score_step<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    p: usize,
    lane: usize,
    step: Step,
) -> f64 {
    if L::LINEAR_SCORES[p] { lines[p][lane] } else { laws[lane].score_steps(step)[p] }
}

/// Returns the next [`STRIDE`] steps from atom `k` on, the same for all lanes.
#[inline(always)]
pub(super) fn common_steps(first_steps: &[Step], k: i64) -> [Step; STRIDE] {
    match first_steps.get(k as usize..).and_then(|steps| steps.first_chunk()) {
        Some(steps) => *steps,
        None => std::array::from_fn(|j| Step::from(k as f64 + j as f64)),
    }
}
