//! The categorical distribution: one of `n` classes, numbered from 0.
//!
//! `P(X = k) = softmax(logits)_k`.

use super::distribution::{Distribution, Parameter, drawn_shape};
use super::family_entry::{FamilyEntry, side_by_side};
use super::support::Support;
use crate::checks::{broadcast, check_logits, check_positive, extended, log_zero_one, single};
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// A batch of categorical distributions over the same number of classes.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Categorical::new(&Tensor::from_slice(&[1.0, 2.0, 5.0]))?; // weights
/// let q = TruncatedDistribution::new(&law, &Truncation::right(3))?; // the classes 0, 1, 2
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1250, 0.2500, 0.6250]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Categorical {
    logits: Tensor,
    /// Normalised log probabilities `[..., n]`, float64.
    log_probs: Tensor,
    kind: Kind,
}

impl Categorical {
    /// Makes a batch from positive weights `[..., n]` of the classes, which need not sum to one. For classes that never
    /// occur, use [`from_logits`](Self::from_logits).
    ///
    /// # Errors
    /// Fails if a weight is outside 1e-300..=1e30 (the check copies the values from their device), the tensor is not
    /// floating-point, or there is no class dimension.
    pub fn new(probs: &Tensor) -> Result<Self> {
        let (probs, kind) = classes("probs of Categorical", probs)?;
        check_positive("probs of Categorical", &probs)?;
        Ok(Self::from_checked(probs.log(), kind))
    }

    /// Makes a batch from unnormalised log probabilities `[..., n]`; minus infinity excludes a class.
    ///
    /// # Errors
    /// Fails if a logit is NaN or plus infinity, or a row has no finite logit (the check copies the values from their
    /// device), the tensor is not floating-point, or there is no class dimension.
    pub fn from_logits(logits: &Tensor) -> Result<Self> {
        let (logits, kind) = classes("logits of Categorical", logits)?;
        check_logits("Categorical", &logits)?;
        Ok(Self::from_checked(logits, kind))
    }

    /// Makes a batch from valid float64 logits `[..., n]`.
    pub(super) fn from_checked(logits: Tensor, kind: Kind) -> Self {
        Self { log_probs: logits.log_softmax(-1, Kind::Double), logits, kind }
    }

    fn classes(&self) -> i64 {
        self.log_probs.size().last().copied().unwrap_or(1)
    }

    fn ranks(&self) -> Tensor {
        Tensor::arange(self.classes(), (Kind::Double, self.log_probs.device()))
    }
}

/// Converts a parameter `[..., n]` with at least one class to float64; also returns the kind of samples.
fn classes(what: &str, numbers: &Tensor) -> Result<(Tensor, Kind)> {
    if numbers.size().last().is_none_or(|&classes| classes < 1) {
        return Err(Error::Shape {
            what: what.into(),
            found: numbers.size(),
            expected: "[..., classes] with at least one class".into(),
        });
    }
    let (parameters, kind) = broadcast("Categorical", &[numbers])?;
    Ok((single(parameters), kind))
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "categorical",
    parameters: &["logits"],
    typical: &[0.1, -0.4, 0.9, 0.3, -1.0],
    whole: 0,
    build: |_, p| Ok(Box::new(Categorical::from_logits(&side_by_side("categorical", p)?)?)),
};

impl Distribution for Categorical {
    fn name(&self) -> &str {
        "Categorical"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter { name: "logits".into(), value: self.logits.shallow_clone(), own_dims: 1 }]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        Box::new(Self::from_checked(single(values), self.kind))
    }

    fn support(&self) -> Support {
        Support::between(0, self.classes() - 1)
    }

    fn mean(&self) -> Tensor {
        self.log_probs.exp().matmul(&self.ranks())
    }

    fn variance(&self) -> Tensor {
        let deviation = self.ranks() - self.mean().unsqueeze(-1);
        (self.log_probs.exp() * &deviation * &deviation).sum_dim_intlist(-1, false, Kind::Double)
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let first_class = self.log_probs.select(-1, 0);
        let class = Tensor::broadcast_tensors(&[k, &first_class]).remove(0).to_kind(Kind::Int64);
        let rows = extended(&class.size(), &[self.classes()]);
        self.log_probs.expand(&rows, false).gather(-1, &class.unsqueeze(-1), false).squeeze_dim(-1)
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        let first = self.log_probs.select(-1, 0);
        let (impossible, sure) = log_zero_one(&first);
        if k <= 0 {
            return Ok((impossible, sure));
        }
        let classes = self.classes();
        if k >= classes {
            return Ok((sure, impossible));
        }
        let part = |start, length| self.log_probs.narrow(-1, start, length).logsumexp(-1, false);
        Ok((part(0, k), part(k, classes - k)))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        if shape.contains(&0) {
            return Ok(Tensor::f_zeros(&shape, (self.kind, self.device()))?);
        }
        let rows = self.log_probs.detach().exp().reshape([-1, self.classes()]);
        let samples = rows.f_multinomial(sample_shape.iter().product(), true)?.transpose(0, 1);
        Ok(samples.reshape(shape).to_kind(self.kind))
    }
}
