//! The geometric distribution: failures before the first success, as in torch.distributions.
//!
//! `P(X = k) = probs (1 - probs)^k` for `k = 0, 1, ...`; mean `(1 - probs) / probs`.

use super::probability::Probability;
use super::{Distribution, Support, broadcast, certain, extended};
use crate::special::log1mexp;
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};

/// A batch of geometric distributions.
#[derive(Debug)]
pub struct Geometric {
    success: Probability,
    kind: Kind,
}

impl Geometric {
    /// From success probabilities inside (0, 1), of any shape.
    ///
    /// # Errors
    /// When a probability is outside. The check reads the values back from their device.
    pub fn new(probs: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("Geometric", &[probs])?;
        Probability::check_probs("Geometric", &parameters[0])?;
        Ok(Self { success: Probability::from_probs(&parameters[0]), kind })
    }

    /// From finite log-odds of success, of any shape.
    ///
    /// # Errors
    /// When a logit is not finite. The check reads the values back from their device.
    pub fn from_logits(logits: &Tensor) -> Result<Self> {
        let geometric = Self::from_logits_unchecked(logits)?;
        Probability::check_logits("Geometric", logits)?;
        Ok(geometric)
    }

    /// As [`from_logits`](Self::from_logits), without looking at the values.
    ///
    /// # Errors
    /// When the tensor is not floating-point.
    pub fn from_logits_unchecked(logits: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("Geometric", &[logits])?;
        Ok(Self { success: Probability::from_logits(&parameters[0]), kind })
    }
}

impl Distribution for Geometric {
    fn name(&self) -> &'static str {
        "Geometric"
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
        Support { lowest: 0, highest: None }
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

    fn log_tails(&self, k: i64) -> (Tensor, Tensor) {
        if k <= 0 {
            return certain(&self.success.log_q);
        }
        let upper = &self.success.log_q * k as f64;
        (log1mexp(&upper), upper)
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = extended(sample_shape, &self.batch_shape());
        let scale = self.success.log_q.detach().neg();
        // floor(E / c) with E ~ Exp(1) exceeds k - 1 with probability exp(-c k) = (1 - probs)^k.
        let waiting = Tensor::f_empty(&shape, (Kind::Double, self.device())).map_err(Error::from)?.exponential_(1.0);
        Ok((waiting / scale).floor().to_kind(self.kind))
    }

    fn unsqueeze(&self) -> Box<dyn Distribution> {
        Box::new(Self { success: self.success.unsqueeze(), kind: self.kind })
    }
}
