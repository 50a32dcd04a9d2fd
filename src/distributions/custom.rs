//! A distribution with a user-defined log-pmf: a closure over a support.
//!
//! Tails, moments and samples are sums of the pmf over the integers. They end by the **ratio test**: if a run of terms
//! has mass `m`, `r` times the mass of the run before, and later ratios are no larger, then the terms after the run
//! have at most `m r / (1 - r)`. For a tail whose ratios grow towards one, you can give a bound instead.
//!
//! A law with several modes is complete if its total is one, or if its range is given. Otherwise (if it is
//! unnormalised, or its total is below one) further modes are searched for beyond the end of the sum. The omitted mass
//! is below a part in 10^18. Moments can lack more than that if the tail falls off as a power of `k`.

use super::distribution::{Distribution, Parameter};
use super::farther::farther_mass;
use super::sums::{self, Direction};
use super::support::Support;
use crate::checks::{broadcast, extended};
use crate::error::{Error, Result};
use crate::math::LOG_ZERO;
use crate::platform::limits::check_shape;
use std::sync::{Arc, Mutex, PoisonError};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A user's closure. It may own tensors, which can be sent to another thread but not shared between threads, hence the
/// lock.
#[derive(Clone)]
struct Closure(Arc<Mutex<LogPmf>>);

type LogPmf = dyn Fn(&[Tensor], &Tensor) -> Tensor + Send;

impl Closure {
    fn new(closure: impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(closure)))
    }

    /// Calls the closure and converts its result to float64.
    fn call(&self, parameters: &[Tensor], k: &Tensor) -> Tensor {
        let closure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closure(parameters, k).to_kind(Kind::Double)
    }
}

/// The number of integers on each side of zero, or of the support's end, among which the mass of a law without a range
/// must begin.
const SEARCHED: i64 = 1 << 20;

/// The largest rounding error of a total of one, in nats. A law that lacks more has mass elsewhere.
const ROUNDING: f64 = 1e-11;

/// How far a total may lie below and above one and still count as normalised. Missing mass is tolerated less, because
/// it may lie far away.
const NORMALIZED: (f64, f64) = (1e-9, 1e-6);

/// A batch of distributions with a user-defined log-pmf.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// // The logarithmic distribution: P(X = k) = -p^k / (k log(1 - p)) for k = 1, 2, ...
/// let p = Tensor::from_slice(&[0.3, 0.8]).set_requires_grad(true);
/// let law = Custom::builder("Logarithmic", Support::from(1))
///     .parameter("p", &p)
///     .build(|parameters, k| k * parameters[0].log() - k.log() - parameters[0].neg().log1p().neg().log())?;
/// let exact: Tensor = -&p / ((1.0 - &p) * (-&p).log1p());
/// let error = (law.mean() - exact).abs().max().double_value(&[]);
/// assert!(error < 1e-12);
/// # Ok::<(), gengs::Error>(())
/// ```
pub struct Custom {
    law: Arc<Law>,
    parameters: Vec<Tensor>,
    log_normalizer: Option<Tensor>,
}

/// The definition that all laws of a batch share.
struct Law {
    name: String,
    names: Vec<String>,
    support: Support,
    log_pmf: Closure,
    tail_bound: Option<Closure>,
    kind: Kind,
    /// The first and last integer of a range outside which less than 1e-18 of the mass lies. While it is being searched
    /// for: the range in which the mass must begin.
    extent: (i64, i64),
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(&self.law.name).field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// The settings of a [`Custom`] distribution before its log-pmf is given.
pub struct CustomBuilder {
    name: String,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    support: Support,
    range: Option<(i64, i64)>,
    tail_bound: Option<Closure>,
    unnormalized: bool,
}

impl std::fmt::Debug for CustomBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomBuilder")
            .field("name", &self.name)
            .field("support", &self.support)
            .finish_non_exhaustive()
    }
}

