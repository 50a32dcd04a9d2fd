//! What an estimator gives back.

use super::expectation::Expectation;
use super::tensors::no_value;
use tch::{Kind, Tensor};

/// An estimate.
#[derive(Debug)]
pub struct Estimate {
    /// For each row a scalar, `[rows...]`: its value estimates `E_q[f(z)]`, its gradient that of the expectation.
    pub surrogate: Tensor,
    /// What a user may want to look at.
    pub info: Info,
}

/// What an estimate was made of.
#[derive(Debug, Default)]
pub struct Info {
    /// How often `f` was evaluated for each row.
    pub evaluations: i64,
    /// Whether the surrogate already includes the KL to the prior, as bounds of several samples do.
    pub includes_prior: bool,
    /// Learned or adapted quantities by name, as the estimate used them; scalars, on the law's device.
    pub quantities: Vec<(&'static str, Tensor)>,
}

/// Latents at exact samples, as an estimator differentiates them.
#[derive(Debug)]
pub struct ExactSamples {
    /// The samples, with the graph by which the slope of `f` becomes a gradient.
    pub z: Tensor,
    /// The degree of polynomials for which the expectation of that gradient is exact, under every law of the batch.
    pub degree: i64,
}

impl Estimate {
    /// From a scalar for each sample `[samples, rows...]`.
    pub(super) fn mean_of(samples: &Tensor, evaluations: i64) -> Self {
        Self { surrogate: samples.mean_dim(0, false, None::<Kind>), info: Info { evaluations, ..Info::default() } }
    }

    /// With a graph, of a gradient of zero, where `f` has none and the law has one: a step then trains nothing, and
    /// does not fail.
    pub(super) fn attached(self, of: &Expectation<'_>) -> Self {
        if self.surrogate.requires_grad() || !of.law.log_weights().requires_grad() {
            return self;
        }
        let zeros = no_value(&of.log_weights()).sum_dim_intlist([-2, -1].as_slice(), false, None::<Kind>);
        Self { surrogate: self.surrogate + zeros * 0.0, ..self }
    }

    /// With the gradient `g` `[rows..., latents, atoms]` in the log weights added.
    pub(super) fn pulled(self, of: &Expectation<'_>, g: &Tensor) -> Self {
        let pull = no_value(&of.log_weights()) * g.detach();
        let surrogate = self.surrogate + pull.sum_dim_intlist([-2, -1].as_slice(), false, None::<Kind>);
        Self { surrogate, ..self }
    }

    pub(super) fn quantity(mut self, name: &'static str, value: &Tensor) -> Self {
        self.info.quantities.push((name, value.detach()));
        self
    }
}
