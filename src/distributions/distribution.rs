//! The trait that all families implement.

use super::count_moments::CountMoments;
use super::quantiles::{Tails, find_window};
use super::sums;
use super::support::Support;
use crate::checks::{broadcast_shape, broadcasts, extended, real};
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::recurrences::LawBatch;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A parameter of a distribution.
#[derive(Debug)]
pub struct Parameter {
    /// The parameter's name, as in the constructor.
    pub name: String,
    /// The value, float64, broadcast to `batch_shape` + the parameter's own dimensions; it keeps its autograd graph.
    pub value: Tensor,
    /// The number of trailing dimensions that belong to the parameter: 1 for the classes of a categorical's logits, 0
    /// for a number.
    pub own_dims: usize,
}

impl Parameter {
    /// Makes a parameter with one number per law of the batch.
    pub fn scalar(name: impl Into<String>, value: &Tensor) -> Self {
        Self { name: name.into(), value: value.shallow_clone(), own_dims: 0 }
    }
}

/// A discrete law on the integers with tensor parameters and a batch shape.
///
/// A family writes its name, parameters, support, log-pmf and first two moments. Tails, partial expectations and
/// samples default to sums over the pmf; a family overrides them if it has a faster closed form.
pub trait Distribution: std::fmt::Debug + Send {
    /// Returns the family's name, for messages.
    fn name(&self) -> &str;

    /// Returns the kind of truncated laws and of samples: float64 for float64 parameters, else float32.
    fn kind(&self) -> Kind;

    /// Returns the parameters, all of the same batch shape; at least one.
    fn parameters(&self) -> Vec<Parameter>;

    /// Makes a law of the same family with other parameters: as many as [`parameters`](Self::parameters) returns, in
    /// its order, float64. Their values are not checked.
    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution>;

    /// Returns the range of the integers with mass; one range for the whole batch.
    fn support(&self) -> Support;

    /// Returns `E[X]`, of shape `batch_shape`, float64.
    fn mean(&self) -> Tensor;

    /// Returns `Var[X]`, of shape `batch_shape`, float64.
    fn variance(&self) -> Tensor;

    /// Computes `log P(X = k)` at integers `k` of the support, float64. It does not check `k`.
    fn log_pmf(&self, k: &Tensor) -> Tensor;

    /// Returns whether an atom inside the support may have a mass of exactly zero. `false` saves work.
    fn may_vanish(&self) -> bool {
        true
    }

    /// Returns whether [`log_pmf`](Self::log_pmf) is smooth between the integers and the law has one mode. `true` saves
    /// work: long sums then use only some of their terms.
    fn is_smooth(&self) -> bool {
        false
    }

    /// Returns an upper bound of the log mass of `k` and all integers farther from zero on the same side; `None` if the
    /// family has none. The bound ends sums that the ratio test (see [`Custom`](super::Custom)) would not end.
    fn log_tail_bound(&self, _k: i64) -> Option<Tensor> {
        None
    }

    /// Returns the first and last integer that every sum must include; `None` if they are unknown. The mass outside is
    /// negligible in all rows. A law with several modes needs them, since the ratio test may end a sum between two
    /// modes.
    fn extent(&self) -> Option<(i64, i64)> {
        None
    }

    /// Returns whether [`log_tails`](Self::log_tails) is a closed form, cheaper than [`mean`](Self::mean) and
    /// [`variance`](Self::variance).
    fn has_closed_tails(&self) -> bool {
        false
    }

    /// Computes `(log P(X < k), log P(X >= k))`, each of shape `batch_shape`, float64. Small probabilities keep their
    /// relative accuracy.
    ///
    /// # Errors
    /// Fails if the tail has too many terms to be summed.
    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        sums::log_tails(self, k)
    }

    /// Computes `(log E[max(k - X, 0)], log E[max(X - k, 0)])`, each of shape `batch_shape`, float64. Small values keep
    /// their relative accuracy.
    ///
    /// # Errors
    /// Fails if the tail has too many terms to be summed.
    fn log_partial_expectations(&self, k: i64) -> Result<(Tensor, Tensor)> {
        sums::log_partial_expectations(self, k)
    }

    /// Draws samples of shape `sample_shape + batch_shape`, without gradient. They are exact if the family has its own
    /// method; the default samples from a window that leaves out 1e-12 of the mass.
    ///
    /// # Errors
    /// Fails if the shape has a negative size or too many elements, or if no window within
    /// ±[`LARGEST_ATOM`](crate::checks::LARGEST_ATOM) holds the mass.
    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let shape = drawn_shape(sample_shape, self)?;
        if shape.contains(&0) {
            return Ok(Tensor::f_zeros(&shape, (self.kind(), self.device()))?);
        }
        let law = cloned(self);
        let (lo, hi) = find_window(law.as_ref(), 1e-12)?;
        let (mass_below, mass_above) = self.support().beyond_window(lo, hi);
        let log_weights = window_log_weights(law.as_ref(), (lo, hi), (mass_below && lo < hi, mass_above && lo < hi))?;
        let rows = log_weights.to_kind(self.kind()).exp().reshape([-1, hi - lo + 1]);
        let index = rows.f_multinomial(sample_shape.iter().product(), true)?.transpose(0, 1).reshape([-1]);
        let atoms = Tensor::f_arange_start(lo, hi + 1, (self.kind(), self.device()))?;
        Ok(atoms.index_select(0, &index).reshape(shape))
    }

    /// Returns the laws of the batch as `f64` recurrences, for the one-pass sampler; `None` if the family has none or
    /// the parameters are not on the CPU.
    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        None
    }

    /// Returns the mean and the family of counts whose moments are closed forms, which can be drawn without a window;
    /// `None` for other families.
    fn count_moments(&self) -> Option<CountMoments> {
        None
    }

    /// Returns the rate of a Poisson, float64, of shape `batch_shape`, for estimators that need it; `None` for other
    /// families.
    fn poisson_rate(&self) -> Option<Tensor> {
        None
    }

    /// Returns the broadcast shape of the parameters.
    fn batch_shape(&self) -> Vec<i64> {
        self.parameters().first().map_or_else(Vec::new, |parameter| {
            let mut shape = parameter.value.size();
            shape.truncate(shape.len() - parameter.own_dims);
            shape
        })
    }

    /// Returns the device of the parameters.
    fn device(&self) -> Device {
        self.parameters().first().map_or(Device::Cpu, |parameter| parameter.value.device())
    }

    /// Returns the same law with batch shape `batch_shape + [1]`, to broadcast against a row of atoms.
    fn unsqueeze(&self) -> Box<dyn Distribution> {
        let widened = |p: Parameter| p.value.unsqueeze(-1 - p.own_dims as i64);
        self.with_parameters(self.parameters().into_iter().map(widened).collect())
    }

    /// Computes `log P(X = value)`, float64: minus infinity outside the support and between the integers.
    ///
    /// # Shapes
    /// `value` broadcasts against `batch_shape`; the result has the broadcast shape.
    ///
    /// # Errors
    /// Fails if the shapes do not broadcast.
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

