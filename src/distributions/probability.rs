//! A probability in (0, 1), given as itself or as a logit, kept as the pair of logarithms `(log p, log(1 - p))`.

use super::check;
use crate::Result;
use tch::Tensor;

/// `(log p, log(1 - p))` in float64; neither is ever formed from a rounded or clamped probability.
#[derive(Debug)]
pub(super) struct Probability {
    pub log_p: Tensor,
    pub log_q: Tensor,
}

impl Probability {
    pub fn from_probs(probs: &Tensor) -> Self {
        Self { log_p: probs.log(), log_q: probs.neg().log1p() }
    }

    pub fn from_logits(logits: &Tensor) -> Self {
        Self { log_p: logits.log_sigmoid(), log_q: logits.neg().log_sigmoid() }
    }

    pub fn check_probs(family: &str, probs: &Tensor) -> Result<()> {
        check(&format!("probs of {family}"), probs, &probs.gt(0.0).logical_and(&probs.lt(1.0)), "inside (0, 1)")
    }

    pub fn check_logits(family: &str, logits: &Tensor) -> Result<()> {
        check(&format!("logits of {family}"), logits, &logits.isfinite(), "finite")
    }

    pub fn unsqueeze(&self) -> Self {
        Self { log_p: self.log_p.unsqueeze(-1), log_q: self.log_q.unsqueeze(-1) }
    }
}
