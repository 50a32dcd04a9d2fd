//! The geometric distribution: failures before the first success, as in torch.distributions.
//!
//! `P(X = k) = probs (1 - probs)^k` for `k = 0, 1, ...`; mean `(1 - probs) / probs`.

use super::count_moments::{CountFamily, CountMoments};
use super::distribution::{Distribution, Parameter, drawn_shape, values};
use super::family_entry::FamilyEntry;
use super::probability::{Probability, ScalarProbability};
use super::support::Support;
use crate::checks::{log_zero_one, single};
use crate::error::Result;
use crate::math::special::log1mexp;
use crate::recurrences::{Atom, LawBatch, PmfRecurrence, Recurrences, Step};
use tch::{Kind, Tensor};

/// A batch of geometric distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Geometric::new(&Tensor::from(0.25))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.2500, 0.1875, 0.1406, 0.4219]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Geometric {
    success: Probability,
    kind: Kind,
}

impl Geometric {
    /// Makes a batch from success probabilities inside (0, 1), of any shape.
    ///
    /// # Errors
    /// Fails if a probability is outside this range. The check copies the values from their device.
    pub fn new(probs: &Tensor) -> Result<Self> {
        let (success, kind) = Probability::only_parameter("Geometric", probs, Probability::from_probs)?;
        Ok(Self { success, kind })
    }

    /// Makes a batch from log-odds of success within -300..=300, of any shape.
    ///
    /// # Errors
    /// Fails if a logit is outside this range. The check copies the values from their device.
    pub fn from_logits(logits: &Tensor) -> Result<Self> {
        let (success, kind) = Probability::only_parameter("Geometric", logits, Probability::from_moderate_logits)?;
        Ok(Self { success, kind })
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "geometric",
    parameters: &["probs"],
    typical: &[0.3],
    whole: 0,
    build: |_, p| Ok(Box::new(Geometric::new(&p[0])?)),
};

impl Distribution for Geometric {
    fn name(&self) -> &str {
        "Geometric"
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
        Support::from(0)
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
        (&self.success.log_q - &self.success.log_p).exp()
    }

    fn variance(&self) -> Tensor {
        (&self.success.log_q - &self.success.log_p * 2.0).exp()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        k * &self.success.log_q + &self.success.log_p
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        if k <= 0 {
            return Ok(log_zero_one(&self.success.log_q));
        }
        let upper = &self.success.log_q * k as f64;
        Ok((log1mexp(&upper), upper))
    }

    fn count_moments(&self) -> Option<CountMoments> {
        Some(CountMoments {
            mean: self.mean(),
            family: CountFamily::NegativeBinomial { total_count: self.success.log_q.detach().ones_like() },
        })
    }

    fn rows(&self) -> Option<Box<dyn LawBatch>> {
        let success = self.success.scalar_function();
        Some(Box::new(Recurrences::new(&values(self), move |[value, _]| GeometricRecurrence(success(value)))?))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let scale = self.success.log_q.detach().neg();
        // floor(E / c) with E ~ Exp(1) exceeds k - 1 with probability exp(-c k) = (1 - probs)^k.
        let waiting = Tensor::f_empty(&shape, (Kind::Double, self.device()))?.exponential_(1.0);
        Ok((waiting / scale).floor().to_kind(self.kind))
    }
}

#[derive(Clone, Copy)]
struct GeometricRecurrence(ScalarProbability);

impl PmfRecurrence for GeometricRecurrence {
    const LINEAR_SCORES: [bool; 2] = [true; 2];

    #[inline(always)]
    fn atom(&self, k: f64) -> Atom {
        Atom { log_weight: self.0.log_p + k * self.0.log_q, scores: [self.0.slope_p + k * self.0.slope_q, 0.0] }
    }

    #[inline(always)]
    fn ratio(&self, _step: Step) -> f64 {
        self.0.q
    }

    #[inline(always)]
    fn log_ratio(&self, _step: Step) -> f64 {
        self.0.log_q
    }

    #[inline(always)]
    fn score_steps(&self, _step: Step) -> [f64; 2] {
        [self.0.slope_q, 0.0]
    }

    #[inline(always)]
    fn mean(&self) -> f64 {
        self.0.q / self.0.p
    }

    #[inline(always)]
    fn upper_tail(&self, k: f64) -> Option<Atom> {
        Some(Atom { log_weight: k * self.0.log_q, scores: [k * self.0.slope_q, 0.0] })
    }
}
