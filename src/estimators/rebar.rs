//! REBAR, for counts: the score function with the relaxed sample as control variate, whose own gradient is
//! reparametrised.
//!
//! With perturbed log weights `x`, `z = c_argmax(x)`, the relaxed sample `s(x) = sum_k softmax(x / temperature)_k c_k`,
//! and `y` a draw of `x` given its largest entry,
//!
//! ```text
//! (f(z) - scale f(s(y))) d log q(z) + scale (d f(s(x)) - d f(s(y)))
//! ```
//!
//! is unbiased at any scale and temperature. Here `y` has the value of `x` and differs in its noise alone, so that
//! `f(s)` is evaluated once, and the derivatives nearly cancel: `d x_k - d y_k = exp(x_k - max x) d log pi_k`. All
//! latents share one scale and one temperature. Both are trained on the square of the estimate, whose gradient
//! estimates that of the variance without bias.
//!
//! # Requirements
//! `f` must be differentiable between the atoms, and its derivative must integrate to the difference of `f`; a step
//! function makes the estimate biased. The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
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

/// The score function with a relaxation as control variate, of learned scale and temperature.
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
    /// Makes an estimator that starts at the given temperature and at scale 1.
    ///
    /// # Errors
    /// Fails if the temperature is not positive and finite, or if the device does not exist or has no memory left.
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

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let draw = Draw::new(expectation)?;
        let value = expectation.value(&draw.hard.z)?;
        let control = self.relaxed.control(expectation, &self.relaxed.relaxed(expectation, &draw))?;
        let estimate = controlled(expectation, &draw, &value, &control, &mut self.learned, 2 * expectation.samples)?;
        Ok(self.relaxed.quantities(estimate))
    }

    fn learned(&mut self) -> Option<&mut Learned> {
        Some(&mut self.learned)
    }
}

/// Exact samples, and the perturbed log weights `x` `[samples, rows..., latents, atoms]` that they came from, without
/// gradient.
pub(super) struct Draw {
    pub hard: Hard,
    pub x: Tensor,
}

impl Draw {
    pub fn new(expectation: &Expectation<'_>) -> Result<Self> {
        let x = expectation.perturbed()?.detach();
        let index = x.argmax(-1, false);
        Ok(Self { hard: Hard { z: expectation.law.select(index.shallow_clone()), index }, x })
    }
}

/// The control variate `scale f(s)`: `f` at the relaxed sample `s`.
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

    /// Returns the relaxed values `[samples, rows..., latents]` (`+ [d]`) of a draw. Their gradient is that of the
    /// unconditional draw minus that of the conditional one.
    pub fn relaxed(&self, expectation: &Expectation<'_>, draw: &Draw) -> Tensor {
        let difference = conditional::unconditional_minus_conditional_gradient(expectation, &draw.x, &draw.hard.index);
        let x = &draw.x + difference;
        expectation.weigh(&(x / self.log_temperature.exp()).softmax(-1, None::<Kind>))
    }

    /// Evaluates the control variate at relaxed values: `scale f(s)`, `[samples, rows...]`.
    pub fn control(&self, expectation: &Expectation<'_>, relaxed: &Tensor) -> Result<Tensor> {
        Ok(expectation.value(relaxed)? * &self.scale)
    }

    pub fn quantities(&self, estimate: Estimate) -> Estimate {
        estimate.quantity("temperature", &self.log_temperature.exp()).quantity("scale", &self.scale)
    }
}

/// Returns the gradient of a control's sum in the log weights, differentiable again; zero if the control does not
/// depend on them.
fn gradient_of_control(control: &Tensor, log_weights: &Tensor) -> Result<Tensor> {
    if control.requires_grad() && log_weights.requires_grad() {
        let gradient = autograd::gradients(&total(control), &[log_weights], true, true)?.remove(0);
        if gradient.defined() {
            return Ok(gradient);
        }
    }
    Ok(log_weights.detach().zeros_like())
}

/// Computes the estimate with a control variate `[samples, rows...]`, whose gradient in the log weights is that of the
/// unconditional draw minus that of the conditional one. Trains the control's variables to lower the variance.
pub(super) fn controlled(
    expectation: &Expectation<'_>,
    draw: &Draw,
    value: &Tensor,
    control: &Tensor,
    learned: &mut Learned,
    evaluations: i64,
) -> Result<Estimate> {
    let log_weights = expectation.law.log_weights();
    let control_gradient = gradient_of_control(control, log_weights)?;
    let score = conditional::one_hot(&draw.hard.index, expectation.law.len(), expectation.law.kind());
    let signal = (value.detach() - control).unsqueeze(-1).unsqueeze(-1);
    // The sum over samples, since the signal of a sample does not depend on the others.
    let g = (signal * score).sum_dim_intlist(0, false, None::<Kind>) + control_gradient;
    learned.descend(&conditional::gradient_in_natural_parameter(&g, expectation).square().sum(None::<Kind>))?;
    let g: Tensor = g.detach() / expectation.samples as f64;
    Ok(Estimate::mean_of(value, evaluations).pulled(expectation, &g))
}
