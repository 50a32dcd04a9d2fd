//! GO, dequantised: the derivative of `f` between the integers, times the flow of mass past them.
//!
//! In [`Go`](super::Go), `f(k + 1) - f(k)` is the mean of the derivative `f'(k + u)` over `u` uniform on (0, 1):
//!
//! ```text
//! d E f(z) = E[ -dF(z) / p(z) f'(z + u) ]
//! ```
//!
//! There is no temperature, and one backward pass replaces an evaluation per latent. The estimate is unbiased for one
//! latent. With several, `go-dequantized` dequantises all at once and differentiates `f` away from the integers in
//! every coordinate: this is biased unless `f` is a sum over the latents. `go-dequantized-one` dequantises one random
//! latent per sample and keeps the others integer: it is unbiased, with more variance. The gradient in `f`'s own
//! parameters is always taken at integers.
//!
//! Integers with almost no mass are grouped with those before them (`dequantized.rs`). The derivative is then taken
//! along the whole step to the next group, and a score-function term covers the integers within a group.
//!
//! # Requirements
//! `f` must be differentiable between the integers, and its derivative must integrate to the difference of `f` (step
//! functions fail this). The law must be on successive integers.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Cong, Zhao, Bai, Carin, "GO Gradient for Expectation-Based Objectives", arXiv 1901.06020, which uses the difference
//! `f(z + 1) - f(z)`.

use super::dequantized::Flow;
use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds, LawNeeds, Unbiased};
use super::tensors::over_latents;
use crate::error::Result;
use tch::{Kind, no_grad};

/// The GO estimator with the derivative of `f` in place of its differences.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, GoDequantized};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = GoDequantized::new(false).estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.2, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GoDequantized {
    one_at_a_time: bool,
}

impl GoDequantized {
    /// Makes `go-dequantized-one` (one random latent per sample) if `one_at_a_time`, otherwise `go-dequantized` (all
    /// latents at once).
    pub fn new(one_at_a_time: bool) -> Self {
        Self { one_at_a_time }
    }
}

pub(super) const GO_DEQUANTIZED: Facts = Facts {
    approach: Approach::Steps,
    unbiased: Unbiased::OneLatent,
    needs_of_f: FunctionNeeds::SlopeBetween,
    needs_of_law: LawNeeds::Integers,
    ..Facts::new("go-dequantized")
};
pub(super) const GO_DEQUANTIZED_ONE: Facts = Facts {
    approach: Approach::Steps,
    needs_of_f: FunctionNeeds::SlopeBetween,
    needs_of_law: LawNeeds::Integers,
    ..Facts::new("go-dequantized-one")
};

impl Estimator for GoDequantized {
    fn facts(&self) -> &'static Facts {
        if self.one_at_a_time { &GO_DEQUANTIZED_ONE } else { &GO_DEQUANTIZED }
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let hard = expectation.hard()?;
        let value = expectation.value(&hard.z)?;
        let mut u = hard.z.rand_like();
        let transitions = Flow::new(expectation).transitions(expectation, &hard.index);
        let start_elsewhere = transitions.start_elsewhere(&hard.index);
        let takes_part = if self.one_at_a_time {
            let chosen = u.rand_like().argmax(-1, true);
            u.zeros_like().scatter_value(-1, &chosen, 1.0)
        } else {
            u.ones_like()
        };
        let width = (&transitions.to - &transitions.from) * &takes_part;
        let from = if start_elsewhere {
            expectation.law.select(transitions.from.where_self(&takes_part.to_kind(Kind::Bool), &hard.index))
        } else {
            hard.z.shallow_clone()
        };
        u *= &width;
        let (_, slope) = expectation.value_and_slope(&(&from + u))?;
        let mut moved = over_latents(&(transitions.flow_per_mass() * width * slope));
        let mut evaluations = 2;
        if start_elsewhere {
            let rise = value.detach() - no_grad(|| expectation.value(&from))?;
            moved += over_latents(&(expectation.scores(&hard.index) * takes_part)) * rise;
            evaluations += 1;
        }
        let factor = if self.one_at_a_time { expectation.latents() as f64 } else { 1.0 };
        Ok(Estimate::mean_of(&(value + moved * factor), evaluations * expectation.samples))
    }
}
