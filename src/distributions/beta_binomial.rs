//! The beta-binomial distribution: a binomial whose success probability is beta-distributed; over-dispersed successes.
//!
//! `P(X = k) = C(n, k) B(k + concentration1, n - k + concentration0) / B(concentration1, concentration0)` for
//! `k = 0 .. n`, with `n = total_count`; mean `n concentration1 / (concentration1 + concentration0)`. The names are
//! those of Pyro.

use super::distribution::{Distribution, Parameter, drawn_shape};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{broadcast, check_count, check_positive, two};
use crate::error::Result;
use crate::math::special::{log_factorial, log_gamma_ratio};
use tch::{Kind, Tensor};

/// A batch of beta-binomial distributions with the same number of trials.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = BetaBinomial::new(3, &Tensor::from(2.0), &Tensor::from(1.0))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0 to 3
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1000, 0.2000, 0.3000, 0.4000]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct BetaBinomial {
    total_count: i64,
    concentration1: Tensor,
    concentration0: Tensor,
    kind: Kind,
}

impl BetaBinomial {
    /// Makes a batch from a number of trials, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), and positive
    /// concentrations of success and failure, which broadcast together.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the concentrations from their device), or if the shapes
    /// do not broadcast.
    pub fn new(total_count: i64, concentration1: &Tensor, concentration0: &Tensor) -> Result<Self> {
        check_count("total_count of BetaBinomial", total_count)?;
        let (parameters, kind) = broadcast("BetaBinomial", &[concentration1, concentration0])?;
        let (concentration1, concentration0) = two(parameters);
        check_positive("concentration1 of BetaBinomial", &concentration1)?;
        check_positive("concentration0 of BetaBinomial", &concentration0)?;
        Ok(Self { total_count, concentration1, concentration0, kind })
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "beta-binomial",
    parameters: &["total_count", "concentration1", "concentration0"],
    typical: &[9.0, 2.0, 3.0],
    whole: 1,
    build: |n, p| Ok(Box::new(BetaBinomial::new(n[0], &p[0], &p[1])?)),
};

impl Distribution for BetaBinomial {
    fn name(&self) -> &str {
        "BetaBinomial"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::scalar("concentration1", &self.concentration1),
            Parameter::scalar("concentration0", &self.concentration0),
        ]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (concentration1, concentration0) = two(values);
        Box::new(Self { total_count: self.total_count, concentration1, concentration0, kind: self.kind })
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
        &self.concentration1 / (&self.concentration1 + &self.concentration0) * self.total_count as f64
    }

    fn variance(&self) -> Tensor {
        let n = self.total_count as f64;
        let total = &self.concentration1 + &self.concentration0;
        (&self.concentration1 / &total) * (&self.concentration0 / &total) * n * ((&total + n) / (&total + 1.0))
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let n = self.total_count as f64;
        let failures = n - k;
        let log_coefficient = log_factorial(n) - (k + 1.0).lgamma() - (&failures + 1.0).lgamma();
        let total = &self.concentration1 + &self.concentration0;
        log_coefficient + log_gamma_ratio(&self.concentration1, k) + log_gamma_ratio(&self.concentration0, &failures)
            - log_gamma_ratio(&total, &total.full_like(n))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let gamma = |concentration: &Tensor| -> Result<Tensor> {
            // With concentrations below about 1e-100, both gamma variables may underflow; see `extreme`.
            Ok(concentration.detach().f_expand(&shape, false)?.contiguous().internal_standard_gamma())
        };
        let (successes, failures) = (gamma(&self.concentration1)?, gamma(&self.concentration0)?);
        let mean = (&self.concentration1 / (&self.concentration1 + &self.concentration0)).detach();
        let total = &successes + &failures;
        // Replaces the ratio if both underflow: the probability is then 0 or 1, in proportion to the concentrations.
        let extreme = mean.f_expand(&shape, false)?.bernoulli();
        let probs = (successes / total.clamp_min(f64::MIN_POSITIVE)).where_self(&total.gt(f64::MIN_POSITIVE), &extreme);
        Ok(Tensor::binomial(&probs.full_like(self.total_count as f64), &probs).to_kind(self.kind))
    }
}
