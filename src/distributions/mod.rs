//! Discrete distributions with tensor parameters, and the trait they share.
//!
//! One family, one file. Every result is **float64**, whatever the kind of the parameters: a log-pmf is a small difference
//! of large numbers (`k log rate - rate - log k!` at a rate of 1,000 subtracts terms of 7,000), and float32 has no digits
//! left for it. [`TruncatedDistribution`](crate::TruncatedDistribution) rounds to the parameters' kind at the end.

mod bernoulli;
mod binomial;
mod categorical;
mod geometric;
mod negative_binomial;
mod poisson;
mod probability;

pub use bernoulli::Bernoulli;
pub use binomial::Binomial;
pub use categorical::Categorical;
pub use geometric::Geometric;
pub use negative_binomial::NegativeBinomial;
pub use poisson::Poisson;

use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// The integers that carry mass: from `lowest` up to `highest`, or without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The smallest atom.
    pub lowest: i64,
    /// The largest atom, if there is one.
    pub highest: Option<i64>,
}

/// A discrete law on the integers with tensor parameters and a batch shape.
///
/// A new family is one file that implements this trait, and one line in the list of families of `tests/families.rs`.
pub trait Distribution: std::fmt::Debug {
    /// The family's name, for messages.
    fn name(&self) -> &'static str;

    /// The broadcast shape of the parameters.
    fn batch_shape(&self) -> Vec<i64>;

    /// The kind of the parameters, and of samples.
    fn kind(&self) -> Kind;

    /// The device of the parameters.
    fn device(&self) -> Device;

    /// Where the mass lies; one for the whole batch.
    fn support(&self) -> Support;

    /// Whether an atom inside the support may weigh exactly nothing.
    fn may_vanish(&self) -> bool {
        false
    }

    /// `E[X]`, of shape `batch_shape`, float64.
    fn mean(&self) -> Tensor;

    /// `Var[X]`, of shape `batch_shape`, float64.
    fn variance(&self) -> Tensor;

    /// `log P(X = k)` at integers `k` of the support, unchecked, float64: what a family is made of.
    ///
    /// # Shapes
    /// `k` float64, broadcasts against `batch_shape`.
    fn log_pmf(&self, k: &Tensor) -> Tensor;

    /// `(log P(X < k), log P(X >= k))`, each of shape `batch_shape`, float64, both accurate however small.
    fn log_tails(&self, k: i64) -> (Tensor, Tensor);

    /// Exact draws of shape `sample_shape + batch_shape`, in the parameters' kind, without gradient.
    ///
    /// # Errors
    /// When libtorch refuses (a negative size, say).
    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor>;

    /// The same law with batch shape `batch_shape + [1]`, ready to broadcast against a row of atoms.
    fn unsqueeze(&self) -> Box<dyn Distribution>;

    /// `log P(X = value)`, float64; minus infinity outside the support and between the integers.
    ///
    /// # Shapes
    /// `value` broadcasts against `batch_shape`.
    ///
    /// # Errors
    /// When it does not.
    fn log_prob(&self, value: &Tensor) -> Result<Tensor> {
        let batch_shape = self.batch_shape();
        if !broadcasts(&value.size(), &batch_shape) {
            return Err(Error::Shape {
                what: "log_prob of a value".into(),
                found: value.size(),
                expected: format!("the batch shape {batch_shape:?}"),
            });
        }
        let value = value.to_kind(Kind::Double);
        let Support { lowest, highest } = self.support();
        let mut inside =
            value.ge(lowest as f64).logical_and(&value.eq_tensor(&value.floor())).logical_and(&value.isfinite());
        if let Some(highest) = highest {
            inside = inside.logical_and(&value.le(highest as f64));
        }
        // The formula sees the lowest atom where the value is outside, so that no gradient is NaN where it is not taken.
        let log_pmf = self.log_pmf(&value.where_self(&inside, &value.full_like(lowest as f64)));
        Ok(log_pmf.where_self(&inside, &log_pmf.full_like(f64::NEG_INFINITY)))
    }
}

/// Parameters broadcast to one shape, in float64, and the kind they came in.
pub(crate) fn broadcast(family: &str, parameters: &[&Tensor]) -> Result<(Vec<Tensor>, Kind)> {
    for parameter in parameters {
        if !parameter.is_floating_point() {
            return Err(Error::parameter(
                format!("kind of a parameter of {family}"),
                format!("{:?}", parameter.kind()),
                "a floating-point kind",
            ));
        }
    }
    let kind = parameters.iter().map(|t| t.kind()).max_by_key(|&kind| precision(kind)).unwrap_or(Kind::Float);
    let doubles: Vec<Tensor> = parameters.iter().map(|t| t.to_kind(Kind::Double)).collect();
    let broadcast = Tensor::f_broadcast_tensors(&doubles).map_err(|_| Error::Shape {
        what: format!("parameters of {family}"),
        found: parameters[parameters.len() - 1].size(),
        expected: format!("the other parameter's shape {:?}", parameters[0].size()),
    })?;
    Ok((broadcast, kind))
}

fn precision(kind: Kind) -> u8 {
    match kind {
        Kind::Double => 2,
        Kind::Float => 1,
        _ => 0,
    }
}

/// Fails with the first value for which `inside` is false. Reads the parameter back from its device.
pub(crate) fn check(name: &str, values: &Tensor, inside: &Tensor, allowed: &str) -> Result<()> {
    let outside = inside.logical_not();
    if outside.any().int64_value(&[]) == 0 {
        return Ok(());
    }
    let first = values.masked_select(&outside).double_value(&[0]);
    Err(Error::parameter(name, first, allowed))
}

/// Whether two shapes broadcast together.
pub(crate) fn broadcasts(left: &[i64], right: &[i64]) -> bool {
    left.iter().rev().zip(right.iter().rev()).all(|(&l, &r)| l == r || l == 1 || r == 1)
}

/// `sample_shape + batch_shape`.
pub(crate) fn extended(sample_shape: &[i64], batch_shape: &[i64]) -> Vec<i64> {
    [sample_shape, batch_shape].concat()
}

/// `(log 0, log 1)` for tails outside the support, as tensors like `like`.
pub(crate) fn certain(like: &Tensor) -> (Tensor, Tensor) {
    (like.full_like(f64::NEG_INFINITY), like.zeros_like())
}
