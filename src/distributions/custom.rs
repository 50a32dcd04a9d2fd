//! A distribution of the user's own: a log-pmf as a closure over a support.
//!
//! Nothing else is asked for. Tails, moments and samples are sums of the pmf over the integers, which end where the
//! **ratio test** bounds the rest: when a run of terms weighs `r` times the run before, and later ratios are no larger,
//! what follows the last run, of mass `m`, is at most `m r / (1 - r)`. For a tail that falls off by ever larger ratios
//! a bound can be given instead.
//!
//! A law with several modes is whole when its total is one, or its range is given. Beyond the first end of a law
//! without a range, further modes are searched for if it is unnormalised, or its total is below one. What is left out,
//! less than a part in 10^18, is missing in moments too: those of tails that fall off as a power of `k` lack more than
//! that.

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

/// A closure of the user's. It may own tensors, which can be sent to another thread but not shared with it: hence the
/// lock.
#[derive(Clone)]
struct Closure(Arc<Mutex<OfParametersAndAtoms>>);

type OfParametersAndAtoms = dyn Fn(&[Tensor], &Tensor) -> Tensor + Send;

impl Closure {
    fn new(closure: impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(closure)))
    }

    /// In float64.
    fn call(&self, parameters: &[Tensor], k: &Tensor) -> Tensor {
        let closure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closure(parameters, k).to_kind(Kind::Double)
    }
}

/// Integers on each side of zero, or of the support's end, among which the mass of a law without a range must begin.
const SEARCHED: i64 = 1 << 20;

/// What rounding may take from a total of one, in nats; a law that lacks more has mass elsewhere.
const ROUNDING: f64 = 1e-11;

/// How far a law's total may be below and above one and still count as normalised: what it lacks may be mass far away.
const NORMALIZED: (f64, f64) = (1e-9, 1e-6);

/// A batch of distributions with a log-pmf of the user's own.
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

/// What the laws of a batch share.
struct Law {
    name: String,
    names: Vec<String>,
    support: Support,
    log_pmf: Closure,
    tail_bound: Option<Closure>,
    kind: Kind,
    /// The integers outside which there is less than 1e-18 of the mass; while they are looked for, those among which it
    /// must begin.
    extent: (i64, i64),
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(&self.law.name).field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// What a [`Custom`] distribution is made of, before its log-pmf.
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
    /// Adds a parameter, handed to the log-pmf in the order of the calls; all broadcast together.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &Tensor) -> Self {
        self.names.push(name.into());
        self.parameters.push(value.shallow_clone());
        self
    }

    /// Ends sums by a bound instead of the ratio test: the closure gives an upper bound of the log mass of `k` and all
    /// integers farther from zero on that side, for the parameters and `k` as the log-pmf gets them.
    #[must_use]
    pub fn tail_bound(mut self, bound: impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static) -> Self {
        self.tail_bound = Some(Closure::new(bound));
        self
    }

    /// Says that nearly all of the mass lies from `first` to `last`, both included: sums do not end before, and no
    /// other modes are searched for.
    #[must_use]
    pub fn range(mut self, first: i64, last: i64) -> Self {
        self.range = Some((first, last));
        self
    }

    /// Divides by the sum of all terms, which is part of the gradient.
    ///
    /// On an endless support, and without a [`range`](Self::range), modes are searched for: among 4,096 to 131,072
    /// integers one by one (the fewer, the larger the batch), and beyond in steps of the square root of their distance
    /// from zero. A narrower mode farther out needs the range.
    #[must_use]
    pub fn unnormalized(mut self) -> Self {
        self.unnormalized = true;
        self
    }

    /// The distribution with this log-pmf: from the parameters and integers `k` of the support, both float64, to
    /// `log P(X = k)`, by tensor operations that broadcast them; minus infinity where there is no mass.
    ///
    /// # Errors
    /// When parameters do not broadcast, the log-pmf has another shape, is NaN or plus infinity, does not fall off, or
    /// (unless it may be unnormalised) does not sum to one, at most 1e-9 less or 1e-6 more. Looks at the values, which
    /// reads them back from their device.
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
        let anywhere = self.support.nearest(0);
        let law = Law {
            name: self.name,
            names: self.names,
            support: self.support,
            log_pmf: Closure::new(log_pmf),
            tail_bound: self.tail_bound,
            kind,
            extent: (anywhere.saturating_sub(SEARCHED), anywhere.saturating_add(SEARCHED)),
        };
        let mut custom = Custom { law: Arc::new(law), parameters, log_normalizer: None };
        custom.check_shape()?;
        let mut extent = match self.range {
            Some(range) => custom.checked_range(range)?,
            None => custom.find_extent(self.unnormalized)?,
        };
        let mut log_total = custom.log_total(extent);
        // What a normalised law lacks may lie farther out.
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
                give the `range` if mass lies beyond a gap";
            let what = format!("total mass of {} between {first} and {last}", custom.law.name);
            crate::checks::require(&what, &total, &is_one, allowed)?;
        }
        Ok(custom)
    }
}

/// Fails where a support ends before it begins.
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
    /// Starts a distribution of this name on this support.
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

    /// Fails unless the closure maps a row of atoms to a row for each law, without NaN.
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
                expected: format!("{expected:?}, the parameters' shape and one entry an atom"),
            });
        }
        Ok(())
    }

    /// The integers that hold all but a negligible part of the mass.
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

    /// An integer with mass beyond `end`, coming from `start`.
    fn mass_beyond(&self, (start, end): (i64, i64), sign: i64) -> Result<Option<i64>> {
        let (first, last) = self.checked_extent(start.min(end), start.max(end))?;
        let rows: Vec<Tensor> = self.parameters.iter().map(|p| p.unsqueeze(-1)).collect();
        let of_rows = |ks: &Tensor| self.law.log_pmf.call(&rows, ks);
        let negligible = {
            let _guard = no_grad_guard();
            let ks = Tensor::arange_start(first, last + 1, (Kind::Double, Self::device_of(&self.parameters)));
            of_rows(&ks).clamp_min(LOG_ZERO).logsumexp(-1, false) - sums::NEGLIGIBLE
        };
        let place = (start, sign, (end - start).abs() + 1);
        Ok(farther_mass(of_rows, place, &negligible, Self::device_of(&self.parameters)))
    }

    fn checked_range(&self, (first, last): (i64, i64)) -> Result<(i64, i64)> {
        let support = self.law.support;
        if first > last || support.nearest(first) != first || support.nearest(last) != last {
            let allowed = format!("an interval within the support, {support}");
            return Err(Error::parameter(format!("range of {}", self.law.name), format!("{first}..={last}"), allowed));
        }
        self.checked_extent(first, last)
    }

    fn checked_extent(&self, first: i64, last: i64) -> Result<(i64, i64)> {
        let count = last.checked_sub(first).filter(|&count| count <= 2 * crate::checks::LARGEST_ATOM);
        let Some(count) = count else {
            let allowed = format!("of at most {} integers", 2 * crate::checks::LARGEST_ATOM);
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
