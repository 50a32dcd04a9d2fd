//! The multinomial distribution: a vector of counts, how often each class occurs in a fixed number of draws.
//!
//! `P(X = x) = total_count! prod_i probs_i^x_i / x_i!` for counts that sum to `total_count`. It is a law of vectors, so
//! it does not implement [`Distribution`](super::Distribution). [`enumerate`](Multinomial::enumerate) converts it into
//! a [`TruncatedDistribution`](crate::TruncatedDistribution), and
//! [`MultinomialRelaxation`](crate::relaxation::MultinomialRelaxation) draws samples with a gradient.

use crate::checks::{
    broadcast, broadcast_shape, broadcasts, check, check_count, check_positive, extended, real, single,
};
use crate::error::{Error, Result};
use crate::math::special::log_factorial;
use crate::platform::limits::check_shape;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A batch of multinomial distributions with the same number of draws.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Multinomial::new(3, &Tensor::from_slice(&[0.5, 0.3, 0.2]))?;
/// let counts = Tensor::from_slice(&[2.0, 1.0, 0.0]);
/// assert_eq!(format!("{:.4}", law.log_prob(&counts)?.exp().double_value(&[])), "0.2250");
/// // A draw that carries a gradient; its counts add up to 3.
/// let z = MultinomialRelaxation::new(&law, Scheme::Categoricals, 0.5)?.rsample(&[])?;
/// assert!((z.sum(tch::Kind::Double).double_value(&[]) - 3.0).abs() < 1e-6);
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Multinomial {
    total_count: i64,
    /// Normalised log probabilities `[..., classes]`, float64.
    log_probs: Tensor,
    kind: Kind,
}

impl Multinomial {
    /// Makes a batch from a number of draws, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), and positive
    /// weights `[..., classes]`, which need not sum to one.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the weights from their device), or if there is no class
    /// dimension.
    pub fn new(total_count: i64, probs: &Tensor) -> Result<Self> {
        let (probs, kind) = broadcast("Multinomial", &[probs])?;
        let probs = single(probs);
        check_positive("probs of Multinomial", &probs)?;
        Self::from_log_weights(total_count, &probs.log(), kind)
    }

    /// Makes a batch from finite, unnormalised log probabilities `[..., classes]`.
    ///
    /// # Errors
    /// Fails as [`new`](Self::new) does.
    pub fn from_logits(total_count: i64, logits: &Tensor) -> Result<Self> {
        let (double, kind) = broadcast("Multinomial", &[logits])?;
        let law = Self::from_log_weights(total_count, &single(double), kind)?;
        check("logits of Multinomial", logits, Tensor::isfinite, "finite")?;
        Ok(law)
    }

    /// Makes a batch from unnormalised log probabilities in float64.
    fn from_log_weights(total_count: i64, logits: &Tensor, kind: Kind) -> Result<Self> {
        check_count("total_count of Multinomial", total_count)?;
        if logits.size().last().is_none_or(|&classes| classes < 1) {
            return Err(Error::Shape {
                what: "logits of Multinomial".into(),
                found: logits.size(),
                expected: "[..., classes] with at least one class".into(),
            });
        }
        Ok(Self { total_count, log_probs: logits.log_softmax(-1, Kind::Double), kind })
    }