impl CustomBuilder {
    /// Adds a parameter. The log-pmf receives the parameters in the order of the calls; they all broadcast together.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &Tensor) -> Self {
        self.names.push(name.into());
        self.parameters.push(value.shallow_clone());
        self
    }

    /// Ends sums by a bound in place of the ratio test. The closure receives the parameters and `k`, as the log-pmf
    /// does, and returns an upper bound of the log mass of `k` and all integers farther from zero on the same side.
    #[must_use]
    pub fn tail_bound(mut self, bound: impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static) -> Self {
        self.tail_bound = Some(Closure::new(bound));
        self
    }

    /// States that nearly all of the mass lies from `first` to `last`, inclusive: sums include this range, and no
    /// further modes are searched for.
    #[must_use]
    pub fn range(mut self, first: i64, last: i64) -> Self {
        self.range = Some((first, last));
        self
    }

    /// Divides the pmf by its total, and differentiates through the total.
    ///
    /// On an infinite support without a [`range`](Self::range), modes are searched for: at 4,096 to 131,072 successive
    /// integers (fewer for larger batches), and farther out in steps of the square root of the distance from zero. A
    /// narrower mode farther out needs the range.
    #[must_use]
    pub fn unnormalized(mut self) -> Self {
        self.unnormalized = true;
        self
    }

    /// Builds the distribution. The log-pmf receives the parameters and integers `k` of the support, all float64, and
    /// returns `log P(X = k)` of their broadcast shape, by tensor operations; minus infinity means no mass.
    ///
    /// # Errors
    /// Fails if the parameters do not broadcast, or if the log-pmf has another shape, is NaN or plus infinity, or does
    /// not fall off. Without [`unnormalized`](Self::unnormalized), it also fails if the total is not one, at most 1e-9
    /// less or 1e-6 more. The checks copy values from the device.
    pub fn build(self, log_pmf: impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static) -> Result<Custom> {
        let (parameters, kind) = if self.parameters.is_empty() {
            (Vec::new(), Kind::Float)
        } else {
            broadcast(&self.name, &self.parameters.iter().collect::<Vec<_>>())?
        };
        for (name, values) in self.names.iter().zip(&parameters) {
            crate::checks::require(&format!("{name} of {}", self.name), values, &values.isfinite(), "finite")?;
        }
        check_support(&self.name, &self.support)?;
        let start = self.support.nearest(0);
        let law = Law {
            name: self.name,
            names: self.names,
            support: self.support,
            log_pmf: Closure::new(log_pmf),
            tail_bound: self.tail_bound,
            kind,
            extent: (start.saturating_sub(SEARCHED), start.saturating_add(SEARCHED)),
        };
        let mut custom = Custom { law: Arc::new(law), parameters, log_normalizer: None };
        custom.check_shape()?;
        let mut extent = match self.range {
            Some(range) => custom.checked_range(range)?,
            None => custom.find_extent(self.unnormalized)?,
        };
        let mut log_total = custom.log_total(extent);
        // Mass that is missing from a total of one may lie farther out.
        if self.range.is_none() && !self.unnormalized && log_total.detach().lt(-ROUNDING).any().int64_value(&[]) != 0 {
            extent = custom.find_extent(true)?;
            log_total = custom.log_total(extent);
        }
        let (first, last) = extent;
        let law = Arc::into_inner(custom.law).map(|law| Law { extent, ..law });
        custom.law = Arc::new(law.ok_or_else(|| Error::Config("a law was shared while it was built".into()))?);
        let total = log_total.detach().exp();
        if self.unnormalized {
            let is_positive = log_total.isfinite().logical_and(&log_total.gt(LOG_ZERO / 2.0));
            let what = format!("total of {}", custom.law.name);
            crate::checks::require(&what, &total, &is_positive, "positive and finite")?;
            custom.log_normalizer = Some(log_total);
        } else {
            let is_one = total.ge(1.0 - NORMALIZED.0).logical_and(&total.le(1.0 + NORMALIZED.1));
            let allowed = "1, at most 1e-9 less or 1e-6 more; call `unnormalized` on the builder to divide by it, or \
                `range` if mass lies beyond a gap";
            let what = format!("total mass of {} between {first} and {last}", custom.law.name);
            crate::checks::require(&what, &total, &is_one, allowed)?;
        }
        Ok(custom)
    }
}

/// Checks that the support is not empty.
fn check_support(name: &str, support: &Support) -> Result<()> {
    match (support.lowest, support.highest) {
        (Some(lowest), Some(highest)) if lowest > highest => Err(Error::parameter(
            format!("support of {name}"),
            format!("{lowest}..={highest}"),
            "not empty: from the lowest atom to the highest",
        )),
        _ => Ok(()),
    }
}

impl Custom {
    /// Starts the definition of a distribution with the given name and support.
    pub fn builder(name: &str, support: Support) -> CustomBuilder {
        CustomBuilder {
            name: name.into(),
            names: Vec::new(),
            parameters: Vec::new(),
            support,
            range: None,
            tail_bound: None,
            unnormalized: false,
        }
    }

    fn device_of(parameters: &[Tensor]) -> Device {
        parameters.first().map_or(Device::Cpu, Tensor::device)
    }

    /// Checks that the log-pmf maps a row of atoms to a row per law.
    fn check_shape(&self) -> Result<()> {
        let _guard = no_grad_guard();
        let rows: Vec<Tensor> = self.parameters.iter().map(|p| p.unsqueeze(-1)).collect();
        let k = self.law.support.nearest(0) as f64;
        let device = Self::device_of(&self.parameters);
        let ks = Tensor::from_slice(&[k, k]).to_device(device);
        let found = self.law.log_pmf.call(&rows, &ks).size();
        let expected = extended(&self.batch_shape(), &[2]);
        if found != expected {
            return Err(Error::Shape {
                what: format!("log-pmf of {} at two atoms", self.law.name),
                found,
                expected: format!("{expected:?}: the parameters' shape and one entry per atom"),
            });
        }
        Ok(())
    }

