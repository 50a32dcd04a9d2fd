//! Exact samples with a gradient that is exact for polynomials: the finite-order pathwise gradient (Fini).
//!
//! The forward value is an exact sample `z`. The backward pass multiplies `f'(z)` by a weight `w(z)`, the one of least
//! norm under the law for which `E[f'(z) w(z)]` is the derivative of `E f(z)` for every polynomial `f` of a degree up
//! to the order. There is no temperature.
//!
//! With `x = (c - m) / s` for each atom `c`, mean `m` and standard deviation `s` of the law, `P_0 = 1`, `P_1 = x`,
//! `P_2 = x^2 - E[x^3] x - 1` its orthogonal polynomials, and `Q_j` an antiderivative of `P_j`:
//!
//! ```text
//! w(z) = s sum_(j < order) P_j(x(z)) d E[Q_j] / E[P_j^2]
//! ```
//!
//! where `d E[Q_j] = sum_k d pi_k Q_j(x_k)`. The sample that [`FiniteOrder::rsample`] returns carries this weight:
//! `z + s sum_j P_j(x(z)) (E[Q_j] - E[Q_j].detach()) / E[P_j^2]`. Its value is `z`, to the bit.
//!
//! # Which degree is exact
//! That of the order, if as many atoms carry mass. The order falls if they are fewer, to the second if next to nothing
//! is on other atoms than two (some 1e-8 of the mass), to the first if the variance is below 1e-30:
//! [`FiniteOrder::orders`] returns the order in force. A law with mass on two atoms is exact at order 2 for every `f`.
//!
//! # Source
//! He, Wu, "Extending pathwise gradients to discrete random variables via finite-order relaxation" (2026); order 2 in
//! one dimension is also the straight-through estimator of least variance of Hooper, Shekhovtsov (AISTATS 2026).

use crate::error::{Error, Result};
use crate::math::LOG_ZERO_FLOAT;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor, no_grad_guard};

/// Up to which degree of a polynomial a gradient is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Order {
    /// Linear functions: straight-through at the mean.
    First,
    /// Quadratic ones.
    Second,
    /// Cubic ones.
    Third,
}

impl Order {
    /// The degree.
    pub fn degree(self) -> i64 {
        match self {
            Order::First => 1,
            Order::Second => 2,
            Order::Third => 3,
        }
    }
}

impl TryFrom<i64> for Order {
    type Error = Error;

    fn try_from(degree: i64) -> Result<Self> {
        match degree {
            1 => Ok(Order::First),
            2 => Ok(Order::Second),
            3 => Ok(Order::Third),
            _ => Err(Error::parameter("order of a finite-order gradient", degree, "1, 2 or 3")),
        }
    }
}

impl From<Order> for i64 {
    fn from(order: Order) -> i64 {
        order.degree()
    }
}

/// The least variance that orders above the first divide by.
pub(crate) const LEAST_VARIANCE: f64 = 1e-30;

/// The least `E[P_2^2]` that the third order divides by, in units of `3 + E[x^4]`: below it, nearly all mass is on two
/// atoms, where `P_2` is zero but for rounding, and the error of the slope would pass a part in 10^9.
pub(crate) const LEAST_SQUARE: f64 = 1e-7;

/// A law whose exact samples carry a gradient of finite order.
///
/// ```
/// use gengs::prelude::*;
/// use gengs::relaxation::{FiniteOrder, Order};
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let z = FiniteOrder::new(&q, Order::Second)?.rsample(&[])?;
/// assert!(z.eq_tensor(&z.round()).all().int64_value(&[]) == 1);
/// (z - 4.0).square().sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.2, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct FiniteOrder<'a> {
    law: &'a TruncatedDistribution,
    order: Order,
}

/// The orthogonal polynomials of each row's law, without graph.
struct Polynomials {
    /// The heaviest atom, from which distances are counted, so that laws with next to no variance keep its digits,
    /// `[..., 1]`.
    mode: Tensor,
    /// The mean less the mode, `[..., 1]`.
    mean: Tensor,
    /// The standard deviation, one where the variance is too small to divide by, `[..., 1]`.
    scale: Tensor,
    /// Atoms less the mean, in standard deviations, `[..., n]`.
    x: Tensor,
    /// Whether the second order is in force, `[..., 1]`.
    has_second: Tensor,
    /// Where the third order was asked for.
    third: Option<ThirdOrder>,
}

struct ThirdOrder {
    /// `E[x^3]`, `[..., 1]`.
    skewness: Tensor,
    /// `E[P_2^2]`, one where it is too small to divide by, `[..., 1]`.
    square: Tensor,
    /// Whether the third order is in force, `[..., 1]`.
    is_in_force: Tensor,
}

