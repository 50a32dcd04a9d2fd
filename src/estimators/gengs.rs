//! The generalized Gumbel-Softmax estimator: the gradient goes through the relaxed sample.
//!
//! `z = sum_k w_k c_k`, `w = softmax((log pi + g) / temperature)`; straight-through hands `f` the atom of largest
//! weight and keeps the slope of `z`. Exact for the relaxed objective, biased for the discrete one: the bias falls with
//! the temperature, the variance grows with its inverse. `f`'s own gradient is taken where `f` was evaluated: at
//! relaxed values, or at integers.
//!
//! # What it needs
//! Of `f`: a slope between the atoms that adds up to the rise from one to the next; of straight-through, a slope at the
//! atoms. Of the law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows a bias of 2.3 % at temperature 0.5 and 0.5
//! % at 0.1, and a standard deviation of 1.1 and 3.0 times the gradient's length; straight-through 5.3 % and 2.5 % at
//! the same deviations.
//!
//! # Source
//! Joo, Kim, Shin, Moon, arXiv 2003.01847; straight-through: Jang, Gu, Poole, arXiv 1611.01144.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds, Unbiased};
use super::tensors::check_temperature;
use crate::error::Result;
use crate::relaxation::{Forward, Relaxation};

/// Differentiates relaxed samples.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Gengs};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Gengs::new(0.1, Forward::Soft)?.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.8, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Gengs {
    temperature: f64,
    forward: Forward,
}

impl Gengs {
    /// At this temperature.
    ///
    /// # Errors
    /// When it is not positive and finite.
    pub fn new(temperature: f64, forward: Forward) -> Result<Self> {
        let temperature = check_temperature(temperature)?;
        Ok(Self { temperature, forward })
    }
}

pub(super) const GENGS: Facts = Facts {
    approach: Approach::Pathwise,
    unbiased: Unbiased::Never,
    has_temperature: true,
    needs_of_f: FunctionNeeds::SlopeBetween,
    ..Facts::new("gengs")
};
pub(super) const GENGS_ST: Facts = Facts {
    approach: Approach::AtExactSamples,
    unbiased: Unbiased::Never,
    has_temperature: true,
    needs_of_f: FunctionNeeds::SlopeAtAtoms,
    ..Facts::new("gengs-st")
};

impl Estimator for Gengs {
    fn facts(&self) -> &'static Facts {
        match self.forward {
            Forward::Soft => &GENGS,
            Forward::StraightThrough => &GENGS_ST,
        }
    }

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let relaxation = Relaxation::new(of.law, self.temperature)?.forward(self.forward);
        Ok(Estimate::mean_of(&of.value(&relaxation.rsample(&[of.samples])?)?, of.samples))
    }

    fn set_temperature(&mut self, temperature: f64) -> Result<()> {
        self.temperature = check_temperature(temperature)?;
        Ok(())
    }
}
