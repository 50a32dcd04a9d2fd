//! The trait of all families.

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
/// A family writes its name, its parameters, its support, its log-pmf and its first two moments. Tails, excesses and
/// samples follow by summation, and are overridden where a closed form is faster.
pub trait Distribution: std::fmt::Debug + Send {
    /// The family's name, for messages.
    fn name(&self) -> &str;

    /// The kind of truncated laws and of samples: float64 for float64 parameters, else float32.
    fn kind(&self) -> Kind;

    /// The parameters, all of the same batch shape; at least one.
    fn parameters(&self) -> Vec<Parameter>;

    /// The same family at other parameters, unchecked: as many as [`parameters`](Self::parameters) gives, in its order,
    /// float64.
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

    /// Whether an atom inside the support may weigh exactly nothing. A family without such atoms says `false`, which
    /// saves work.
    fn may_vanish(&self) -> bool {
        true
    }

    /// Whether [`log_pmf`](Self::log_pmf) runs smoothly through the numbers between the integers, and has one mode, so
    /// that long sums need only some of their terms. A family for which this holds says `true`, which saves work;
    /// others are summed term by term.
    fn is_smooth(&self) -> bool {
        false
    }

    /// An upper bound of the log mass of `k` and all integers farther from zero on that side, where the family has one:
    /// sums that the ratio test would not end are ended by it.
    fn log_tail_bound(&self, _k: i64) -> Option<Tensor> {
        None
    }

    /// The first and the last integer that a sum must not end before, where the law knows them: outside, there is next
    /// to no mass in any row. A law with several modes needs it, since the ratio test ends a sum between two of them.
    fn extent(&self) -> Option<(i64, i64)> {
        None
    }

    /// Whether [`log_tails`](Self::log_tails) is a closed form, which takes less time than [`mean`](Self::mean) and
    /// [`variance`](Self::variance) do.
    fn has_closed_tails(&self) -> bool {
        false
    }

    /// `(log P(X < k), log P(X >= k))`, each of shape `batch_shape`, float64, both accurate however small.
    ///
    /// # Errors
    /// When the tail is a sum that does not end.
    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        sums::log_tails(self, k)
    }

    /// `(log E[max(k - X, 0)], log E[max(X - k, 0)])`: how far, on average, the law reaches beyond `k` on each side;
    /// each of shape `batch_shape`, float64, both accurate however small.
    ///
    /// # Errors
    /// When the tail is a sum that does not end.
    fn log_partial_expectations(&self, k: i64) -> Result<(Tensor, Tensor)> {
        sums::log_partial_expectations(self, k)
    }

    /// Draws of shape `sample_shape + batch_shape`, without gradient: exact where the family has a method of its own,
    /// and otherwise from the window that leaves out 1e-12 of the mass.
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
        let (lo, hi) = find_window(law.as_ref(), 1e-12)?;
        let (mass_below, mass_above) = self.support().beyond_window(lo, hi);
        let log_weights = window_log_weights(law.as_ref(), (lo, hi), (mass_below && lo < hi, mass_above && lo < hi))?;
        let rows = log_weights.to_kind(self.kind()).exp().reshape([-1, hi - lo + 1]);
        let index = rows.f_multinomial(sample_shape.iter().product(), true)?.transpose(0, 1).reshape([-1]);
        let atoms = Tensor::f_arange_start(lo, hi + 1, (self.kind(), self.device()))?;
        Ok(atoms.index_select(0, &index).reshape(shape))
    }

    /// The laws of the batch as plain numbers, for the one-pass sampler; nothing where the family does not offer it, or
    /// is not on the CPU.
    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        None
    }

    /// Mean and family, where the law is of counts whose moments are closed forms: so it can be drawn from without a
    /// window.
    fn count_moments(&self) -> Option<CountMoments> {
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

/// Log weights `batch_shape + [n]` of the integers of a window, float64; those outside are merged into the first, the
/// last, or dropped.
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

/// The same law again, on the same tensors.
pub(crate) fn cloned<D: Distribution + ?Sized>(distribution: &D) -> Box<dyn Distribution> {
    distribution.with_parameters(values(distribution))
}

/// The parameters' values, in their order.
pub(super) fn values<D: Distribution + ?Sized>(distribution: &D) -> Vec<Tensor> {
    distribution.parameters().into_iter().map(|parameter| parameter.value).collect()
}

/// The shape of draws, `sample_shape + batch_shape`; fails where they would take more memory than a call may.
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