/// Computes the log-pmf of float64 values: minus infinity outside the support and between the integers.
pub(crate) fn masked_log_pmf<D: Distribution + ?Sized>(distribution: &D, value: &Tensor) -> Tensor {
    let support = distribution.support();
    let mut inside = value.eq_tensor(&value.floor()).logical_and(&value.isfinite());
    if let Some(lowest) = support.lowest {
        inside = inside.logical_and(&value.ge(lowest as f64));
    }
    if let Some(highest) = support.highest {
        inside = inside.logical_and(&value.le(highest as f64));
    }
    // Values outside are replaced by an atom before the formula, so that their gradient is zero and not NaN.
    let atom = support.nearest(0) as f64;
    let log_pmf = distribution.log_pmf(&value.where_self(&inside, &value.full_like(atom)));
    log_pmf.where_self(&inside, &log_pmf.full_like(f64::NEG_INFINITY))
}

/// Returns the log weights `batch_shape + [n]` of the integers `lo..=hi`, float64. Mass below and above is merged into
/// the first and the last integer if asked for, and dropped otherwise.
pub(crate) fn window_log_weights(
    distribution: &dyn Distribution,
    (lo, hi): (i64, i64),
    (merge_below, merge_above): (bool, bool),
) -> Result<Tensor> {
    let device = distribution.device();
    let ks =
        Tensor::f_arange_start(lo + i64::from(merge_below), hi + 1 - i64::from(merge_above), (Kind::Double, device))?;
    let mut parts = Vec::with_capacity(3);
    if merge_below {
        parts.push(distribution.log_tails(lo + 1)?.0.unsqueeze(-1));
    }
    if ks.numel() > 0 {
        parts.push(distribution.unsqueeze().log_pmf(&ks));
    }
    if merge_above {
        parts.push(distribution.log_tails(hi)?.1.unsqueeze(-1));
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, -1) })
}

/// Returns the same law on the same tensors.
pub(crate) fn cloned<D: Distribution + ?Sized>(distribution: &D) -> Box<dyn Distribution> {
    distribution.with_parameters(values(distribution))
}

/// Returns the values of the parameters, in their order.
pub(super) fn values<D: Distribution + ?Sized>(distribution: &D) -> Vec<Tensor> {
    distribution.parameters().into_iter().map(|parameter| parameter.value).collect()
}

/// Returns the shape of samples, `sample_shape + batch_shape`; fails if they would need more memory than one call may
/// take.
pub(crate) fn drawn_shape<D: Distribution + ?Sized>(sample_shape: &[i64], distribution: &D) -> Result<Vec<i64>> {
    let shape = extended(sample_shape, &distribution.batch_shape());
    check_shape(&format!("draws of a {}", distribution.name()), &shape, Kind::Double)?;
    Ok(shape)
}

impl<D: Distribution + ?Sized> sums::Pmf for D {
    fn name(&self) -> &str {
        Distribution::name(self)
    }

    fn support(&self) -> Support {
        Distribution::support(self)
    }

    fn batch_shape(&self) -> Vec<i64> {
        Distribution::batch_shape(self)
    }

    fn device(&self) -> Device {
        Distribution::device(self)
    }

    fn mean(&self) -> Tensor {
        Distribution::mean(self)
    }

    fn variance(&self) -> Tensor {
        Distribution::variance(self)
    }

    fn may_vanish(&self) -> bool {
        Distribution::may_vanish(self)
    }

    fn is_smooth(&self) -> bool {
        Distribution::is_smooth(self)
    }

    fn extent(&self) -> Option<(i64, i64)> {
        Distribution::extent(self)
    }

    fn log_tail_bound(&self, k: i64) -> Option<Tensor> {
        Distribution::log_tail_bound(self, k)
    }

    fn row(&self) -> Box<dyn Fn(&Tensor) -> Tensor> {
        let row = self.unsqueeze();
        Box::new(move |ks| row.log_pmf(ks))
    }
}

impl<D: Distribution + ?Sized> Tails for D {
    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        Distribution::log_tails(self, k)
    }
}
