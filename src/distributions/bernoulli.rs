//! The Bernoulli distribution: one trial, 0 or 1.
//!
//! `P(X = 1) = probs`.

use super::binomial::BinomialRecurrence;
use super::count_moments::{CountFamily, CountMoments};
use super::distribution::{Distribution, Parameter, drawn_shape, values};
use super::family_entry::FamilyEntry;
use super::probability::Probability;
use super::support::Support;
use crate::checks::{log_zero_one, single};
use crate::error::Result;
use crate::recurrences::{LawBatch, Recurrences};
use tch::{Kind, Tensor};

/// A batch of Bernoulli distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Bernoulli::new(&Tensor::from(0.3))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(2))?; // 0 and 1
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.7000, 0.3000]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Bernoulli {
    success: Probability,
    kind: Kind,
}

impl Bernoulli {
    /// Makes a batch from success probabilities inside (0, 1), of any shape.
    ///
    /// # Errors
    /// Fails if a probability is outside this range. The check copies the values from their device.
    pub fn new(probs: &Tensor) -> Result<Self> {
        let (success, kind) = Probability::only_parameter("Bernoulli", probs, Probability::from_probs)?;
        Ok(Self { success, kind })
    }

    /// Makes a batch from finite log-odds of success, of any shape.
    ///
    /// # Errors
    /// Fails if a logit is not finite. The check copies the values from their device.
    pub fn from_logits(logits: &Tensor) -> Result<Self> {
        let (success, kind) = Probability::only_parameter("Bernoulli", logits, Probability::from_logits)?;
        Ok(Self { success, kind })
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "bernoulli",
    parameters: &["probs"],
    typical: &[0.35],
    whole: 0,
    build: |_, p| Ok(Box::new(Bernoulli::new(&p[0])?)),
};

impl Distribution for Bernoulli {
    fn name(&self) -> &str {
        "Bernoulli"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![self.success.parameter()]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        Box::new(Self { success: self.success.with_value(single(values)), kind: self.kind })
    }

    fn support(&self) -> Support {
        Support::between(0, 1)
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn has_closed_tails(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.success.log_p.exp()
    }

    fn variance(&self) -> Tensor {
        (&self.success.log_p + &self.success.log_q).exp()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        k * &self.success.log_p + (1.0 - k) * &self.success.log_q
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        let (impossible, sure) = log_zero_one(&self.success.log_p);
        Ok(match k {
            ..=0 => (impossible, sure),
            1 => (self.success.log_q.shallow_clone(), self.success.log_p.shallow_clone()),
            _ => (sure, impossible),
        })
    }

    fn count_moments(&self) -> Option<CountMoments> {
        Some(CountMoments {
            mean: self.mean(),
            family: CountFamily::Binomial { total_count: 1, failures: self.success.log_q.exp() },
        })
    }

    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        let (trials, success) = (1.0, self.success.scalar_function());
        let law = move |[value, _]: [f64; 2]| BinomialRecurrence { trials, success: success(value) };
        Some(Box::new(Recurrences::new(&values(self), law)?))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let probs = self.success.log_p.detach().exp().f_expand(&shape, false)?;
        Ok(probs.bernoulli().to_kind(self.kind))
    }
}
