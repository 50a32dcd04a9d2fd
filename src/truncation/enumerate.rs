//! The multinomial as a finite law on all its outcomes.

use super::TruncatedDistribution;
use crate::distributions::Multinomial;
use crate::error::{Error, Result};
use crate::math::special::log_factorial;
use tch::{Kind, Tensor};

/// The largest number of outcomes that are enumerated, which bounds memory and time.
pub const MOST_OUTCOMES: i64 = 100_000;

impl Multinomial {
    /// Returns the law on all outcomes, in lexicographic order: atoms `[outcomes, classes]` (the paper's multinomial).
    ///
    /// # Errors
    /// Fails if there are more than 100,000 outcomes.
    pub fn enumerate(&self) -> Result<TruncatedDistribution> {
        if self.outcomes() > MOST_OUTCOMES as f64 {
            return Err(Error::parameter(
                format!(
                    "number of outcomes of a Multinomial of {} draws and {} classes",
                    self.total_count(),
                    self.classes()
                ),
                self.outcomes(),
                format!(
                    "at most {MOST_OUTCOMES} for an enumeration; relax it as categoricals or conditional binomials"
                ),
            ));
        }
        let mut outcomes = Vec::new();
        compositions(self.total_count(), self.classes() as usize, &mut Vec::new(), &mut outcomes);
        let outcomes = Tensor::from_slice(&outcomes).reshape([-1, self.classes()]).to_device(self.device());
        let log_coefficients = (&outcomes + 1.0).lgamma().sum_dim_intlist(-1, false, Kind::Double).neg()
            + log_factorial(self.total_count() as f64);
        let log_weights = self.log_probs().matmul(&outcomes.tr()) + log_coefficients;
        Ok(TruncatedDistribution::counts(
            log_weights.to_kind(self.kind()),
            outcomes.to_kind(self.kind()),
            self.total_count(),
        ))
    }
}

/// Appends all vectors of `classes` counts that sum to `total` to `outcomes`, each after `prefix`.
fn compositions(total: i64, classes: usize, prefix: &mut Vec<f64>, outcomes: &mut Vec<f64>) {
    if classes == 1 {
        outcomes.extend(prefix.iter());
        outcomes.push(total as f64);
        return;
    }
    for count in 0..=total {
        prefix.push(count as f64);
        compositions(total - count, classes - 1, prefix, outcomes);
        prefix.pop();
    }
}