    /// Returns the first and last integer of a range that holds all but a negligible part of the mass. `may_hide_mass`
    /// also searches for modes beyond gaps.
    fn find_extent(&self, may_hide_mass: bool) -> Result<(i64, i64)> {
        let support = self.law.support;
        let start = support.nearest(0);
        let end = |given: Option<i64>, direction: Direction| -> Result<i64> {
            let Some(end) = given else {
                let sign = if direction == Direction::Up { 1 } else { -1 };
                let mut end = start + sign * (sums::reach(self, start, direction)? - 1);
                while may_hide_mass && let Some(farther) = self.mass_beyond((start, end), sign)? {
                    end = farther + sign * (sums::reach(self, farther, direction)? - 1);
                }
                return Ok(end);
            };
            Ok(end)
        };
        self.checked_extent(end(support.lowest, Direction::Down)?, end(support.highest, Direction::Up)?)
    }

    /// Returns the integer farthest beyond `end` at which some row has mass that is not negligible; `None` if there is
    /// none. `start` and `end` bound the sum so far, in the direction of `sign`.
    fn mass_beyond(&self, (start, end): (i64, i64), sign: i64) -> Result<Option<i64>> {
        let (first, last) = self.checked_extent(start.min(end), start.max(end))?;
        let rows: Vec<Tensor> = self.parameters.iter().map(|p| p.unsqueeze(-1)).collect();
        let log_pmf = |ks: &Tensor| self.law.log_pmf.call(&rows, ks);
        let negligible = {
            let _guard = no_grad_guard();
            let ks = Tensor::arange_start(first, last + 1, (Kind::Double, Self::device_of(&self.parameters)));
            log_pmf(&ks).clamp_min(LOG_ZERO).logsumexp(-1, false) - sums::NEGLIGIBLE
        };
        let search = (start, sign, (end - start).abs() + 1);
        Ok(farther_mass(log_pmf, search, &negligible, Self::device_of(&self.parameters)))
    }

    fn checked_range(&self, (first, last): (i64, i64)) -> Result<(i64, i64)> {
        let support = self.law.support;
        if first > last || support.nearest(first) != first || support.nearest(last) != last {
            let allowed = format!("an interval inside the support, which goes {support}");
            return Err(Error::parameter(format!("range of {}", self.law.name), format!("{first}..={last}"), allowed));
        }
        self.checked_extent(first, last)
    }

    fn checked_extent(&self, first: i64, last: i64) -> Result<(i64, i64)> {
        let count = last.checked_sub(first).filter(|&count| count <= 2 * crate::checks::LARGEST_ATOM);
        let Some(count) = count else {
            let allowed = format!("at most {} integers", 2 * crate::checks::LARGEST_ATOM);
            return Err(Error::parameter(
                format!("support of {}", self.law.name),
                format!("{first}..={last}"),
                allowed,
            ));
        };
        let terms = extended(&self.batch_shape(), &[count + 1]);
        check_shape(&format!("a sum over the integers of {}", self.law.name), &terms, Kind::Double)?;
        Ok((first, last))
    }

    fn atoms(&self, (first, last): (i64, i64)) -> Tensor {
        Tensor::arange_start(first, last + 1, (Kind::Double, Self::device_of(&self.parameters)))
    }

    fn log_total(&self, extent: (i64, i64)) -> Tensor {
        let rows: Vec<Tensor> = self.parameters.iter().map(|p| p.unsqueeze(-1)).collect();
        let terms = self.law.log_pmf.call(&rows, &self.atoms(extent));
        terms.clamp_min(LOG_ZERO).logsumexp(-1, false)
    }

    fn expectation(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let ks = self.atoms(self.law.extent);
        let weights = self.unsqueeze().log_pmf(&ks).clamp_min(LOG_ZERO).exp();
        (weights * f(&ks)).sum_dim_intlist(-1, false, Kind::Double)
    }
}

impl Distribution for Custom {
    fn name(&self) -> &str {
        &self.law.name
    }

    fn kind(&self) -> Kind {
        self.law.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.law.names.iter().zip(&self.parameters).map(|(name, value)| Parameter::scalar(name, value)).collect()
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let mut custom = Self { law: self.law.clone(), parameters: values, log_normalizer: None };
        custom.log_normalizer = self.log_normalizer.is_some().then(|| custom.log_total(custom.law.extent));
        Box::new(custom)
    }

    fn support(&self) -> Support {
        self.law.support
    }

    fn extent(&self) -> Option<(i64, i64)> {
        Some(self.law.extent)
    }

    fn log_tail_bound(&self, k: i64) -> Option<Tensor> {
        let k = Tensor::from(k as f64).to_device(Self::device_of(&self.parameters));
        let bound = self.law.tail_bound.as_ref()?.call(&self.parameters, &k);
        Some(match &self.log_normalizer {
            Some(log_normalizer) => bound - log_normalizer,
            None => bound,
        })
    }

    fn mean(&self) -> Tensor {
        self.expectation(Tensor::shallow_clone)
    }

    fn variance(&self) -> Tensor {
        let mean = self.mean().unsqueeze(-1);
        self.expectation(|k| (k - mean).square())
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let log_pmf = self.law.log_pmf.call(&self.parameters, k);
        match &self.log_normalizer {
            Some(log_normalizer) => log_pmf - log_normalizer,
            None => log_pmf,
        }
    }
}
