//! NVIL: the score function with a learned baseline and a normalised signal.
//!
//! The signal `f(z) - c - b(context)` has a moving average `c` and a network `b` of whatever the row's law was computed
//! from, trained to predict it. It is then divided by its moving standard deviation where that exceeds 1: the
//! gradient's direction stays unbiased, its length shrinks, as suits an optimiser that was tuned for signals of unit
//! size. So that a KL added in closed form does not outweigh what was shrunk, the signal then includes the prior, as in
//! the paper: `f(z) + log q(z) - log p(z)`. Without the division the estimator is unbiased, and leaves the KL alone.
//!
//! # What it needs
//! Of `f`: a value at the atoms. Of the law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows the deviation of the moving average, 3.2
//! times the gradient's length: rows there have no context to predict from.
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
    /// The features that it sees, and its layers.
    network: Option<(i64, [Linear; 2])>,
    moments: Moments,
    normalize: bool,
}

/// Units of the baseline's hidden layer, as in the paper.
const HIDDEN: i64 = 100;

impl Nvil {
    /// With a baseline that sees so many features of the context, or only the moving average where there are none; with
    /// or without the signal's normalisation.
    ///
    /// # Errors
    /// When there are less than one feature, or the device has no room.
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

    /// What the network predicts, `[rows...]`.
    fn prediction(&self, of: &Expectation<'_>) -> Result<Option<Tensor>> {
        let Some((features, [first, second])) = &self.network else { return Ok(None) };
        let context = of.context.ok_or_else(|| {
            Error::Config("NVIL's baseline was made for a context: give one with the expectation".into())
        })?;
        let (found, made_for) = (context.size().last().copied().unwrap_or(0), *features);
        if found != made_for {
            return Err(Error::Shape {
                what: "context of NVIL's baseline".into(),
                found: context.size(),
                expected: format!("the {made_for} features that it was made for"),
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

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let hard = of.hard()?;
        let mut value = of.value(&hard.z)?;
        let log_prior = if self.normalize { of.log_prior(&hard.index) } else { None };
        let includes_prior = log_prior.is_some();
        if let Some(log_prior) = log_prior {
            // The prior's own gradient is its log-probability's; that of the law is zero on average, and left out.
            value = &value + (of.log_prob(&hard.index).detach() - log_prior);
        }
        let mut centred = value.detach() - self.moments.mean();
        let deviation = self.moments.deviation();
        let prediction = self.prediction(of)?;
        self.moments.update(&value.detach());
        if let Some(prediction) = prediction {
            // The network works in units of the signal, whatever those of `f` are.
            let error = centred - prediction * &deviation;
            self.learned.descend(&(&error / &deviation).square().mean(Kind::Float))?;
            centred = error.detach();
        }
        if self.normalize {
            centred /= deviation.clamp_min(1.0);
        }
        let mut estimate = Estimate::mean_of(&scored(of, &hard.index, &value, &centred), of.samples);
        estimate.info.includes_prior = includes_prior;
        Ok(estimate.quantity("deviation", &deviation))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}
