//! RELAX on dequantised counts: a learned control variate of `x = z + u`, `u` uniform, in place of a relaxation.
//!
//! ```text
//! (f(z) - c(x)) d log q(z) + c'(x) dx
//! ```
//!
//! with `dx` the derivative of `x` at a fixed quantile. `f` is evaluated at integers only and never differentiated in
//! `z`. It is RELAX with another reparametrisation: given `z`, `x` does not depend on the parameters.
//!
//! In one dimension some `c` makes the variance zero: within each `z .. z + 1`, its product with the speed `dx` must
//! grow by `E - f(z) s(z)`, with the score `s` and the exact gradient `E` (the derivative of the speed is `-s(z)`). No
//! function of a relaxed sample can do so. Here `c` is a small network of all `x` of a row, scaled by the deviation of
//! `f` and shifted by its mean, and trained to lower the variance.
//!
//! # Requirements
//! `f` must have values at the atoms. The law must be on successive integers.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! The control variate: Grathwohl et al., arXiv 1711.00123; implicit reparametrisation by the distribution function:
//! Figurnov, Mohamed, Mnih, "Implicit Reparameterization Gradients", arXiv 1805.08498.

use super::dequantized::Flow;
use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, LawNeeds};
use super::learned::{Critic, Learned, Moments, SLOW};
use super::rebar::{Draw, controlled};
use crate::error::Result;
use tch::Device;

/// The score function with a learned control variate of dequantised counts.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, RelaxDequantized};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = RelaxDequantized::new(1, Device::Cpu)?.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.5, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct RelaxDequantized {
    learned: Learned,
    critic: Critic,
    moments: Moments,
}

impl RelaxDequantized {
    /// Makes an estimator for rows of the given number of latents.
    ///
    /// # Errors
    /// Fails if `latents` is below 1, or if the device does not exist or has no memory left.
    pub fn new(latents: i64, device: Device) -> Result<Self> {
        Critic::check_width(latents)?;
        let (learned, (critic, moments)) = Learned::new(device, SLOW, |path| {
            (Critic::new(&(path / "critic"), latents), Moments::new(&(path / "signal")))
        })?;
        Ok(Self { learned, critic, moments })
    }
}

pub(super) const RELAX_DEQUANTIZED: Facts =
    Facts { approach: Approach::ControlVariate, needs_of_law: LawNeeds::Integers, ..Facts::new("relax-dequantized") };

impl Estimator for RelaxDequantized {
    fn facts(&self) -> &'static Facts {
        &RELAX_DEQUANTIZED
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let flow = Flow::new(expectation);
        let draw = Draw::new(expectation)?;
        let value = expectation.value(&draw.hard.z)?;
        let u = draw.hard.z.rand_like();
        // The network sees the middle of the interval `z .. z + 1` where `f` sees `z`.
        let x = &draw.hard.z - &draw.hard.index + flow.spread(expectation, &draw.hard.index, &u) - 0.5;
        let control = self.critic.value(expectation, &x, &self.moments)?;
        self.moments.update(&value.detach());
        controlled(expectation, &draw, &value, &control, &mut self.learned, expectation.samples)
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
