//! The binomial distribution: successes in a fixed number of trials.
//!
//! `P(X = k) = C(total_count, k) probs^k (1 - probs)^(total_count - k)` for `k = 0 .. total_count`.

use super::probability::Probability;
use super::{Distribution, Support, broadcast, certain, extended};
use crate::special::{log_factorial, log_incomplete_beta};
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A batch of binomial distributions with one number of trials.
#[derive(Debug)]
pub struct Binomial {
    total_count: i64,
    success: Probability,
    kind: Kind,
}

impl Binomial {
    /// From a number of trials, at least 1, and success probabilities inside (0, 1), of any shape.
    ///
    /// # Errors
    /// When a value is outside its domain. The check reads the probabilities back from their device.
    pub fn new(total_count: i64, probs: &Tensor) -> Result<Self> {
        check_total_count(total_count)?;
        let (parameters, kind) = broadcast("Binomial", &[probs])?;
        Probability::check_probs("Binomial", &parameters[0])?;
        Ok(Self { total_count, success: Probability::from_probs(&parameters[0]), kind })
    }

    /// From a number of trials, at least 1, and finite log-odds of success.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_logits(total_count: i64, logits: &Tensor) -> Result<Self> {
        let binomial = Self::from_logits_unchecked(total_count, logits)?;
        Probability::check_logits("Binomial", logits)?;
        Ok(binomial)
    }

    /// As [`from_logits`](Self::from_logits), without looking at the logits.
    ///
    /// # Errors
    /// When the number of trials is below 1, or the tensor is not floating-point.
    pub fn from_logits_unchecked(total_count: i64, logits: &Tensor) -> Result<Self> {
        check_total_count(total_count)?;
        let (parameters, kind) = broadcast("Binomial", &[logits])?;
        Ok(Self { total_count, success: Probability::from_logits(&parameters[0]), kind })
    }
}

fn check_total_count(total_count: i64) -> Result<()> {
    if total_count < 1 {
        return Err(Error::parameter("total_count of Binomial", total_count, "at least 1"));
    }
    Ok(())
}

impl Distribution for Binomial {
    fn name(&self) -> &'static str {
        "Binomial"
    }

    fn batch_shape(&self) -> Vec<i64> {
        self.success.log_p.size()
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn device(&self) -> Device {
        self.success.log_p.device()
    }

    fn support(&self) -> Support {
        Support { lowest: 0, highest: Some(self.total_count) }
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

    fn log_tails(&self, k: i64) -> (Tensor, Tensor) {
        let log_p = &self.success.log_p;
        if k <= 0 {
            return certain(log_p);
        }
        if k > self.total_count {
            let (impossible, sure) = certain(log_p);
            return (sure, impossible);
        }
        // P(X >= k) = I_probs(k, total_count - k + 1).
        let a = log_p.full_like(k as f64);
        let b = log_p.full_like((self.total_count - k + 1) as f64);
        let (upper, lower) = log_incomplete_beta(&a, &b, log_p, &self.success.log_q, self.total_count as f64);
        (lower, upper)
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = extended(sample_shape, &self.batch_shape());
        let probs = self.success.log_p.detach().exp().f_expand(&shape, false).map_err(Error::from)?.contiguous();
        Ok(Tensor::binomial(&probs.full_like(self.total_count as f64), &probs).to_kind(self.kind))
    }

    fn unsqueeze(&self) -> Box<dyn Distribution> {
        Box::new(Self { total_count: self.total_count, success: self.success.unsqueeze(), kind: self.kind })
    }
}
