//! How a truncated distribution becomes a differentiable sample.
//!
//! The generalized Gumbel-Softmax relaxation of a law with atoms `c_k` and log weights `log pi_k`:
//!
//! ```text
//! w = softmax((log pi + g) / temperature)      g independent standard Gumbel noise
//! z = sum_k w_k c_k
//! ```
//!
//! As the temperature goes to zero `z` tends to an exact draw of the law. Everything is a graph of tensor operations,
//! so that autograd gives gradients of any order; where a first derivative on the CPU is all that is needed,
//! [`sampler`](crate::sampler) gives the same numbers without any tensor of the atoms.
//!
//! # Bias and variance
//! The gradient is exact for the relaxed objective `E f(z)` and biased for the discrete one: the bias falls with the
//! temperature, the variance grows with its inverse. **Where the gradient itself matters, 0.02 is recommended**: for
//! all families, `f = (z - 4)^2` and `f = sigmoid(z - 4)`, `tests/estimators/gradient_bias.rs` finds the bias within 1
//! % and four standard errors there. In training, start near 1 and go down to 0.3.
//!
//! # Source
//! Joo, Kim, Shin, Moon, "Generalized Gumbel-Softmax Gradient Estimator for Generic Discrete Random Variables", arXiv
//! 2003.01847; straight-through: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", arXiv
//! 1611.01144.

mod finite_order;
mod multinomial;

pub use finite_order::{FiniteOrder, Order};
pub(crate) use finite_order::{LEAST_SQUARE, LEAST_VARIANCE};
pub use multinomial::{MultinomialRelaxation, Scheme};

use crate::checks::{broadcast_shape, broadcasts, check};
use crate::checks::{expands, real};
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// The temperature of a relaxation.
#[derive(Debug)]
pub enum Temperature {
    /// One number for the whole batch. Zero is the hard limit: exact draws, no gradient.
    Scalar(f64),
    /// A tensor that expands to the batch shape, positive, possibly with a gradient of its own. It is cast to the law's
    /// kind.
    Tensor(Tensor),
}

impl From<f64> for Temperature {
    fn from(temperature: f64) -> Self {
        Temperature::Scalar(temperature)
    }
}

impl From<Tensor> for Temperature {
    fn from(temperature: Tensor) -> Self {
        Temperature::Tensor(temperature)
    }
}

/// What the forward pass returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forward {
    /// The relaxed sample itself: a weighted mean of the atoms.
    #[default]
    Soft,
    /// The atom of largest weight, exactly; the backward pass is that of the soft sample's weights, and of the atom
    /// where the law moves it.
    StraightThrough,
}

/// How a sample carries its gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pathwise {
    /// A relaxed sample, or the exact one with the slope of the relaxed.
    Relaxed {
        /// Positive.
        temperature: f64,
        /// Which of the two.
        forward: Forward,
    },
    /// An exact sample, whose slope is weighted to be exact for polynomials up to this degree ([`FiniteOrder`]).
    FiniteOrder(Order),
}

/// The smallest temperature that float32 can divide by and stay finite; positive temperatures below it are raised to
/// it.
pub(crate) const COLDEST: f64 = 1e-30;

/// A truncated distribution with a temperature: draws from it carry a gradient.
#[derive(Debug)]
pub struct Relaxation<'a> {
    law: &'a TruncatedDistribution,
    temperature: Temperature,
    forward: Forward,
}

