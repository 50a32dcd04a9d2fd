//! A probability in (0, 1), given as itself or as a logit, kept as the pair of logarithms `(log p, log(1 - p))`.

use super::distribution::Parameter;
use crate::checks::{broadcast, check, single};
use crate::error::Result;
use tch::{Kind, Tensor};

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
    /// From probabilities inside (0, 1), float64.
    pub fn from_probs(family: &str, probs: &Tensor) -> Result<Self> {
        let inside = |probs: &Tensor| probs.ge(1e-30).logical_and(&probs.lt(1.0));
        check(&format!("probs of {family}"), probs, inside, "inside (0, 1), and not below 1e-30")?;
        Ok(Self::of_probs(probs))
    }

    /// From finite log-odds, float64.
    pub fn from_logits(family: &str, logits: &Tensor) -> Result<Self> {
        check(&format!("logits of {family}"), logits, Tensor::isfinite, "finite")?;
        Ok(Self::of_logits(logits))
    }

    /// As [`from_logits`](Self::from_logits), for families whose moments are exponentials of the logits.
    pub fn from_moderate_logits(family: &str, logits: &Tensor) -> Result<Self> {
        let moderate = |logits: &Tensor| logits.abs().le(300.0);
        check(&format!("logits of {family}"), logits, moderate, "within -300..=300, or the mean leaves float64")?;
        Ok(Self::of_logits(logits))
    }

    /// One of these for a family that has no other tensor, from a tensor of any floating-point kind; and the kind of
    /// what is made of it.
    pub fn alone(
        family: &str,
        given: &Tensor,
        form: impl FnOnce(&str, &Tensor) -> Result<Self>,
    ) -> Result<(Self, Kind)> {
        let (parameters, kind) = broadcast(family, &[given])?;
        Ok((form(family, &single(parameters))?, kind))
    }

    pub fn of_probs(probs: &Tensor) -> Self {
        Self { log_p: probs.log(), log_q: probs.neg().log1p(), given: probs.shallow_clone(), form: Form::Probs }
    }

    fn of_logits(logits: &Tensor) -> Self {
        let (log_p, log_q) = (logits.log_sigmoid(), logits.neg().log_sigmoid());
        Self { log_p, log_q, given: logits.shallow_clone(), form: Form::Logits }
    }

    /// Named `probs` or `logits`, as it was given.
    pub fn parameter(&self) -> Parameter {
        let name = match self.form {
            Form::Probs => "probs",
            Form::Logits => "logits",
        };
        Parameter::scalar(name, &self.given)
    }

    /// The row-wise counterpart, from a parameter's value.
    pub fn plain(&self) -> impl Fn(f64) -> PlainProbability + Send + Sync + 'static {
        let form = self.form;
        move |value| match form {
            Form::Probs => {
                PlainProbability::new(value, 1.0 - value, value.ln(), (-value).ln_1p(), value * (1.0 - value))
            }
            Form::Logits => {
                let log_sigmoid = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
                let (log_p, log_q) = (log_sigmoid(value), log_sigmoid(-value));
                PlainProbability::new(log_p.exp(), log_q.exp(), log_p, log_q, 1.0)
            }
        }
    }

    /// Another probability, given in the same form.
    pub fn with_value(&self, value: Tensor) -> Self {
        match self.form {
            Form::Probs => Self::of_probs(&value),
            Form::Logits => Self::of_logits(&value),
        }
    }
}

/// A probability as plain numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainProbability {
    pub p: f64,
    pub q: f64,
    pub log_p: f64,
    pub log_q: f64,
    /// `p / (1 - p)`.
    pub odds: f64,
    /// `d log p / d parameter` and `d log(1 - p) / d parameter`.
    pub slope_p: f64,
    pub slope_q: f64,
}

impl PlainProbability {
    /// `p (1 - p)` over `scale` is `dp / d parameter`.
    fn new(p: f64, q: f64, log_p: f64, log_q: f64, scale: f64) -> Self {
        Self { p, q, log_p, log_q, odds: (log_p - log_q).exp(), slope_p: q / scale, slope_q: -p / scale }
    }
}
