//! REBAR, for counts: the score function with the relaxed sample as control variate, whose own gradient is taken
//! through the noise.
//!
//! With perturbed log weights `x`, `z = c_argmax(x)`, the relaxed sample `s(x) = sum_k softmax(x / temperature)_k c_k`,
//! and `y` a draw of `x` given `z`,
//!
//! ```text
//! (f(z) - scale f(s(y))) d log q(z) + scale (d f(s(x)) - d f(s(y)))
//! ```
//!
//! is unbiased at any scale and temperature. Here `y` shares the value of `x` and only its noise is another, so that
//! `f(s)` is evaluated once, and the slopes nearly cancel: `d x_k - d y_k = exp(x_k - max x) d log pi_k`. Scale and
//! temperature, one each for all latents, descend the gradient of the estimate's own square: an unbiased estimate of
//! the gradient of its variance.
//!
//! # What it needs
//! Of `f`: a slope between the atoms that adds up to the rise from one to the next: it is evaluated at relaxed values,
//! and differentiated there. A step function makes the estimate biased. Of the law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows a standard deviation of 1.9 times the
//! gradient's length, where the moving average alone has 3.2.
//!
//! # Source
//! Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein, "REBAR: Low-variance, unbiased gradient estimates for discrete
//! latent variable models", arXiv 1703.07370.

use super::conditional;
use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::{Expectation, Hard};
use super::facts::{Approach, Facts, FunctionNeeds};
use super::learned::{FAST, Learned};
use super::tensors::check_temperature;
use super::tensors::total;
use crate::autograd;
use crate::error::Result;
use tch::nn::{Init, Path};
use tch::{Device, Kind, Tensor};

/// Score function and relaxation together, with learned scale and temperature.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Rebar};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Rebar::new(0.5, Device::Cpu)?.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.5, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Rebar {
    learned: Learned,
    relaxed: RelaxedControl,
}

impl Rebar {
    /// Starts at this temperature, and at scale 1.
    ///
    /// # Errors
    /// When the temperature is not positive and finite.
    pub fn new(temperature: f64, device: Device) -> Result<Self> {
        let temperature = check_temperature(temperature)?;
        let (learned, relaxed) = Learned::new(device, FAST, |path| RelaxedControl::new(path, temperature))?;
        Ok(Self { learned, relaxed })
    }
}

pub(super) const REBAR: Facts =
    Facts { approach: Approach::ControlVariate, needs_of_f: FunctionNeeds::SlopeBetween, ..Facts::new("rebar") };

impl Estimator for Rebar {
    fn facts(&self) -> &'static Facts {
        &REBAR
    }

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let draw = Draw::new(of)?;
        let value = of.value(&draw.hard.z)?;
        let control = self.relaxed.control(of, &self.relaxed.relaxed(of, &draw))?;
        let estimate = controlled(of, &draw, &value, &control, &mut self.learned, 2 * of.samples)?;
        Ok(self.relaxed.quantities(estimate))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}

/// Exact samples, and the perturbed log weights that they came from, without graph.
pub(super) struct Draw {
    pub hard: Hard,
    pub x: Tensor,
}

impl Draw {
    pub fn new(of: &Expectation<'_>) -> Result<Self> {
        let x = of.perturbed()?.detach();
        let index = x.argmax(-1, false);
        Ok(Self { hard: Hard { z: of.law.select(index.shallow_clone()), index }, x })
    }
}

/// `f` of the relaxed sample, times a scale.
#[derive(Debug)]
pub(super) struct RelaxedControl {
    log_temperature: Tensor,
    scale: Tensor,
}

impl RelaxedControl {
    pub fn new(path: &Path, temperature: f64) -> Self {
        Self {
            log_temperature: path.var("log_temperature", &[], Init::Const(temperature.ln())),
            scale: path.var("scale", &[], Init::Const(1.0)),
        }
    }

    /// The relaxed values of perturbed log weights, with what [`conditional::slope_beyond_given`] makes of their slope.
    pub fn relaxed(&self, of: &Expectation<'_>, draw: &Draw) -> Tensor {
        let x = &draw.x + conditional::slope_beyond_given(of, &draw.x, &draw.hard.index);
        of.weigh(&(x / self.log_temperature.exp()).softmax(-1, None::<Kind>))
    }

    /// `scale f(s)` of relaxed values, `[samples, rows...]`.
    pub fn control(&self, of: &Expectation<'_>, relaxed: &Tensor) -> Result<Tensor> {
        Ok(of.value(relaxed)? * &self.scale)
    }

    pub fn quantities(&self, estimate: Estimate) -> Estimate {
        estimate.quantity("temperature", &self.log_temperature.exp()).quantity("scale", &self.scale)
    }
}

/// The gradient of a control's sum in the log weights, with a graph; zero where it does not depend on them.
fn slope_in(control: &Tensor, log_weights: &Tensor) -> Result<Tensor> {
    if control.requires_grad() && log_weights.requires_grad() {
        let slope = autograd::gradients(&total(control), &[log_weights], true, true)?.remove(0);
        if slope.defined() {
            return Ok(slope);
        }
    }
    Ok(log_weights.detach().zeros_like())
}

/// The estimate with a control variate `[samples, rows...]` whose gradient in the log weights is that of its draw less
/// that of its draw given `z`; the control's variables descend the variance.
pub(super) fn controlled(
    of: &Expectation<'_>,
    draw: &Draw,
    value: &Tensor,
    control: &Tensor,
    learned: &mut Learned,
    evaluations: i64,
) -> Result<Estimate> {
    let leaf = of.law.log_weights();
    let slope = slope_in(control, leaf)?;
    // The sum over the samples; the others' signals do not depend on it.
    let score = conditional::one_hot(&draw.hard.index, of.law.len(), of.law.kind());
    let signal = (value.detach() - control).unsqueeze(-1).unsqueeze(-1);
    let g = (signal * score).sum_dim_intlist(0, false, None::<Kind>) + slope;
    learned.descend(&conditional::tilted(&g, of).square().sum(None::<Kind>))?;
    let g: Tensor = g.detach() / of.samples as f64;
    Ok(Estimate::mean_of(value, evaluations).pulled(of, &g))
}
