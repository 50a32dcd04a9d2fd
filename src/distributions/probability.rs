//! A probability in (0, 1), given as `probs` or `logits` and stored as the logarithms `(log p, log(1 - p))`.

use super::distribution::Parameter;
use crate::checks::{broadcast, check, single};
use crate::error::Result;
use tch::{Kind, Tensor};

/// A batch of probabilities as `(log p, log(1 - p))`, float64. Neither is computed from a rounded or clamped
/// probability.
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
    /// Makes probabilities from values within 1e-30..1, float64, which are checked.
    pub fn from_probs(family: &str, probs: &Tensor) -> Result<Self> {
        let inside = |probs: &Tensor| probs.ge(1e-30).logical_and(&probs.lt(1.0));
        check(&format!("probs of {family}"), probs, inside, "inside (0, 1), and at least 1e-30")?;
        Ok(Self::of_probs(probs))
    }

    /// Makes probabilities from finite log-odds, float64, which are checked.
    pub fn from_logits(family: &str, logits: &Tensor) -> Result<Self> {
        check(&format!("logits of {family}"), logits, Tensor::isfinite, "finite")?;
        Ok(Self::of_logits(logits))
    }

    /// Makes probabilities from log-odds within -300..=300, which are checked: for families whose moments are
    /// exponentials of the logits.
    pub fn from_moderate_logits(family: &str, logits: &Tensor) -> Result<Self> {
        let moderate = |logits: &Tensor| logits.abs().le(300.0);
        check(&format!("logits of {family}"), logits, moderate, "within -300..=300, so that the mean fits in float64")?;
        Ok(Self::of_logits(logits))
    }

    /// Makes the only tensor parameter of a family from a tensor of any floating-point kind, with `form`; also returns
    /// the kind of samples.
    pub fn only_parameter(
        family: &str,
        given: &Tensor,
        form: impl FnOnce(&str, &Tensor) -> Result<Self>,
    ) -> Result<(Self, Kind)> {
        let (parameters, kind) = broadcast(family, &[given])?;
        Ok((form(family, &single(parameters))?, kind))
    }

    /// Makes probabilities without checking them.
    pub fn of_probs(probs: &Tensor) -> Self {
        Self { log_p: probs.log(), log_q: probs.neg().log1p(), given: probs.shallow_clone(), form: Form::Probs }
    }

    /// Makes probabilities from log-odds without checking them.
    fn of_logits(logits: &Tensor) -> Self {
        let (log_p, log_q) = (logits.log_sigmoid(), logits.neg().log_sigmoid());
        Self { log_p, log_q, given: logits.shallow_clone(), form: Form::Logits }
    }

    /// Returns the parameter under the name by which it was given, `probs` or `logits`.
    pub fn parameter(&self) -> Parameter {
        let name = match self.form {
            Form::Probs => "probs",
            Form::Logits => "logits",
        };
        Parameter::scalar(name, &self.given)
    }

    /// Returns the function from one value of the parameter to the probability as `f64`.
    pub fn scalar_function(&self) -> impl Fn(f64) -> ScalarProbability + Send + Sync + 'static {
        let form = self.form;
        move |value| match form {
            Form::Probs => {
                ScalarProbability::new(value, 1.0 - value, value.ln(), (-value).ln_1p(), value * (1.0 - value))
            }
            Form::Logits => {
                let log_sigmoid = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
                let (log_p, log_q) = (log_sigmoid(value), log_sigmoid(-value));
                ScalarProbability::new(log_p.exp(), log_q.exp(), log_p, log_q, 1.0)
            }
        }
    }

    /// Makes a probability from another value of the same form.
    pub fn with_value(&self, value: Tensor) -> Self {
        match self.form {
            Form::Probs => Self::of_probs(&value),
            Form::Logits => Self::of_logits(&value),
        }
    }
}

/// A probability as `f64`, with the derivatives of its logarithms in the parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScalarProbability {
    pub p: f64,
    pub q: f64,
    pub log_p: f64,
    pub log_q: f64,
    /// `p / (1 - p)`.
    pub odds: f64,
    /// `d log p / d parameter`.
    pub slope_p: f64,
    /// `d log(1 - p) / d parameter`.
    pub slope_q: f64,
}

impl ScalarProbability {
    /// Makes a probability whose derivative `dp / d parameter` is `p (1 - p) / scale`.
    fn new(p: f64, q: f64, log_p: f64, log_q: f64, scale: f64) -> Self {
        Self { p, q, log_p, log_q, odds: (log_p - log_q).exp(), slope_p: q / scale, slope_q: -p / scale }
    }
}
