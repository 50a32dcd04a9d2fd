//! Discrete distributions with tensor parameters, and the trait they share.
//!
//! One family, one file. Every result is **float64**, whatever the kind of the parameters: a log-pmf is a small difference
//! of large numbers (`k log rate - rate - log k!` at a rate of 1,000 subtracts terms of 7,000), and float32 has no digits
//! left for it. [`TruncatedDistribution`] rounds at the end: to float64 for float64 parameters,
//! to float32 for all others, so that half-precision parameters give laws in float32.
//!
//! | family | support | parameters |
//! |---|---|---|
//! | [`Bernoulli`] | 0, 1 | `probs` or `logits` |
//! | [`Binomial`] | 0 ..= `total_count` | `probs` or `logits` |
//! | [`BetaBinomial`] | 0 ..= `total_count` | `concentration1`, `concentration0` |
//! | [`Categorical`] | 0 .. classes | `logits` |
//! | [`Hypergeometric`] | successes in `draws` draws | `population`, `successes` |
//! | [`Poisson`] | 0, 1, ... | `rate` |
//! | [`ZeroInflatedPoisson`] | 0, 1, ... | `gate`, `rate` |
//! | [`ConwayMaxwellPoisson`] | 0, 1, ... | `rate`, `nu` |
//! | [`Geometric`] | 0, 1, ... | `probs` or `logits` |
//! | [`NegativeBinomial`] | 0, 1, ... | `total_count`, `probs` or `logits` |
//! | [`Skellam`] | all integers | `rate1`, `rate2` |
//! | [`DiscretizedLogistic`] | all integers | `loc`, `scale` |
//! | [`Zipf`] | 1 ..= `size` | `exponent` |
//! | [`Mixture`] | that of its components | `logits`, and those of its components |
//! | [`Custom`] | any | any: a closure |
//!
//! [`Multinomial`] is a law of vectors; it is sampled through [`MultinomialRelaxation`](crate::relaxation::MultinomialRelaxation).

mod bernoulli;
mod beta_binomial;
mod binomial;
mod catalogue;
mod categorical;
mod conway_maxwell_poisson;
mod custom;
mod discretized_logistic;
mod farther;
mod geometric;
mod hypergeometric;
mod mixture;
mod multinomial;
mod negative_binomial;
mod poisson;
mod probability;
mod skellam;
mod zero_inflated_poisson;
mod zipf;

pub use bernoulli::Bernoulli;
pub use beta_binomial::BetaBinomial;
pub use binomial::Binomial;
pub(crate) use catalogue::whole_number;
pub use catalogue::{CATALOGUE, CatalogueEntry};
pub use categorical::Categorical;
pub use conway_maxwell_poisson::ConwayMaxwellPoisson;
pub use custom::{Custom, CustomBuilder};
pub use discretized_logistic::DiscretizedLogistic;
pub use geometric::Geometric;
pub use hypergeometric::Hypergeometric;
pub use mixture::Mixture;
pub use multinomial::Multinomial;
pub use negative_binomial::NegativeBinomial;
pub use poisson::Poisson;
pub use skellam::Skellam;
pub use zero_inflated_poisson::ZeroInflatedPoisson;
pub use zipf::Zipf;

use crate::checks::{check_floating, real};
use crate::limits::check_shape;
use crate::relaxation::one_pass::Rows;
use crate::summation;
use crate::truncation::Truncation;
use crate::{Error, Result, TruncatedDistribution};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The largest integer, up to its sign, that a window or a finite support may reach: 2^24, where float32 stops counting.
pub const LARGEST_ATOM: i64 = 1 << 24;

/// The integers that carry mass: from `lowest` up to `highest`, or without end on a side that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The smallest atom, if there is one.
    pub lowest: Option<i64>,
    /// The largest atom, if there is one.
    pub highest: Option<i64>,
}

impl Support {
    /// All integers.
    pub const INTEGERS: Self = Self { lowest: None, highest: None };

