//! The negative binomial distribution: a Poisson whose rate is gamma-distributed; over-dispersed counts.
//!
//! `P(X = k) = Gamma(k + total_count) / (k! Gamma(total_count)) (1 - probs)^total_count probs^k`, as in
//! torch.distributions: `probs` is the probability of the *counted* outcome, and the mean is
//! `total_count probs / (1 - probs)`.

use super::count_moments::{CountFamily, CountMoments};
use super::distribution::{Distribution, Parameter, drawn_shape, values};
use super::family_entry::FamilyEntry;
use super::probability::{Probability, ScalarProbability};
use super::sums;
use super::support::Support;
use crate::checks::{broadcast, check_positive, log_zero_one, two};
use crate::error::Result;
use crate::math::special::{log_gamma_ratio, log_incomplete_beta, scalar_log_factorial, scalar_log_gamma_ratio};
use crate::recurrences::{Atom, LawBatch, PmfRecurrence, Recurrences, Step, ln};
use tch::{Kind, Tensor};

/// A batch of negative binomial distributions; `total_count` need not be an integer.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = NegativeBinomial::new(&Tensor::from(3.0), &Tensor::from(0.5))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1250, 0.1875, 0.1875, 0.5000]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct NegativeBinomial {
    total_count: Tensor,
    counted: Probability,
    kind: Kind,
}

impl NegativeBinomial {
    /// Makes a batch from positive `total_count` and `probs` inside (0, 1), which broadcast together.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the values from their device), or if the shapes do not
    /// broadcast.
    pub fn new(total_count: &Tensor, probs: &Tensor) -> Result<Self> {
        Self::with_form(total_count, probs, Probability::from_probs)
    }

    /// Makes a batch from positive `total_count` and log-odds of the counted outcome within -300..=300.
    ///
    /// # Errors
    /// Fails as [`new`](Self::new) does.
    pub fn from_logits(total_count: &Tensor, logits: &Tensor) -> Result<Self> {
        Self::with_form(total_count, logits, Probability::from_moderate_logits)
    }

    /// Makes a batch from `total_count` and the counted outcome's probability in one of its forms.
    fn with_form(
        total_count: &Tensor,
        counted: &Tensor,
        form: impl FnOnce(&str, &Tensor) -> Result<Probability>,
    ) -> Result<Self> {
        let (parameters, kind) = broadcast("NegativeBinomial", &[total_count, counted])?;
        let (total_count, counted) = two(parameters);
        check_positive("total_count of NegativeBinomial", &total_count)?;
        Ok(Self { total_count, counted: form("NegativeBinomial", &counted)?, kind })
    }
}

/// The range of `total_count` with tails by continued fractions.
const LEAST_FRACTION_COUNT: f64 = 0.1;
const LARGEST_FRACTION_COUNT: f64 = 1e4;

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "negative-binomial",
    parameters: &["total_count", "probs"],
    typical: &[3.0, 0.5],
    whole: 0,
    build: |_, p| Ok(Box::new(NegativeBinomial::new(&p[0], &p[1])?)),
};

impl Distribution for NegativeBinomial {
    fn name(&self) -> &str {
        "NegativeBinomial"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("total_count", &self.total_count), self.counted.parameter()]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (total_count, counted) = two(values);
        Box::new(Self { total_count, counted: self.counted.with_value(counted), kind: self.kind })
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
        &self.total_count * (&self.counted.log_p - &self.counted.log_q).exp()
    }

    fn variance(&self) -> Tensor {
        &self.total_count * (&self.counted.log_p - &self.counted.log_q * 2.0).exp()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let r = &self.total_count;
        let log_coefficient = log_gamma_ratio(r, k) - (k + 1.0).lgamma();
        log_coefficient + r * &self.counted.log_q + k * &self.counted.log_p
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        if k <= 0 {
            return Ok(log_zero_one(&self.total_count));
        }
        // Outside this range the continued fraction is inaccurate: for small tails, or because of its many factors.
        let range = self.total_count.ge(LEAST_FRACTION_COUNT).logical_and(&self.total_count.le(LARGEST_FRACTION_COUNT));
        if k > sums::LARGEST_FRACTION_ATOM || range.all().int64_value(&[]) == 0 {
            return sums::log_tails(self, k);
        }
        // P(X >= k) = I_probs(k, total_count), whose factor is k P(X = k).
        let a = self.total_count.full_like(k as f64);
        let log_factor = self.log_pmf(&a) + (k as f64).ln();
        let Probability { log_p, log_q, .. } = &self.counted;
        let (upper, lower) = log_incomplete_beta(&a, &self.total_count, log_p, log_q, &log_factor, k as f64);
        Ok((lower, upper))
    }

    fn count_moments(&self) -> Option<CountMoments> {
        Some(CountMoments {
            mean: self.mean(),
            family: CountFamily::NegativeBinomial { total_count: self.total_count.shallow_clone() },
        })
    }

    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        let counted = self.counted.scalar_function();
        let law = move |[r, value]: [f64; 2]| NegativeBinomialRecurrence { r, counted: counted(value) };
        Some(Box::new(Recurrences::new(&values(self), law)?))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let total_count = self.total_count.detach().f_expand(&shape, false)?;
        let odds = (&self.counted.log_p - &self.counted.log_q).detach().exp();
        let rate = total_count.contiguous().internal_standard_gamma() * odds;
        Ok(rate.poisson().to_kind(self.kind))
    }
}

#[derive(Clone, Copy)]
struct NegativeBinomialRecurrence {
    r: f64,
    counted: ScalarProbability,
}

impl PmfRecurrence for NegativeBinomialRecurrence {
    const LINEAR_SCORES: [bool; 2] = [false, true];

    /// The score in `total_count` is `digamma(k + r) - digamma(r) + log(1 - p)`.
    #[inline(always)]
    fn atom(&self, k: f64) -> Atom {
        let ScalarProbability { log_p, log_q, slope_p, slope_q, .. } = self.counted;
        let (log_coefficient, count_score) = if k == 0.0 {
            (0.0, 0.0)
        } else {
            let (log_gamma_ratio, count_score) = scalar_log_gamma_ratio(self.r, k);
            (log_gamma_ratio - scalar_log_factorial(k), count_score)
        };
        Atom {
            log_weight: log_coefficient + self.r * log_q + k * log_p,
            scores: [count_score + log_q, self.r * slope_q + k * slope_p],
        }
    }

    #[inline(always)]
    fn ratio(&self, step: Step) -> f64 {
        self.counted.p * (self.r + step.from) * step.inverse
    }

    #[inline(always)]
    fn log_ratio(&self, step: Step) -> f64 {
        self.counted.log_p + ln(self.r + step.from) - step.log
    }

    #[inline(always)]
    fn score_steps(&self, step: Step) -> [f64; 2] {
        [1.0 / (self.r + step.from), self.counted.slope_p]
    }

    #[inline(always)]
    fn mean(&self) -> f64 {
        self.r * self.counted.p / self.counted.q
    }

    /// Returns the limit of the ratios, from below if `total_count` is below one.
    #[inline(always)]
    fn ratio_limit(&self) -> f64 {
        self.counted.p
    }
}