impl<'a> Relaxation<'a> {
    /// The soft relaxation at this temperature.
    ///
    /// # Errors
    /// When the temperature is negative, NaN or infinite, or a tensor that is not positive everywhere (reads it back
    /// from its device) or does not expand to the batch shape.
    pub fn new(law: &'a TruncatedDistribution, temperature: impl Into<Temperature>) -> Result<Self> {
        let temperature = temperature.into();
        let tensor = match &temperature {
            Temperature::Scalar(t) if !(t.is_finite() && *t >= 0.0) => {
                return Err(Error::parameter("temperature", t, "finite, positive, or 0 for the hard limit"));
            }
            Temperature::Scalar(_) => return Ok(Self { law, temperature, forward: Forward::Soft }),
            Temperature::Tensor(t) => t,
        };
        let tensor = real(tensor, "temperature", law.kind(), law.device())?;
        if !expands(&tensor.size(), &law.batch_shape()) {
            return Err(Error::Shape {
                what: "temperature".into(),
                found: tensor.size(),
                expected: format!("a shape that expands to the batch shape {:?}", law.batch_shape()),
            });
        }
        let positive = |tensor: &Tensor| tensor.gt(0.0).logical_and(&tensor.isfinite());
        check("temperature", &tensor, positive, "positive and finite")?;
        let temperature = Temperature::Tensor(tensor);
        Ok(Self { law, temperature, forward: Forward::Soft })
    }

