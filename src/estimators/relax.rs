//! RELAX, for counts: REBAR with a learned network added to its control variate.
//!
//! The control variate of [`Rebar`](super::Rebar), `scale f(s)`, becomes `scale f(s) + r(s)`. The small network `r`
//! sees the relaxed values `s` and the mean and deviation of each latent's law. Scale, temperature and network are
//! trained to lower the variance of the estimate.
//!
//! # Requirements
//! As for [`Rebar`](super::Rebar): `f` must be differentiable between the atoms, and its derivative must integrate to
//! the difference of `f` (step functions fail this). The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Grathwohl, Choi, Wu, Roeder, Duvenaud, "Backpropagation through the Void: Optimizing control variates for black-box
//! gradient estimation", arXiv 1711.00123.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds};
use super::learned::{Critic, Learned, Moments, SLOW};
use super::rebar::{Draw, RelaxedControl, controlled};
use super::tensors::check_temperature;
use crate::error::Result;
use tch::Device;

/// The score function with a relaxation and a learned network as control variate.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Relax};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Relax::new(1, 0.5, Device::Cpu)?.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.5, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Relax {
    learned: Learned,
    relaxed: RelaxedControl,
    critic: Critic,
    moments: Moments,
}

impl Relax {
    /// Makes an estimator for rows of `width` numbers: latents, times the dimension of an atom. It starts at the given
    /// temperature.
    ///
    /// # Errors
    /// Fails if the temperature is not positive and finite, if `width` is below 1, or if the device does not exist or
    /// has no memory left.
    pub fn new(width: i64, temperature: f64, device: Device) -> Result<Self> {
        let temperature = check_temperature(temperature)?;
        Critic::check_width(width)?;
        let (learned, (relaxed, critic, moments)) = Learned::new(device, SLOW, |path| {
            let moments = Moments::new(&(path / "signal"));
            (RelaxedControl::new(path, temperature), Critic::new(&(path / "critic"), width), moments)
        })?;
        Ok(Self { learned, relaxed, critic, moments })
    }
}

pub(super) const RELAX: Facts =
    Facts { approach: Approach::ControlVariate, needs_of_f: FunctionNeeds::SlopeBetween, ..Facts::new("relax") };

impl Estimator for Relax {
    fn facts(&self) -> &'static Facts {
        &RELAX
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let draw = Draw::new(expectation)?;
        let value = expectation.value(&draw.hard.z)?;
        let relaxed = self.relaxed.relaxed(expectation, &draw);
        let control =
            self.relaxed.control(expectation, &relaxed)? + self.critic.value(expectation, &relaxed, &self.moments)?;
        self.moments.update(&value.detach());
        let estimate = controlled(expectation, &draw, &value, &control, &mut self.learned, 2 * expectation.samples)?;
        Ok(self.relaxed.quantities(estimate))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
