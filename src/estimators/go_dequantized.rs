//! GO, dequantised: the slope of `f` between the integers, times the flow of mass past them.
//!
//! In [`Go`](super::Go), `f(k + 1) - f(k)` is the mean of the slope `f'(k + u)` over `u` uniform on (0, 1):
//!
//! ```text
//! d E f(z) = E[ -dF(z) / p(z) f'(z + u) ]
//! ```
//!
//! No temperature; one backward pass instead of an evaluation for each latent. Unbiased for one latent. With several,
//! all are dequantised at once, and `f` is differentiated away from the integers in every coordinate: a bias, unless
//! `f` is a sum over the latents. Or one at random, in each sample, and the rest stays integer: the estimate is
//! unbiased again, at the price of variance. `f`'s own gradient is always taken at integers.
//!
//! Where next to no mass lies between two integers, the slope is taken along the whole way over it, and the score
//! function takes what lies between (`dequantized.rs`).
//!
//! # What it needs
//! Of `f`: a slope between the integers that adds up to the rise from one to the next. A step function has none. Of the
//! law: successive integers.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows the least standard deviation, 0.39 times
//! the gradient's length, with a bias of 12 % when all are dequantised at once; one at a time 3.3, without bias.
//!
//! # Source
//! Cong, Zhao, Bai, Carin, "GO Gradient for Expectation-Based Objectives", arXiv 1901.06020, which has the difference
//! `f(z + 1) - f(z)`.

use super::dequantized::Flow;
use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds, LawNeeds, Unbiased};
use super::tensors::over_latents;
use crate::error::Result;
use tch::{Kind, no_grad};

/// Differentiates between the integers.
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
    /// With all latents of a row dequantised at once, or one at a time.
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

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let hard = of.hard()?;
        let value = of.value(&hard.z)?;
        let mut u = hard.z.rand_like();
        let steps = Flow::new(of).steps(of, &hard.index);
        let leave_samples = steps.leave_samples(&hard.index);
        let takes_part = if self.one_at_a_time {
            let chosen = u.rand_like().argmax(-1, true);
            u.zeros_like().scatter_value(-1, &chosen, 1.0)
        } else {
            u.ones_like()
        };
        let width = (&steps.to - &steps.from) * &takes_part;
        let from = if leave_samples {
            of.law.select(steps.from.where_self(&takes_part.to_kind(Kind::Bool), &hard.index))
        } else {
            hard.z.shallow_clone()
        };
        u *= &width;
        let (_, slope) = of.value_and_slope(&(&from + u))?;
        let mut moved = over_latents(&(steps.speed() * width * slope));
        let mut evaluations = 2;
        if leave_samples {
            let rise = value.detach() - no_grad(|| of.value(&from))?;
            moved += over_latents(&(of.scores(&hard.index) * takes_part)) * rise;
            evaluations += 1;
        }
        let times = if self.one_at_a_time { of.latents() as f64 } else { 1.0 };
        Ok(Estimate::mean_of(&(value + moved * times), evaluations * of.samples))
    }
}
