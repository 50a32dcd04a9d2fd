//! RELAX on dequantised counts: a learned control variate of `x = z + u`, `u` uniform, instead of a relaxation.
//!
//! ```text
//! (f(z) - c(x)) d log q(z) + c'(x) dx
//! ```
//!
//! with `dx` the movement of `x` at a fixed quantile. `f` is only evaluated at integers, and never differentiated in
//! `z`. It is RELAX with another reparametrisation: given `z`, `x` does not depend on the parameters. In one dimension
//! some `c` makes the estimate exact, without variance: in each `z .. z + 1` that whose product with the speed of `x`
//! grows by `E - f(z) s(z)`, with the score `s` and the gradient `E` (the speed's own slope is `-s(z)`). No function of
//! a relaxed sample does. Here `c` is a small network of all of a row's `x`, in units and around the mean of `f`,
//! trained to the least variance.
//!
//! # What it needs
//! Of `f`: a value at the atoms. Of the law: successive integers.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows a standard deviation of 1.2 times the
//! gradient's length from one evaluation of `f`, where leave-one-out has 3.3 from two.
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

/// Score function with a learned control variate of dequantised counts.
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
    /// For rows of so many latents.
    ///
    /// # Errors
    /// When a row has less than one latent, or the device has no room.
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

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let flow = Flow::new(of);
        let draw = Draw::new(of)?;
        let value = of.value(&draw.hard.z)?;
        let u = draw.hard.z.rand_like();
        // The network sees the middle of `z .. z + 1` where `f` sees `z`.
        let x = &draw.hard.z - &draw.hard.index + flow.spread(of, &draw.hard.index, &u) - 0.5;
        let control = self.critic.value(of, &x, &self.moments)?;
        self.moments.update(&value.detach());
        controlled(of, &draw, &value, &control, &mut self.learned, of.samples)
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