impl<'a> FiniteOrder<'a> {
    /// Of this order.
    ///
    /// # Errors
    /// When the order is above the first and the atoms are vectors.
    pub fn new(law: &'a TruncatedDistribution, order: Order) -> Result<Self> {
        if order > Order::First && law.window().is_none() {
            let allowed = "1 for atoms that are vectors; `ReinMax` is exact for quadratic functions of one-hot vectors";
            return Err(Error::parameter("order of a finite-order gradient", order.degree(), allowed));
        }
        Ok(Self { law, order })
    }

    /// Exact draws of shape `sample_shape + batch_shape` (`+ [d]` for vector atoms), with a gradient in the law's
    /// parameters, which can be taken any number of times.
    ///
    /// # Errors
    /// When libtorch refuses the shape.
    pub fn rsample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        self.at(&self.law.sample_index(sample_shape)?)
    }

    /// The degree up to which each row is exact, `batch_shape`, int64.
    pub fn orders(&self) -> Tensor {
        let _guard = no_grad_guard();
        let first = self.law.log_weights().select(-1, 0).ones_like().to_kind(Kind::Int64);
        if self.order == Order::First {
            return first;
        }
        let polynomials = self.polynomials(&self.weights());
        let second = first + polynomials.has_second.squeeze_dim(-1).to_kind(Kind::Int64);
        match polynomials.third {
            Some(third) => second + third.is_in_force.squeeze_dim(-1).to_kind(Kind::Int64),
            None => second,
        }
    }

    /// The atoms of these indices, `sample_shape + batch_shape`, with the gradient.
    pub(crate) fn at(&self, index: &Tensor) -> Result<Tensor> {
        let z = self.law.select(index.shallow_clone());
        let weights = self.weights();
        if !weights.requires_grad() {
            return Ok(z);
        }
        let moved = if self.law.window().is_none() {
            no_value(&self.law.weigh(&weights, &self.law.atoms().detach().to_kind(Kind::Double)))
        } else {
            self.moved(&weights, &z.detach().to_kind(Kind::Double).unsqueeze(-1)).squeeze_dim(-1)
        };
        // The difference is exactly zero, and an integer plus zero is that integer, bit for bit.
        Ok(z + moved.to_kind(self.law.kind()))
    }

    /// Zeros with the gradient of samples `[..., 1]`.
    fn moved(&self, weights: &Tensor, z: &Tensor) -> Tensor {
        let polynomials = tch::no_grad(|| self.polynomials(weights));
        let Polynomials { mode, mean, scale, x, has_second, third } = &polynomials;
        let rise =
            |antiderivative: &Tensor| no_value(&(weights * antiderivative).sum_dim_intlist(-1, true, None::<Kind>));
        let at_sample = (z - mode - mean) / scale;
        let mut parts = Vec::new();
        if self.order > Order::First {
            let second = &at_sample * rise(&(x.square() / 2.0));
            parts.push(second.where_self(has_second, &second.zeros_like()));
        }
        if let Some(ThirdOrder { skewness, square, is_in_force }) = third {
            let polynomial = at_sample.square() - skewness * &at_sample - 1.0;
            let antiderivative = x.pow_tensor_scalar(3) / 3.0 - skewness * x.square() / 2.0 - x;
            let third = polynomial / square * rise(&antiderivative);
            parts.push(third.where_self(is_in_force, &third.zeros_like()));
        }
        parts.into_iter().fold(rise(x), |sum, part| sum + part) * scale
    }

    fn polynomials(&self, weights: &Tensor) -> Polynomials {
        let atoms = self.law.atoms().to_kind(Kind::Double);
        let mean_of = |values: &Tensor| (weights * values).sum_dim_intlist(-1, true, None::<Kind>);
        let mode = atoms.expand_as(weights).gather(-1, &weights.argmax(-1, true), false);
        let from_mode = &atoms - &mode;
        let mean = mean_of(&from_mode);
        let distance = &from_mode - &mean;
        let variance = mean_of(&distance.square());
        let has_second = variance.gt(LEAST_VARIANCE);
        let scale = variance.where_self(&has_second, &variance.ones_like()).sqrt();
        let x = &distance / &scale;
        let third = (self.order == Order::Third).then(|| {
            let skewness = mean_of(&x.pow_tensor_scalar(3));
            let polynomial = x.square() - &skewness * &x - 1.0;
            let square = mean_of(&polynomial.square());
            let least = (mean_of(&x.pow_tensor_scalar(4)) + 3.0) * LEAST_SQUARE;
            let is_in_force = square.gt_tensor(&least).logical_and(&has_second);
            let square = square.where_self(&is_in_force, &square.ones_like());
            ThirdOrder { skewness, square, is_in_force }
        });
        Polynomials { mode, mean, scale, x, has_second, third }
    }

    /// The atoms' weights `[..., n]`, float64, which sum to one to the last digit, and their derivatives to zero.
    fn weights(&self) -> Tensor {
        self.law.log_weights().clamp_min(LOG_ZERO_FLOAT).softmax(-1, Kind::Double)
    }
}

/// Zeros with the gradient of the tensor.
fn no_value(tensor: &Tensor) -> Tensor {
    tensor - tensor.detach()
}
