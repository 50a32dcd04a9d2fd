//! REINFORCE, the score-function estimator: `(f(z) - baseline) d log q(z)`.
//!
//! Unbiased for any `f`, differentiable or not, as long as the baseline does not depend on the sample that it is
//! subtracted for. The variance is that of `f` times that of the score, so that baselines matter:
//!
//! | baseline | | needs |
//! |---|---|---|
//! | none | `0` | |
//! | moving average | the mean of `f` over the calls before | more than one call |
//! | leave one out | the mean of the row's other samples | two samples a row or more |
//!
//! # What it needs
//! Of `f`: a value at the atoms. Of the law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows a standard deviation of 4.8 times the
//! gradient's length without baseline, 3.2 with the moving average, and 3.3 with leave-one-out, which evaluates `f`
//! twice.
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

/// What is subtracted from `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Nothing.
    None,
    /// The mean of `f` over the calls before, which moves on by a tenth at each.
    MovingAverage,
    /// The mean of the other samples of the row.
    LeaveOneOut,
}

/// The score function, with a baseline.
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
    /// With this baseline, on this device.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(baseline: Baseline, device: Device) -> Result<Self> {
        let memory = match baseline {
            Baseline::MovingAverage => Some(Learned::new(device, SLOW, |path| Moments::new(&(path / "signal")))?),
            Baseline::None | Baseline::LeaveOneOut => None,
        };
        Ok(Self { baseline, memory })
    }
}

/// What every score-function estimator hands back: `f` with its own graph, and the score times a signal
/// `[samples, rows...]`.
pub(super) fn scored(of: &Expectation<'_>, index: &Tensor, value: &Tensor, signal: &Tensor) -> Tensor {
    value + no_value(&of.log_prob(index)) * signal.detach()
}

/// For each sample the mean of the others, along the first dimension.
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
