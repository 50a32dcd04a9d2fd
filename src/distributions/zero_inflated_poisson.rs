//! The zero-inflated Poisson distribution: zero with probability `gate`, and otherwise a Poisson count.
//!
//! `P(X = 0) = gate + (1 - gate) exp(-rate)`, `P(X = k) = (1 - gate) rate^k exp(-rate) / k!` for `k > 0`; mean
//! `(1 - gate) rate`. The names are those of Pyro.

use super::Poisson;
use super::distribution::{Distribution, Parameter, drawn_shape};
use super::family_entry::FamilyEntry;
use super::probability::Probability;
use super::support::Support;
use crate::checks::{broadcast, check, check_positive, log_zero_one, two};
use crate::error::Result;
use tch::{Kind, Tensor};

/// A batch of zero-inflated Poisson distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = ZeroInflatedPoisson::new(&Tensor::from(0.5), &Tensor::from(2.0))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.5677, 0.1353, 0.1353, 0.1617]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct ZeroInflatedPoisson {
    gate: Probability,
    rate: Tensor,
    poisson: Poisson,
    kind: Kind,
}

impl ZeroInflatedPoisson {
    /// Makes a batch from `gate`, the probability inside (0, 1) of a zero in place of the Poisson count, and positive
    /// rates, which broadcast together.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the values from their device), or if the shapes do not
    /// broadcast.
    pub fn new(gate: &Tensor, rate: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("ZeroInflatedPoisson", &[gate, rate])?;
        let (gate, rate) = two(parameters);
        let inside = |gate: &Tensor| gate.gt(0.0).logical_and(&gate.lt(1.0));
        check("gate of ZeroInflatedPoisson", &gate, inside, "inside (0, 1)")?;
        check_positive("rate of ZeroInflatedPoisson", &rate)?;
        Ok(Self::from_checked(Probability::of_probs(&gate), rate, kind))
    }

    /// Makes a batch from the finite log-odds of the gate and positive rates, which broadcast together.
    ///
    /// # Errors
    /// Fails as [`new`](Self::new) does.
    pub fn from_logits(gate_logits: &Tensor, rate: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("ZeroInflatedPoisson", &[gate_logits, rate])?;
        let (gate_logits, rate) = two(parameters);
        let gate = Probability::from_logits("the gate of ZeroInflatedPoisson", &gate_logits)?;
        check_positive("rate of ZeroInflatedPoisson", &rate)?;
        Ok(Self::from_checked(gate, rate, kind))
    }

    /// Makes a batch from a valid gate and rate.
    fn from_checked(gate: Probability, rate: Tensor, kind: Kind) -> Self {
        Self { gate, poisson: Poisson::from_checked(rate.shallow_clone(), Kind::Double), rate, kind }
    }

    /// Scales `(below, above)` of the Poisson by the probability of a count; adds the gate's probability, times
    /// `exp(log_share)`, to `below`.
    fn with_gate(&self, (below, above): (Tensor, Tensor), log_share: f64) -> (Tensor, Tensor) {
        let below = (below + &self.gate.log_q).logaddexp(&(&self.gate.log_p + log_share));
        (below, above + &self.gate.log_q)
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "zero-inflated-poisson",
    parameters: &["gate", "rate"],
    typical: &[0.3, 4.0],
    whole: 0,
    build: |_, p| Ok(Box::new(ZeroInflatedPoisson::new(&p[0], &p[1])?)),
};

impl Distribution for ZeroInflatedPoisson {
    fn name(&self) -> &str {
        "ZeroInflatedPoisson"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        let gate = self.gate.parameter();
        let name = if gate.name == "probs" { "gate" } else { "gate_logits" };
        vec![Parameter::scalar(name, &gate.value), Parameter::scalar("rate", &self.rate)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (gate, rate) = two(values);
        let poisson = Poisson::from_checked(rate.shallow_clone(), Kind::Double);
        Box::new(Self { gate: self.gate.with_value(gate), rate, poisson, kind: self.kind })
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

    fn mean(&self) -> Tensor {
        self.gate.log_q.exp() * &self.rate
    }

    fn variance(&self) -> Tensor {
        self.gate.log_q.exp() * &self.rate * (&self.rate * self.gate.log_p.exp() + 1.0)
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let counted = self.poisson.log_pmf(k) + &self.gate.log_q;
        let at_zero = counted.logaddexp(&self.gate.log_p);
        at_zero.where_self(&k.eq(0.0), &counted)
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        if k <= 0 {
            return Ok(log_zero_one(&self.rate));
        }
        Ok(self.with_gate(self.poisson.log_tails(k)?, 0.0))
    }

    fn log_partial_expectations(&self, k: i64) -> Result<(Tensor, Tensor)> {
        let excesses = self.poisson.log_partial_expectations(k)?;
        if k <= 0 {
            return Ok((excesses.0, (self.mean() - k as f64).log()));
        }
        Ok(self.with_gate(excesses, (k as f64).ln()))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let counted = self.gate.log_q.detach().exp().f_expand(&shape, false)?.bernoulli();
        Ok(self.poisson.sample(sample_shape)?.to_kind(self.kind) * counted.to_kind(self.kind))
    }
}