    /// Chooses what the forward pass returns.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        Self { forward, ..self }
    }

    /// Differentiable draws of shape `sample_shape + batch_shape` (`+ [d]` for vector atoms), with fresh noise.
    ///
    /// # Errors
    /// When libtorch refuses the shape.
    pub fn rsample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        self.rsample_with_noise(&self.law.noise(sample_shape)?)
    }

    /// Differentiable draws from given, finite noise, which broadcasts against `batch_shape + [n]` and is cast to the
    /// law's kind.
    ///
    /// # Errors
    /// When the noise does not broadcast, or its last dimension is longer than the law has atoms.
    pub fn rsample_with_noise(&self, noise: &Tensor) -> Result<Tensor> {
        let noise = real(noise, "noise", self.law.kind(), self.law.device())?;
        self.check_broadcast("noise", &noise)?;
        let perturbed = self.law.log_weights().f_add(&noise)?;
        let Some(cooled) = self.cool(&perturbed) else {
            return Ok(self.law.select(perturbed.argmax(-1, false)));
        };
        let weights = cooled.softmax(-1, None::<Kind>);
        Ok(match self.forward {
            Forward::Soft => self.law.weigh(&weights, self.law.atoms()),
            // The difference is exactly zero, and an integer plus zero is that integer, bit for bit. An atom that the
            // law moves carries its own derivative.
            Forward::StraightThrough => {
                let relaxed = self.law.weigh(&weights, &self.law.atoms().detach());
                self.law.select(weights.argmax(-1, false)) + (&relaxed - relaxed.detach())
            }
        })
    }

    /// The logarithms of the relaxed weights of the atoms, `sample_shape + batch_shape + [n]`: the variable that has a
    /// density. Its value is [`transform`](Self::transform).
    ///
    /// # Errors
    /// When libtorch refuses the shape, or the temperature is zero.
    pub fn rsample_log_weights(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let perturbed = self.law.log_weights() + self.law.noise(sample_shape)?;
        Ok(self.cool(&perturbed).ok_or_else(no_density)?.log_softmax(-1, None::<Kind>))
    }

    /// The value `sum_k w_k c_k` of relaxed log weights `[..., n]`, which are cast to the law's kind.
    ///
    /// # Errors
    /// When there is not one log weight for each atom, or the leading dimensions do not broadcast against the batch
    /// shape.
    pub fn transform(&self, log_weights: &Tensor) -> Result<Tensor> {
        let log_weights = real(log_weights, "relaxed log weights", self.law.kind(), self.law.device())?;
        self.check_relaxed(&log_weights)?;
        Ok(self.law.weigh(&log_weights.exp(), self.law.atoms()))
    }

    /// Fails unless a tensor broadcasts against `batch_shape + [n]`.
    fn check_broadcast(&self, what: &str, tensor: &Tensor) -> Result<()> {
        let (found, rows) = (tensor.size(), self.law.log_weights().size());
        let one_each = found.last().is_none_or(|&n| n == 1 || n == self.law.len());
        if one_each && broadcasts(&found, &rows) {
            return check_shape(what, &broadcast_shape(&found, &rows), self.law.kind());
        }
        let expected = format!("{rows:?}, the batch shape and the atoms, against which it broadcasts");
        Err(Error::Shape { what: what.into(), found, expected })
    }

    /// The same for relaxed log weights, of which there is one for each atom.
    fn check_relaxed(&self, log_weights: &Tensor) -> Result<()> {
        if log_weights.size().last() == Some(&self.law.len()) {
            return self.check_broadcast("relaxed log weights", log_weights);
        }
        let expected = format!("[..., {}], one for each atom", self.law.len());
        Err(Error::Shape { what: "relaxed log weights".into(), found: log_weights.size(), expected })
    }

    /// The log density of relaxed log weights `y` as [`rsample_log_weights`](Self::rsample_log_weights) draws them,
    /// float64, of shape `sample_shape + batch_shape`:
    /// `log (n - 1)! + (n - 1) log t + sum_k (log pi_k - t y_k) - n log sum_k exp(log pi_k - t y_k)` at temperature
    /// `t`, with respect to the `n - 1` differences of the `y_k` from one of them. It is finite at low temperatures and
    /// for thousands of atoms, where the density of the weights themselves is not. (The value `z` of an integer law has
    /// none in closed form; that of one-hot atoms is `exp(y)`.)
    ///
    /// # Errors
    /// When the shapes do not broadcast, or the temperature is zero.
    ///
    /// # Source
    /// Maddison, Mnih, Teh, "The Concrete Distribution", arXiv 1611.00712, appendix (ExpConcrete).
    pub fn log_prob(&self, log_weights: &Tensor) -> Result<Tensor> {
        let log_weights = real(log_weights, "relaxed log weights", Kind::Double, self.law.device())?;
        self.check_relaxed(&log_weights)?;
        let law = self.law.log_weights().to_kind(Kind::Double);
        let temperature = match &self.temperature {
            Temperature::Scalar(0.0) => return Err(no_density()),
            Temperature::Scalar(t) => law.full_like(t.max(COLDEST)).narrow(-1, 0, 1),
            Temperature::Tensor(t) => t.to_kind(Kind::Double).clamp_min(COLDEST).unsqueeze(-1),
        };
        // Atoms without mass are not part of the simplex. They are taken out first, so that no derivative is zero times
        // infinity.
        let none = law.eq(f64::NEG_INFINITY);
        let score = law.masked_fill(&none, 0.0) - log_weights.masked_fill(&none, 0.0) * &temperature;
        let sum = score.masked_fill(&none, 0.0).sum_dim_intlist(-1, false, Kind::Double);
        let n = none.logical_not().sum_dim_intlist(-1, false, Kind::Double);
        let log_sum = score.masked_fill(&none, f64::NEG_INFINITY).logsumexp(-1, false);
        Ok(sum - log_sum * &n + (&n - 1.0) * temperature.squeeze_dim(-1).log() + n.lgamma())
    }

    /// Perturbed log weights divided by the temperature; nothing at zero.
    fn cool(&self, perturbed: &Tensor) -> Option<Tensor> {
        match &self.temperature {
            Temperature::Scalar(0.0) => None,
            Temperature::Scalar(t) => Some(perturbed / t.max(COLDEST)),
            Temperature::Tensor(t) => {
                // Atoms without mass are set aside, so that the derivative in the temperature is not zero times
                // infinity.
                let none = perturbed.eq(f64::NEG_INFINITY);
                let cooled = perturbed.masked_fill(&none, 0.0) / t.clamp_min(COLDEST).unsqueeze(-1);
                Some(cooled.masked_fill(&none, f64::NEG_INFINITY))
            }
        }
    }
}

fn no_density() -> Error {
    Error::parameter("temperature", 0, "positive for a density: at zero the relaxation is the discrete law itself")
}
