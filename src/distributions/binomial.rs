//! The binomial distribution: successes in a fixed number of trials.
//!
//! `P(X = k) = C(total_count, k) probs^k (1 - probs)^(total_count - k)` for `k = 0 .. total_count`.

use super::count_moments::{CountFamily, CountMoments};
use super::distribution::{Distribution, Parameter, drawn_shape, values};
use super::family_entry::FamilyEntry;
use super::probability::{Probability, ScalarProbability};
use super::sums;
use super::support::Support;
use crate::checks::{check_count, log_zero_one, single};
use crate::error::Result;
use crate::math::special::{log_factorial, log_incomplete_beta, scalar_log_factorial};
use crate::recurrences::{Atom, LawBatch, PmfRecurrence, Recurrences, Step, ln};
use tch::{Kind, Tensor};

/// A batch of binomial distributions with the same number of trials.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Binomial::new(4, &Tensor::from(0.5))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(5))?; // 0 to 4
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.0625, 0.2500, 0.3750, 0.2500, 0.0625]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Binomial {
    total_count: i64,
    success: Probability,
    kind: Kind,
}

impl Binomial {
    /// Makes a batch from a number of trials, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), and success
    /// probabilities inside (0, 1), of any shape.
    ///
    /// # Errors
    /// Fails if a value is outside its domain. The check copies the probabilities from their device.
    pub fn new(total_count: i64, probs: &Tensor) -> Result<Self> {
        check_count("total_count of Binomial", total_count)?;
        let (success, kind) = Probability::only_parameter("Binomial", probs, Probability::from_probs)?;
        Ok(Self { total_count, success, kind })
    }

    /// Makes a batch from a number of trials, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), and finite
    /// log-odds of success, of any shape.
    ///
    /// # Errors
    /// Fails as [`new`](Self::new) does.
    pub fn from_logits(total_count: i64, logits: &Tensor) -> Result<Self> {
        check_count("total_count of Binomial", total_count)?;
        let (success, kind) = Probability::only_parameter("Binomial", logits, Probability::from_logits)?;
        Ok(Self { total_count, success, kind })
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "binomial",
    parameters: &["total_count", "probs"],
    typical: &[9.0, 0.4],
    whole: 1,
    build: |n, p| Ok(Box::new(Binomial::new(n[0], &p[0])?)),
};

impl Distribution for Binomial {
    fn name(&self) -> &str {
        "Binomial"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![self.success.parameter()]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let success = self.success.with_value(single(values));
        Box::new(Self { total_count: self.total_count, success, kind: self.kind })
    }

    fn support(&self) -> Support {
        Support::between(0, self.total_count)
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.success.log_p.exp() * self.total_count as f64
    }

    fn variance(&self) -> Tensor {
        (&self.success.log_p + &self.success.log_q).exp() * self.total_count as f64
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let n = self.total_count as f64;
        let failures = n - k;
        let log_coefficient = log_factorial(n) - (k + 1.0).lgamma() - (&failures + 1.0).lgamma();
        log_coefficient + k * &self.success.log_p + failures * &self.success.log_q
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        let Probability { log_p, log_q, .. } = &self.success;
        if k <= 0 {
            return Ok(log_zero_one(log_p));
        }
        if k > self.total_count {
            let (impossible, sure) = log_zero_one(log_p);
            return Ok((sure, impossible));
        }
        if self.total_count > sums::LARGEST_FRACTION_ATOM {
            return sums::log_tails(self, k);
        }
        // P(X >= k) = I_probs(k, total_count - k + 1), whose factor is k (1 - probs) P(X = k).
        let a = log_p.full_like(k as f64);
        let b = log_p.full_like((self.total_count - k + 1) as f64);
        let log_factor = self.log_pmf(&a) + log_q + (k as f64).ln();
        let (upper, lower) = log_incomplete_beta(&a, &b, log_p, log_q, &log_factor, self.total_count as f64);
        Ok((lower, upper))
    }

    fn count_moments(&self) -> Option<CountMoments> {
        Some(CountMoments {
            mean: self.mean(),
            family: CountFamily::Binomial {
                total_count: self.total_count,
                failures: self.success.log_q.exp() * self.total_count as f64,
            },
        })
    }

    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        let (trials, success) = (self.total_count as f64, self.success.scalar_function());
        let law = move |[value, _]: [f64; 2]| BinomialRecurrence { trials, success: success(value) };
        Some(Box::new(Recurrences::new(&values(self), law)?))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let probs = self.success.log_p.detach().exp().f_expand(&shape, false)?.contiguous();
        Ok(Tensor::binomial(&probs.full_like(self.total_count as f64), &probs).to_kind(self.kind))
    }
}

#[derive(Clone, Copy)]
pub(super) struct BinomialRecurrence {
    pub trials: f64,
    pub success: ScalarProbability,
}

impl PmfRecurrence for BinomialRecurrence {
    const LINEAR_SCORES: [bool; 2] = [true; 2];

    #[inline(always)]
    fn atom(&self, k: f64) -> Atom {
        let (n, failures) = (self.trials, self.trials - k);
        let ScalarProbability { log_p, log_q, slope_p, slope_q, .. } = self.success;
        let log_coefficient = if k == 0.0 {
            0.0
        } else {
            scalar_log_factorial(n) - scalar_log_factorial(k) - scalar_log_factorial(failures)
        };
        Atom {
            log_weight: log_coefficient + k * log_p + failures * log_q,
            scores: [k * slope_p + failures * slope_q, 0.0],
        }
    }

    #[inline(always)]
    fn ratio(&self, step: Step) -> f64 {
        (self.trials - step.from) * step.inverse * self.success.odds
    }

    #[inline(always)]
    fn log_ratio(&self, step: Step) -> f64 {
        ln(self.trials - step.from) - step.log + self.success.log_p - self.success.log_q
    }

    #[inline(always)]
    fn score_steps(&self, _step: Step) -> [f64; 2] {
        [self.success.slope_p - self.success.slope_q, 0.0]
    }

    #[inline(always)]
    fn mean(&self) -> f64 {
        self.trials * self.success.p
    }

    #[inline(always)]
    fn highest(&self) -> Option<i64> {
        Some(self.trials as i64)
    }
}
