//! RELAX, for counts: REBAR with a learned network added to its control variate.
//!
//! The control variate of [`Rebar`](super::Rebar), `scale f(s)`, becomes `scale f(s) + r(s)`, with a small network `r`
//! of the relaxed values `s` and of the mean and deviation of each latent's law. All of it descends the estimate's
//! variance.
//!
//! # What it needs
//! Of `f`: as [`Rebar`](super::Rebar), a slope between the atoms that adds up to the rise from one to the next. Of the
//! law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows no gain over REBAR, 1.9 times the
//! gradient's length: the network has little to add to `f` of the relaxed sample.
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

/// Score function and relaxation together, with a learned control variate.
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
    /// For rows of so many numbers (latents, times the atoms' own dimension); starts at this temperature.
    ///
    /// # Errors
    /// When the temperature is not positive and finite, a row has less than one number, or the device has no room.
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

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let draw = Draw::new(of)?;
        let value = of.value(&draw.hard.z)?;
        let relaxed = self.relaxed.relaxed(of, &draw);
        let control = self.relaxed.control(of, &relaxed)? + self.critic.value(of, &relaxed, &self.moments)?;
        self.moments.update(&value.detach());
        let estimate = controlled(of, &draw, &value, &control, &mut self.learned, 2 * of.samples)?;
        Ok(self.relaxed.quantities(estimate))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
