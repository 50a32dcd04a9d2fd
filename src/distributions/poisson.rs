//! The Poisson distribution: the count of independent events at a given rate.
//!
//! `P(X = k) = rate^k exp(-rate) / k!` for `k = 0, 1, ...`; mean and variance are the rate.

use super::count_moments::{CountFamily, CountMoments};
use super::distribution::{Distribution, Parameter, drawn_shape, values};
use super::family_entry::FamilyEntry;
use super::sums;
use super::support::Support;
use crate::checks::{broadcast, check_positive, log_zero_one, single};
use crate::error::Result;
use crate::math::special::{log_incomplete_gamma, scalar_log_factorial};
use crate::recurrences::{Atom, LawBatch, PmfRecurrence, Recurrences, Step};
use tch::{Kind, Tensor};

/// A batch of Poisson distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Poisson::new(&Tensor::from(0.5))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.6065, 0.3033, 0.0758, 0.0144]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Poisson {
    rate: Tensor,
    kind: Kind,
}

impl Poisson {
    /// Makes a batch from positive rates up to 1e30, of any shape.
    ///
    /// # Errors
    /// Fails if a rate is outside this range. The check copies the rates from their device.
    pub fn new(rate: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("Poisson", &[rate])?;
        let rate = single(parameters);
        check_positive("rate of Poisson", &rate)?;
        Ok(Self { rate, kind })
    }

    /// Makes a batch from float64 rates that are known to be positive.
    pub(super) fn from_checked(rate: Tensor, kind: Kind) -> Self {
        Self { rate, kind }
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "poisson",
    parameters: &["rate"],
    typical: &[3.0],
    whole: 0,
    build: |_, p| Ok(Box::new(Poisson::new(&p[0])?)),
};

impl Distribution for Poisson {
    fn name(&self) -> &str {
        "Poisson"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("rate", &self.rate)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        Box::new(Self::from_checked(single(values), self.kind))
    }

    fn poisson_rate(&self) -> Option<Tensor> {
        Some(self.rate.shallow_clone())
    }

    fn support(&self) -> Support {
        Support::from(0)
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.rate.shallow_clone()
    }

    fn variance(&self) -> Tensor {
        self.rate.shallow_clone()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        k * self.rate.log() - &self.rate - (k + 1.0).lgamma()
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        if k <= 0 {
            return Ok(log_zero_one(&self.rate));
        }
        if k > sums::LARGEST_FRACTION_ATOM {
            return sums::log_tails(self, k);
        }
        // P(X >= k) is the lower incomplete gamma function P(k, rate).
        let (upper, lower) = log_incomplete_gamma(k, &self.rate);
        Ok((lower, upper))
    }

    fn count_moments(&self) -> Option<CountMoments> {
        Some(CountMoments { mean: self.rate.shallow_clone(), family: CountFamily::Poisson })
    }

    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        let law = |[rate, log_rate]: [f64; 2]| PoissonRecurrence { rate, log_rate };
        Some(Box::new(Recurrences::new(&values(self), law)?.with_logs()))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let rate = self.rate.detach().f_expand(&shape, false)?;
        Ok(rate.poisson().to_kind(self.kind))
    }
}

#[derive(Clone, Copy)]
struct PoissonRecurrence {
    rate: f64,
    log_rate: f64,
}

impl PmfRecurrence for PoissonRecurrence {
    const LINEAR_SCORES: [bool; 2] = [true; 2];

    #[inline(always)]
    fn atom(&self, k: f64) -> Atom {
        let log_weight = if k == 0.0 { -self.rate } else { k * self.log_rate - self.rate - scalar_log_factorial(k) };
        let score = if k == 0.0 { -1.0 } else { k / self.rate - 1.0 };
        Atom { log_weight, scores: [score, 0.0] }
    }

    #[inline(always)]
    fn ratio(&self, step: Step) -> f64 {
        self.rate * step.inverse
    }

    #[inline(always)]
    fn log_ratio(&self, step: Step) -> f64 {
        self.log_rate - step.log
    }

    #[inline(always)]
    fn score_steps(&self, _step: Step) -> [f64; 2] {
        [1.0 / self.rate, 0.0]
    }

    #[inline(always)]
    fn mean(&self) -> f64 {
        self.rate
    }
}