    /// `lowest, lowest + 1, ...` without end.
    pub const fn from(lowest: i64) -> Self {
        Self { lowest: Some(lowest), highest: None }
    }

    /// `lowest ..= highest`.
    pub const fn between(lowest: i64, highest: i64) -> Self {
        Self { lowest: Some(lowest), highest: Some(highest) }
    }

    /// Whether atoms lie below `lo`, and whether atoms lie above `hi`.
    pub(crate) fn beyond_window(self, lo: i64, hi: i64) -> (bool, bool) {
        (self.lowest.is_none_or(|lowest| lowest < lo), self.highest.is_none_or(|highest| hi < highest))
    }

    /// The atom nearest to `k`.
    pub(crate) fn nearest(self, k: i64) -> i64 {
        let k = self.lowest.map_or(k, |lowest| k.max(lowest));
        self.highest.map_or(k, |highest| k.min(highest))
    }
}

impl std::fmt::Display for Support {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |end: Option<i64>| end.map_or("without end".to_string(), |end| end.to_string());
        write!(f, "from {} to {}", end(self.lowest), end(self.highest))
    }
}

/// A parameter of a distribution.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, as in the constructor.
    pub name: String,
    /// Float64, broadcast to the batch shape and the parameter's own dimensions, with the graph it came with.
    pub value: Tensor,
    /// How many trailing dimensions are the parameter's own, as the classes of a categorical's logits.
    pub own_dims: usize,
}

impl Parameter {
    /// A parameter that is one number for each law of the batch.
    pub fn scalar(name: impl Into<String>, value: &Tensor) -> Self {
        Self { name: name.into(), value: value.shallow_clone(), own_dims: 0 }
    }
}

/// A discrete law on the integers with tensor parameters and a batch shape.
///
/// A family writes its name, its parameters, its support, its log-pmf and its first two moments. Tails, excesses and samples
/// follow by summation, and are overridden where a closed form is faster.
pub trait Distribution: std::fmt::Debug + Send {
    /// The family's name, for messages.
    fn name(&self) -> &str;

    /// The kind of truncated laws and of samples: float64 for float64 parameters, else float32.
    fn kind(&self) -> Kind;

    /// The parameters, all of the same batch shape; at least one.
    fn parameters(&self) -> Vec<Parameter>;

    /// The same family at other parameters, unchecked: as many as [`parameters`](Self::parameters) gives, in its order, float64.
    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution>;

    /// Where the mass lies; one for the whole batch.
    fn support(&self) -> Support;

    /// `E[X]`, of shape `batch_shape`, float64.
    fn mean(&self) -> Tensor;

    /// `Var[X]`, of shape `batch_shape`, float64.
    fn variance(&self) -> Tensor;

    /// `log P(X = k)` at integers `k` of the support, unchecked, float64: what a family is made of.
    ///
    /// # Shapes
    /// `k` float64, broadcasts against `batch_shape`.
    fn log_pmf(&self, k: &Tensor) -> Tensor;

    /// Whether an atom inside the support may weigh exactly nothing. A family without such atoms says `false`, which saves work.
    fn may_vanish(&self) -> bool {
        true
    }

    /// Whether [`log_pmf`](Self::log_pmf) runs smoothly through the numbers between the integers, and has one mode, so that long sums need
    /// only some of their terms. A family for which this holds says `true`, which saves work; others are summed term by term.
    fn is_smooth(&self) -> bool {
        false
    }

    /// An upper bound of the log mass of `k` and all integers farther from zero on that side, where the family has one: sums that
    /// the ratio test would not end are ended by it.
    fn log_tail_bound(&self, _k: i64) -> Option<Tensor> {
        None
    }

    /// The first and the last integer that a sum must not end before, where the law knows them: outside, there is next to no mass in any row.
    /// A law with several modes needs it, since the ratio test ends a sum between two of them.
    fn extent(&self) -> Option<(i64, i64)> {
        None
    }

