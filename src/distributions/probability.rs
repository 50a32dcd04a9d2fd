//! A probability in (0, 1), given as itself or as a logit, kept as the pair of logarithms `(log p, log(1 - p))`.

use super::{Parameter, check};
use crate::Result;
use tch::Tensor;

/// `(log p, log(1 - p))` in float64; neither is ever formed from a rounded or clamped probability.
#[derive(Debug)]
pub(super) struct Probability {
    pub log_p: Tensor,
    pub log_q: Tensor,
    given: Tensor,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Probs,
    Logits,
}

impl Probability {
    pub fn from_probs(probs: &Tensor) -> Self {
        Self { log_p: probs.log(), log_q: probs.neg().log1p(), given: probs.shallow_clone(), form: Form::Probs }
    }

    pub fn from_logits(logits: &Tensor) -> Self {
        let (log_p, log_q) = (logits.log_sigmoid(), logits.neg().log_sigmoid());
        Self { log_p, log_q, given: logits.shallow_clone(), form: Form::Logits }
    }

    pub fn check_probs(family: &str, probs: &Tensor) -> Result<()> {
        let inside = probs.ge(1e-30).logical_and(&probs.lt(1.0));
        check(&format!("probs of {family}"), probs, &inside, "inside (0, 1), and not below 1e-30")
    }

    pub fn check_logits(family: &str, logits: &Tensor) -> Result<()> {
        check(&format!("logits of {family}"), logits, &logits.isfinite(), "finite")
    }

    /// As [`check_logits`](Self::check_logits), for families whose moments are exponentials of the logits.
    pub fn check_moderate_logits(family: &str, logits: &Tensor) -> Result<()> {
        let moderate = logits.abs().le(300.0);
        check(&format!("logits of {family}"), logits, &moderate, "within -300..=300, or the mean leaves float64")
    }

    /// Named `probs` or `logits`, as it was given.
    pub fn parameter(&self) -> Parameter {
        let name = match self.form {
            Form::Probs => "probs",
            Form::Logits => "logits",
        };
        Parameter::scalar(name, &self.given)
    }

    /// Another probability, given in the same form.
    pub fn with_value(&self, value: Tensor) -> Self {
        match self.form {
            Form::Probs => Self::from_probs(&value),
            Form::Logits => Self::from_logits(&value),
        }
    }
}
