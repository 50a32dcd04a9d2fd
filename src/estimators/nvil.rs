//! NVIL: the score function with a learned baseline and a normalised signal.
//!
//! The signal is `f(z) - c - b(context)`: `c` is a moving average, and `b` a network of the inputs from which the row's
//! law was computed, trained to predict the signal.
//!
//! With normalisation, the signal is divided by its moving standard deviation if that exceeds 1. This keeps the
//! direction of the gradient unbiased and shortens it to suit an optimiser tuned for signals of unit size. A KL added
//! in closed form would then outweigh the shortened gradient, so the signal includes the prior, as in the paper:
//! `f(z) + log q(z) - log p(z)`. Without normalisation the estimator is unbiased and leaves the KL out.
//!
//! # Requirements
//! `f` must have values at the atoms. The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Mnih, Gregor, "Neural Variational Inference and Learning in Belief Networks", arXiv 1402.0030.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Facts, Unbiased};
use super::learned::{Learned, Moments, SLOW, check_inputs};
use super::reinforce::scored;
use crate::checks::real;
use crate::error::{Error, Result};
use crate::nn::Linear;
use tch::{Device, Kind, Tensor};

/// The score function with a learned baseline.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Nvil};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Nvil::new(None, false, Device::Cpu)?.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.5, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Nvil {
    learned: Learned,
    /// The number of features of the context, and the layers.
    network: Option<(i64, [Linear; 2])>,
    moments: Moments,
    normalize: bool,
}

/// Units of the baseline's hidden layer, as in the paper.
const HIDDEN: i64 = 100;

impl Nvil {
    /// Makes an estimator whose baseline sees `features` features of the context; with `None` it has the moving average
    /// alone. `normalize` divides the signal by its standard deviation.
    ///
    /// # Errors
    /// Fails if `features` is below 1, or if the device does not exist or has no memory left.
    pub fn new(features: Option<i64>, normalize: bool, device: Device) -> Result<Self> {
        if let Some(features) = features {
            check_inputs("features of NVIL's context", features, HIDDEN)?;
        }
        let (learned, (network, moments)) = Learned::new(device, SLOW, |path| {
            let layers = |features| {
                let path = path / "baseline";
                (features, [Linear::new(&(&path / 0), features, HIDDEN), Linear::new(&(&path / 2), HIDDEN, 1)])
            };
            (features.map(layers), Moments::new(&(path / "signal")))
        })?;
        Ok(Self { learned, network, moments, normalize })
    }

    /// Returns the prediction of the network, `[rows...]`; `None` if there is no network.
    fn prediction(&self, expectation: &Expectation<'_>) -> Result<Option<Tensor>> {
        let Some((features, [first, second])) = &self.network else { return Ok(None) };
        let context = expectation.context.ok_or_else(|| {
            Error::Config("NVIL's baseline was made for a context: pass one with `Expectation::context`".into())
        })?;
        let (found, features) = (context.size().last().copied().unwrap_or(0), *features);
        if found != features {
            return Err(Error::Shape {
                what: "context of NVIL's baseline".into(),
                found: context.size(),
                expected: format!("[rows..., {features}]: the baseline was made for {features} features"),
            });
        }
        let context = real(context, "context of NVIL's baseline", Kind::Float, context.device())?;
        let hidden = first.forward(&context).tanh();
        Ok(Some(second.forward(&hidden).squeeze_dim(-1)))
    }
}

pub(super) const NVIL: Facts = Facts { unbiased: Unbiased::Never, ..Facts::new("nvil") };
pub(super) const NVIL_BASELINE: Facts = Facts::new("nvil-baseline");

impl Estimator for Nvil {
    fn facts(&self) -> &'static Facts {
        if self.normalize { &NVIL } else { &NVIL_BASELINE }
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let hard = expectation.hard()?;
        let mut value = expectation.value(&hard.z)?;
        let log_prior = if self.normalize { expectation.log_prior(&hard.index) } else { None };
        let includes_prior = log_prior.is_some();
        if let Some(log_prior) = log_prior {
            // Differentiates `log p` in the prior's parameters. The gradient of `log q` in the law's is zero on
            // average.
            value = &value + (expectation.log_prob(&hard.index).detach() - log_prior);
        }
        let mut centred = value.detach() - self.moments.mean();
        let deviation = self.moments.deviation();
        let prediction = self.prediction(expectation)?;
        self.moments.update(&value.detach());
        if let Some(prediction) = prediction {
            // The network predicts in units of the signal's deviation, so that it does not depend on the scale of `f`.
            let error = centred - prediction * &deviation;
            self.learned.descend(&(&error / &deviation).square().mean(Kind::Float))?;
            centred = error.detach();
        }
        if self.normalize {
            centred /= deviation.clamp_min(1.0);
        }
        let mut estimate = Estimate::mean_of(&scored(expectation, &hard.index, &value, &centred), expectation.samples);
        estimate.info.includes_prior = includes_prior;
        Ok(estimate.quantity("deviation", &deviation))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