    /// `(log P(X < k), log P(X >= k))`, each of shape `batch_shape`, float64, both accurate however small.
    ///
    /// # Errors
    /// When the tail is a sum that does not end.
    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        summation::log_tails(self, k)
    }

    /// `(log E[max(k - X, 0)], log E[max(X - k, 0)])`: how far, on average, the law reaches beyond `k` on each side; each of
    /// shape `batch_shape`, float64, both accurate however small.
    ///
    /// # Errors
    /// When the tail is a sum that does not end.
    fn log_excesses(&self, k: i64) -> Result<(Tensor, Tensor)> {
        summation::log_excesses(self, k)
    }

    /// Draws of shape `sample_shape + batch_shape`, without gradient: exact where the family has a method of its own, and
    /// otherwise from the window that leaves out 1e-12 of the mass.
    ///
    /// # Errors
    /// When libtorch refuses (a negative size, say), or there is no such window.
    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let shape = drawn_shape(sample_shape, self)?;
        if shape.contains(&0) {
            return Ok(Tensor::f_zeros(&shape, (self.kind(), self.device()))?);
        }
        let law = cloned(self);
        let truncation = Truncation::tail_mass(1e-12).resolve(law.as_ref())?;
        let window = TruncatedDistribution::new(law.as_ref(), &Truncation::between(truncation.0, truncation.1))?;
        let rows = window.log_weights().exp().reshape([-1, window.len()]);
        let index = rows.f_multinomial(sample_shape.iter().product(), true)?.transpose(0, 1).reshape(shape);
        Ok(window.select(index))
    }

    /// The laws of the batch as plain numbers, for the one-pass sampler; nothing where the family does not offer it, or is not on
    /// the CPU.
    fn rows(&self) -> Option<Box<dyn Rows>> {
        None
    }

    /// The rate, float64 and of shape `batch_shape`, where the law is a Poisson: for estimators that are made for it.
    fn poisson_rate(&self) -> Option<Tensor> {
        None
    }

    /// The broadcast shape of the parameters.
    fn batch_shape(&self) -> Vec<i64> {
        self.parameters().first().map_or_else(Vec::new, |parameter| {
            let mut shape = parameter.value.size();
            shape.truncate(shape.len() - parameter.own_dims);
            shape
        })
    }

    /// The device of the parameters.
    fn device(&self) -> Device {
        self.parameters().first().map_or(Device::Cpu, |parameter| parameter.value.device())
    }

    /// The same law with batch shape `batch_shape + [1]`, ready to broadcast against a row of atoms.
    fn unsqueeze(&self) -> Box<dyn Distribution> {
        let widened = |p: Parameter| p.value.unsqueeze(-1 - p.own_dims as i64);
        self.with_parameters(self.parameters().into_iter().map(widened).collect())
    }

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
        check_shape("log_prob of a value", &broadcast_shape(&value.size(), &batch_shape), Kind::Double)?;
        Ok(masked_log_pmf(self, &real(value, "value of log_prob", Kind::Double, self.device())?))
    }
}

/// The log-pmf of float64 values, minus infinity outside the support and between the integers.
pub(crate) fn masked_log_pmf<D: Distribution + ?Sized>(distribution: &D, value: &Tensor) -> Tensor {
    let support = distribution.support();
    let mut inside = value.eq_tensor(&value.floor()).logical_and(&value.isfinite());
    if let Some(lowest) = support.lowest {
        inside = inside.logical_and(&value.ge(lowest as f64));
    }
    if let Some(highest) = support.highest {
        inside = inside.logical_and(&value.le(highest as f64));
    }
    // The formula sees an atom where the value is outside, so that no gradient is NaN where it is not taken.
    let anywhere = support.nearest(0) as f64;
    let log_pmf = distribution.log_pmf(&value.where_self(&inside, &value.full_like(anywhere)));
    log_pmf.where_self(&inside, &log_pmf.full_like(f64::NEG_INFINITY))
}

