//! The negative binomial distribution: a Poisson whose rate is gamma-distributed; over-dispersed counts.
//!
//! `P(X = k) = Gamma(k + total_count) / (k! Gamma(total_count)) (1 - probs)^total_count probs^k`, as in
//! torch.distributions: `probs` is the probability of what is *counted*, the mean is `total_count probs / (1 - probs)`.

use super::probability::Probability;
use super::{Distribution, Support, broadcast, certain, check, extended};
use crate::special::log_incomplete_beta;
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

const POSITIVE: &str = "positive and finite";

/// A batch of negative binomial distributions; `total_count` need not be an integer.
#[derive(Debug)]
pub struct NegativeBinomial {
    total_count: Tensor,
    counted: Probability,
    kind: Kind,
}

impl NegativeBinomial {
    /// From positive `total_count` and `probs` inside (0, 1), which broadcast together.
    ///
    /// # Errors
    /// When a value is outside its domain (the check reads the values back from their device), or the shapes do not fit.
    pub fn new(total_count: &Tensor, probs: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("NegativeBinomial", &[total_count, probs])?;
        check_total_count(&parameters[0])?;
        Probability::check_probs("NegativeBinomial", &parameters[1])?;
        let counted = Probability::from_probs(&parameters[1]);
        Ok(Self { total_count: parameters[0].shallow_clone(), counted, kind })
    }

    /// From positive `total_count` and finite log-odds of what is counted.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_logits(total_count: &Tensor, logits: &Tensor) -> Result<Self> {
        let negative_binomial = Self::from_logits_unchecked(total_count, logits)?;
        check_total_count(&negative_binomial.total_count)?;
        Probability::check_logits("NegativeBinomial", logits)?;
        Ok(negative_binomial)
    }

    /// As [`from_logits`](Self::from_logits), without looking at the values.
    ///
    /// # Errors
    /// When a tensor is not floating-point, or the shapes do not fit.
    pub fn from_logits_unchecked(total_count: &Tensor, logits: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("NegativeBinomial", &[total_count, logits])?;
        let counted = Probability::from_logits(&parameters[1]);
        Ok(Self { total_count: parameters[0].shallow_clone(), counted, kind })
    }
}

fn check_total_count(total_count: &Tensor) -> Result<()> {
    let inside = total_count.gt(0.0).logical_and(&total_count.isfinite());
    check("total_count of NegativeBinomial", total_count, &inside, POSITIVE)
}

impl Distribution for NegativeBinomial {
    fn name(&self) -> &'static str {
        "NegativeBinomial"
    }

    fn batch_shape(&self) -> Vec<i64> {
        self.total_count.size()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn device(&self) -> Device {
        self.total_count.device()
    }

    fn support(&self) -> Support {
        Support { lowest: 0, highest: None }
    }

    fn mean(&self) -> Tensor {
        &self.total_count * (&self.counted.log_p - &self.counted.log_q).exp()
    }

    fn variance(&self) -> Tensor {
        &self.total_count * (&self.counted.log_p - &self.counted.log_q * 2.0).exp()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let r = &self.total_count;
        let log_coefficient = (k + r).lgamma() - r.lgamma() - (k + 1.0).lgamma();
        log_coefficient + r * &self.counted.log_q + k * &self.counted.log_p
    }

    fn log_tails(&self, k: i64) -> (Tensor, Tensor) {
        if k <= 0 {
            return certain(&self.total_count);
        }
        // P(X >= k) = I_probs(k, total_count).
        let a = self.total_count.full_like(k as f64);
        let (upper, lower) =
            log_incomplete_beta(&a, &self.total_count, &self.counted.log_p, &self.counted.log_q, k as f64);
        (lower, upper)
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = extended(sample_shape, &self.batch_shape());
        let total_count = self.total_count.detach().f_expand(&shape, false).map_err(Error::from)?;
        let odds = (&self.counted.log_p - &self.counted.log_q).detach().exp();
        let rate = total_count.contiguous().internal_standard_gamma() * odds;
        Ok(rate.poisson().to_kind(self.kind))
    }

    fn unsqueeze(&self) -> Box<dyn Distribution> {
        Box::new(Self {
            total_count: self.total_count.unsqueeze(-1),
            counted: self.counted.unsqueeze(),
            kind: self.kind,
        })
    }
}
