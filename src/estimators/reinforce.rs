//! REINFORCE, the score-function estimator: `(f(z) - baseline) d log q(z)`.
//!
//! Unbiased for any `f`, differentiable or not, as long as the baseline does not depend on the sample that it is
//! subtracted for. The variance grows with the size of `f`, so that baselines matter:
//! | baseline | | needs |
//! |---|---|---|
//! | none | `0` | |
//! | moving average | the mean of `f` over the previous calls | more than one call |
//! | leave one out | the mean of the row's other samples | at least two samples per row |
//!
//! # Requirements
//! `f` must have values at the atoms. The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", Machine
//! Learning 8, 1992; leave one out: Kool, van Hoof, Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", 2019.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::Facts;
use super::learned::{Learned, Moments, SLOW};
use super::tensors::no_value;
use crate::error::Result;
use tch::{Device, Kind, Tensor};

/// The baseline that is subtracted from `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// No baseline.
    None,
    /// An exponential moving average of `f` over the previous calls, with weight 0.1 for each new call.
    MovingAverage,
    /// The mean of the other samples of the row.
    LeaveOneOut,
}

/// The score-function estimator with a baseline.
///
/// ```
/// use gengs::estimators::{Baseline, Estimator, Expectation, Reinforce};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let expectation = Expectation::new(&q, &f)?.samples(2)?;
/// let estimate = Reinforce::new(Baseline::LeaveOneOut, Device::Cpu)?.estimate(&expectation)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.4, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Reinforce {
    baseline: Baseline,
    memory: Option<(Learned, Moments)>,
}

impl Reinforce {
    /// Makes an estimator with the given baseline, whose moving average lies on `device`.
    ///
    /// # Errors
    /// Fails if the device does not exist or has no memory left.
    pub fn new(baseline: Baseline, device: Device) -> Result<Self> {
        let memory = match baseline {
            Baseline::MovingAverage => Some(Learned::new(device, SLOW, |path| Moments::new(&(path / "signal")))?),
            Baseline::None | Baseline::LeaveOneOut => None,
        };
        Ok(Self { baseline, memory })
    }
}

/// Returns `value` with the score-function gradient added, `[samples, rows...]`: the derivative of `log q` at the
/// samples `index`, times a `signal` `[samples, rows...]`.
pub(super) fn scored(of: &Expectation<'_>, index: &Tensor, value: &Tensor, signal: &Tensor) -> Tensor {
    value + no_value(&of.log_prob(index)) * signal.detach()
}

/// Returns for each sample the mean of the other samples, along the first dimension; the shape stays.
pub(super) fn mean_of_others(values: &Tensor) -> Tensor {
    let others = values.size()[0] - 1;
    (values.sum_dim_intlist(0, true, None::<Kind>) - values) / others as f64
}

pub(super) const REINFORCE: Facts = Facts::new("reinforce");
pub(super) const REINFORCE_MA: Facts = Facts::new("reinforce-ma");
pub(super) const REINFORCE_LOO: Facts = Facts { fewest_samples: 2, ..Facts::new("reinforce-loo") };

impl Estimator for Reinforce {
    fn facts(&self) -> &'static Facts {
        match self.baseline {
            Baseline::None => &REINFORCE,
            Baseline::MovingAverage => &REINFORCE_MA,
            Baseline::LeaveOneOut => &REINFORCE_LOO,
        }
    }

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let hard = of.hard()?;
        let value = of.value(&hard.z)?;
        let f = value.detach();
        let signal = match (self.baseline, &mut self.memory) {
            (Baseline::LeaveOneOut, _) => &f - mean_of_others(&f),
            (_, Some((_, moments))) => {
                let signal = &f - moments.mean();
                moments.update(&f);
                signal
            }
            _ => f,
        };
        Ok(Estimate::mean_of(&scored(of, &hard.index, &value, &signal), of.samples))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        self.memory.as_mut().map(|(learned, _)| learned)
    }
}
