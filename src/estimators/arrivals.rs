//! Exponential arrival times: a Poisson count as a soft count of the arrivals before time 1.
//!
//! `t_i` are cumulated `Exp(rate)` waiting times and `z = sum_i h((1 - t_i) / temperature)` with a soft step `h`: the
//! logistic function, or the cubic `3 u^2 - 2 u^3`, `u = clamp(x / 2 + 1/2, 0, 1)`, which is exactly 0 and 1 beyond one
//! temperature on each side. The gradient goes through the times, `d t_i / d rate = -t_i / rate`. More arrivals than
//! are drawn would count with probability at most 1e-9: too few would bias the mean down.
//!
//! With the cubic and temperatures below 1, the mean of `z` is exactly the rate and its variance is
//! `rate (1 - 9/35 temperature)`. The gradient of `(z - c)^2` in the rate is therefore off by `-9/35 temperature`, at
//! every rate.
//!
//! The latents are those of the untruncated Poisson: the window of the truncated law is ignored.
//!
//! # Requirements
//! `f` must be differentiable between the integers, and its derivative must integrate to the difference of `f` (step
//! functions fail this). The latents must be of the type [`Poisson`](crate::distributions::Poisson), passed with
//! [`Expectation::distribution`]; a `Custom` law with a Poisson's probabilities is refused.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! The arrivals are a Poisson process, and the moments follow from Campbell's theorem; the cubic is the smoothstep
//! function.
//! function.

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts, FunctionNeeds, LawNeeds, Unbiased};
use super::tensors::check_temperature;
use crate::checks::LARGEST_ATOM;
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use tch::{Kind, Tensor, no_grad_guard};

/// The soft step function that counts arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The logistic function.
    Sigmoid,
    /// `3 u^2 - 2 u^3`.
    Cubic,
}

/// The estimator that differentiates the arrival times of a Poisson process.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, ExponentialArrivals, Step};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let law = Poisson::new(&rate)?;
/// let q = TruncatedDistribution::new(&law, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = ExponentialArrivals::new(0.1, Step::Cubic)?.estimate(&Expectation::new(&q, &f)?.distribution(&law))?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.4, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct ExponentialArrivals {
    temperature: f64,
    step: Step,
}

impl ExponentialArrivals {
    /// Makes an estimator with the given temperature and soft step.
    ///
    /// # Errors
    /// Fails if the temperature is not positive and finite.
    pub fn new(temperature: f64, step: Step) -> Result<Self> {
        let temperature = check_temperature(temperature)?;
        Ok(Self { temperature, step })
    }

    /// Returns the time after which an arrival adds less than 1e-9 to the count.
    fn horizon(&self) -> f64 {
        1.0 + self.temperature * if self.step == Step::Cubic { 1.0 } else { 9.0 * std::f64::consts::LN_10 }
    }

    /// Returns the number of arrivals to draw per latent: at every rate, the last one comes after the horizon with
    /// probability at least 1 - 1e-9.
    fn arrivals(&self, rate: &Tensor, samples: i64) -> Result<i64> {
        let _guard = no_grad_guard();
        if rate.numel() == 0 {
            return Ok(1);
        }
        let largest = rate.max().to_kind(Kind::Double);
        let expected = &largest * self.horizon();
        // The number of arrivals before the horizon is Poisson; seven deviations and a constant for small rates bound
        // its tail by 1e-9.
        let arrivals = (&expected + expected.sqrt() * 7.0 + 15.0).ceil();
        let drawn = arrivals.double_value(&[]);
        if drawn.is_nan() || drawn > LARGEST_ATOM as f64 {
            return Err(Error::parameter(
                "largest rate of exponential arrival times",
                largest.double_value(&[]),
                format!("small enough that memory holds the arrivals, at most {LARGEST_ATOM} per latent"),
            ));
        }
        let arrivals = arrivals.to_kind(Kind::Int64).int64_value(&[]);
        let shape = [&[samples], rate.size().as_slice(), &[arrivals]].concat();
        check_shape("exponential arrival times", &shape, rate.kind())?;
        Ok(arrivals)
    }
}

pub(super) const EAT_SIGMOID: Facts = Facts {
    approach: Approach::Pathwise,
    unbiased: Unbiased::Never,
    has_temperature: true,
    needs_of_f: FunctionNeeds::SlopeBetween,
    needs_of_law: LawNeeds::Poisson,
    ..Facts::new("eat-sigmoid")
};
pub(super) const EAT_CUBIC: Facts = Facts {
    approach: Approach::Pathwise,
    unbiased: Unbiased::Never,
    has_temperature: true,
    needs_of_f: FunctionNeeds::SlopeBetween,
    needs_of_law: LawNeeds::Poisson,
    ..Facts::new("eat-cubic")
};

impl Estimator for ExponentialArrivals {
    fn facts(&self) -> &'static Facts {
        match self.step {
            Step::Sigmoid => &EAT_SIGMOID,
            Step::Cubic => &EAT_CUBIC,
        }
    }

    /// Draws the arrival times. Copies the largest rate from the device to the host, to size the tensor.
    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let rate = expectation.poisson_rate()?;
        let arrivals = self.arrivals(&rate, expectation.samples)?;
        let shape = [&[expectation.samples], rate.size().as_slice(), &[arrivals]].concat();
        let waits = {
            let _guard = no_grad_guard();
            Tensor::f_empty(&shape, (rate.kind(), rate.device()))?.f_exponential_(1.0)?
        };
        let earliness: Tensor = (1.0 - waits.cumsum(-1, None) / rate.unsqueeze(-1)) / self.temperature;
        let counted = match self.step {
            Step::Sigmoid => earliness.sigmoid(),
            Step::Cubic => {
                let u = (earliness / 2.0 + 0.5).clamp(0.0, 1.0);
                u.square() * (3.0 - 2.0 * &u)
            }
        };
        let z = counted.sum_dim_intlist(-1, false, None::<Kind>);
        Ok(Estimate::mean_of(&expectation.value(&z)?, expectation.samples))
    }

    fn set_temperature(&mut self, temperature: f64) -> Result<()> {
        self.temperature = check_temperature(temperature)?;
        Ok(())
    }
}