/// The same law again, on the same tensors.
pub(crate) fn cloned<D: Distribution + ?Sized>(distribution: &D) -> Box<dyn Distribution> {
    distribution.with_parameters(distribution.parameters().into_iter().map(|parameter| parameter.value).collect())
}

/// Parameters broadcast to one shape, in float64, and the kind of what is made of them.
pub(crate) fn broadcast(family: &str, parameters: &[&Tensor]) -> Result<(Vec<Tensor>, Kind)> {
    for parameter in parameters {
        check_floating(&format!("a parameter of {family}"), parameter, "a floating-point kind")?;
    }
    let mut shape = Vec::new();
    for parameter in parameters {
        if !broadcasts(&parameter.size(), &shape) {
            return Err(Error::Shape {
                what: format!("parameters of {family}"),
                found: parameter.size(),
                expected: format!("the other parameter's shape {shape:?}"),
            });
        }
        shape = broadcast_shape(&shape, &parameter.size());
    }
    check_shape(&format!("parameters of {family}"), &shape, Kind::Double)?;
    let double = parameters.iter().any(|t| t.kind() == Kind::Double);
    let doubles: Vec<Tensor> = parameters.iter().map(|t| t.to_kind(Kind::Double)).collect();
    let broadcast = Tensor::f_broadcast_tensors(&doubles)?;
    Ok((broadcast, if double { Kind::Double } else { Kind::Float }))
}

/// Takes the one tensor out of a list of parameters.
pub(crate) fn only<T>(mut values: Vec<T>) -> T {
    values.swap_remove(0)
}

/// Takes the two tensors out of a list of parameters.
pub(crate) fn pair<T>(mut values: Vec<T>) -> (T, T) {
    let second = values.swap_remove(1);
    (values.swap_remove(0), second)
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

/// Fails unless all values are positive and within 1e-300..=1e30, beyond which products and quotients of parameters leave float64. Reads
/// the parameter back from its device.
pub(crate) fn check_positive(name: &str, values: &Tensor) -> Result<()> {
    check(name, values, &values.ge(1e-300).logical_and(&values.le(1e30)), "positive, from 1e-300 to 1e30")
}

/// Fails unless a number of trials lies in what a window can hold.
pub(crate) fn check_count(name: &str, count: i64) -> Result<()> {
    if !(1..=LARGEST_ATOM).contains(&count) {
        return Err(Error::parameter(name, count, format!("from 1 to {LARGEST_ATOM}")));
    }
    Ok(())
}

/// Whether two shapes broadcast together.
pub(crate) fn broadcasts(left: &[i64], right: &[i64]) -> bool {
    left.iter().rev().zip(right.iter().rev()).all(|(&l, &r)| l == r || l == 1 || r == 1)
}

/// The shape to which two that broadcast do.
pub(crate) fn broadcast_shape(left: &[i64], right: &[i64]) -> Vec<i64> {
    let dims = left.len().max(right.len());
    let at = |shape: &[i64], i: usize| if i + shape.len() >= dims { shape[i + shape.len() - dims] } else { 1 };
    (0..dims).map(|i| if at(left, i) == 1 { at(right, i) } else { at(left, i) }).collect()
}

/// The shape of draws, `sample_shape + batch_shape`; fails where they would take more memory than a call may.
pub(crate) fn drawn_shape<D: Distribution + ?Sized>(sample_shape: &[i64], distribution: &D) -> Result<Vec<i64>> {
    let shape = extended(sample_shape, &distribution.batch_shape());
    check_shape(&format!("draws of a {}", distribution.name()), &shape, Kind::Double)?;
    Ok(shape)
}

/// `sample_shape + batch_shape`.
pub(crate) fn extended(sample_shape: &[i64], batch_shape: &[i64]) -> Vec<i64> {
    [sample_shape, batch_shape].concat()
}

/// `(log 0, log 1)` for tails outside the support, as tensors like `like`.
pub(crate) fn certain(like: &Tensor) -> (Tensor, Tensor) {
    (like.full_like(f64::NEG_INFINITY), like.zeros_like())
}
