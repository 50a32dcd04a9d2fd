//! MuProp: the score function with a first-order Taylor expansion of `f` around the mean as control variate.
//!
//! `(f(z) - h(z)) d log q(z) + d E[h(z)]` with `h(z) = f(m) + f'(m) (z - m)` and `m = E[z]`, whose expectation has the
//! derivative `f'(m) dm` in closed form. Unbiased; for linear `f` the variance is zero.
//!
//! # Requirements
//! `f` must have a value and a finite derivative at the mean; with a derivative of zero, as of a step function, `f(m)`
//! is a constant baseline. The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Gu, Levine, Sutskever, Mnih, "MuProp: Unbiased Backpropagation for Stochastic Neural Networks", arXiv 1511.05176.
//! There `m` is a deterministic pass through the network; here it is the exact mean of the truncated law.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds};
use super::reinforce::scored;
use super::tensors::no_value;
use crate::error::Result;
use tch::{Kind, Tensor};

/// The score function with a linear expansion of `f` around the mean as control variate.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, MuProp};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = MuProp.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.5, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct MuProp;

pub(super) const MUPROP: Facts =
    Facts { approach: Approach::ControlVariate, needs_of_f: FunctionNeeds::Between, ..Facts::new("muprop") };

impl Estimator for MuProp {
    fn facts(&self) -> &'static Facts {
        &MUPROP
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let hard = expectation.hard()?;
        let value = expectation.value(&hard.z)?;
        let mean = expectation.weigh(&expectation.log_weights().exp()).unsqueeze(0);
        let (at_mean, slope) = expectation.value_and_slope(&mean)?;
        let own_dims = (at_mean.dim() as i64..mean.dim() as i64).collect::<Vec<_>>();
        let along = |distance: &Tensor| (&slope * distance).sum_dim_intlist(own_dims.as_slice(), false, None::<Kind>);
        let signal = value.detach() - at_mean - along(&(&hard.z - mean.detach()));
        let scored = scored(expectation, &hard.index, &value, &signal) + along(&no_value(&mean));
        Ok(Estimate::mean_of(&scored, expectation.samples + 1))
    }
}