    /// Returns the number of draws.
    pub fn total_count(&self) -> i64 {
        self.total_count
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> i64 {
        self.log_probs.size().last().copied().unwrap_or(1)
    }

    /// Returns the normalised log probabilities `[..., classes]`, float64.
    pub fn log_probs(&self) -> &Tensor {
        &self.log_probs
    }

    /// Returns the shape of the batch, without the class dimension.
    pub fn batch_shape(&self) -> Vec<i64> {
        let mut shape = self.log_probs.size();
        shape.pop();
        shape
    }

    /// Returns the kind of samples: float64 for float64 parameters, else float32.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the device of the parameters.
    pub fn device(&self) -> Device {
        self.log_probs.device()
    }

    /// Returns `E[X]`, of shape `batch_shape + [classes]`, float64.
    pub fn mean(&self) -> Tensor {
        self.log_probs.exp() * self.total_count as f64
    }

    /// Returns `Var[X]` per coordinate, of shape `batch_shape + [classes]`, float64.
    pub fn variance(&self) -> Tensor {
        let probs = self.log_probs.exp();
        &probs * (1.0 - &probs) * self.total_count as f64
    }

    /// Computes `log P(X = value)`, float64: minus infinity unless `value` holds counts that sum to `total_count`.
    ///
    /// # Shapes
    /// `value` `[..., classes]` broadcasts against `batch_shape + [classes]`; the result has the broadcast shape
    /// without classes.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast.
    pub fn log_prob(&self, value: &Tensor) -> Result<Tensor> {
        if !broadcasts(&value.size(), &self.log_probs.size()) {
            return Err(Error::Shape {
                what: "log_prob of a value".into(),
                found: value.size(),
                expected: format!("the shape {:?}", self.log_probs.size()),
            });
        }
        check_shape("log_prob of a value", &broadcast_shape(&value.size(), &self.log_probs.size()), Kind::Double)?;
        let value = real(value, "value of log_prob", Kind::Double, self.device())?;
        let sum = |t: &Tensor| t.sum_dim_intlist(-1, false, Kind::Double);
        let counts = value.ge(0.0).logical_and(&value.eq_tensor(&value.floor())).all_dim(-1, false);
        let inside = counts.logical_and(&sum(&value).eq(self.total_count as f64));
        let safe = value.where_self(&inside.unsqueeze(-1), &value.zeros_like());
        let log_prob =
            sum(&(&safe * &self.log_probs)) + log_factorial(self.total_count as f64) - sum(&(safe + 1.0).lgamma());
        Ok(log_prob.where_self(&inside, &log_prob.full_like(f64::NEG_INFINITY)))
    }

    /// Draws exact samples of shape `sample_shape + batch_shape + [classes]`, without gradient: class by class, a
    /// binomial of the remaining draws.
    ///
    /// # Errors
    /// Fails if the shape has a negative size or too many elements.
    pub fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let shape = extended(sample_shape, &self.batch_shape());
        check_shape("draws of a Multinomial", &extended(&shape, &[self.classes()]), Kind::Double)?;
        let mut remaining = Tensor::f_full(&shape, self.total_count as f64, (Kind::Double, self.device()))?;
        let mut counts = Vec::with_capacity(self.classes() as usize);
        for (log_p, _) in self.conditionals() {
            let probs = log_p.exp().clamp(0.0, 1.0).expand(&shape, false).contiguous();
            let count = Tensor::f_binomial(&remaining, &probs)?;
            remaining -= &count;
            counts.push(count);
        }
        counts.push(remaining);
        Ok(Tensor::stack(&counts, -1).to_kind(self.kind))
    }

    /// Returns, for each class but the last, the log probabilities that a draw is in this class and that it is not,
    /// given that it is in none of the classes before.
    pub(crate) fn conditionals(&self) -> Vec<(Tensor, Tensor)> {
        let classes = self.classes();
        let log_rest = self.log_probs.flip([-1]).logcumsumexp(-1).flip([-1]);
        (0..classes - 1)
            .map(|i| {
                let here = log_rest.select(-1, i);
                (self.log_probs.select(-1, i) - &here, log_rest.select(-1, i + 1) - here)
            })
            .collect()
    }

    /// Computes `KL(self || other)` in nats, of the broadcast batch shape, float64: `total_count` times the KL of one
    /// draw.
    ///
    /// # Errors
    /// Fails if the numbers of draws or classes differ, or if the batch shapes do not broadcast.
    pub fn kl(&self, other: &Multinomial) -> Result<Tensor> {
        if (self.total_count, self.classes()) != (other.total_count, other.classes()) {
            let describe =
                |law: &Multinomial| format!("vectors of {} counts that sum to {}", law.classes(), law.total_count);
            return Err(Error::DifferentAtoms { left: describe(self), right: describe(other) });
        }
        let difference = self.log_probs.f_sub(&other.log_probs)?;
        Ok((self.log_probs.exp() * difference).sum_dim_intlist(-1, false, Kind::Double) * self.total_count as f64)
    }

    /// Returns the number of outcomes, `C(total_count + classes - 1, classes - 1)`, as `f64` since it may exceed `i64`.
    pub fn outcomes(&self) -> f64 {
        (1..self.classes()).fold(1.0, |count, i| count * (self.total_count + i) as f64 / i as f64).round()
    }
}
