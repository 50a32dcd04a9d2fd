//! What is drawn from, what a draw leaves, and what drew it.

use crate::distributions::Distribution;
use tch::Tensor;

/// What the sampler draws from. A reference to a law or to logits becomes one by itself.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A law of the batch shape `[..., latents]`.
    Law(&'a dyn Distribution),
    /// Free logits `[..., latents, n]` on the atoms of the window (implicit inference); minus infinity excludes an
    /// atom.
    Logits(&'a Tensor),
}

impl<'a, D: Distribution> From<&'a D> for Source<'a> {
    fn from(law: &'a D) -> Self {
        Source::Law(law)
    }
}

impl<'a> From<&'a (dyn Distribution + 'a)> for Source<'a> {
    fn from(law: &'a (dyn Distribution + 'a)) -> Self {
        Source::Law(law)
    }
}

impl<'a> From<&'a Tensor> for Source<'a> {
    fn from(logits: &'a Tensor) -> Self {
        Source::Logits(logits)
    }
}

/// Draws with a gradient, and the KL to a prior.
#[derive(Debug)]
pub struct OnePassDraw {
    /// Relaxed samples, of the batch shape.
    pub z: Tensor,
    /// `KL(q || prior)` in nats, of the batch shape, if a prior was given.
    pub kl: Option<Tensor>,
    /// What drew them.
    pub drawn_by: Backend,
}

/// What drew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The one-pass sampler.
    OnePass,
    /// The tensor graph in parts of bounded memory.
    #[serde(rename = "chunks")]
    Blocks,
    /// The tensor graph.
    TensorGraph,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Backend::OnePass => "one-pass sampler",
            Backend::Blocks => "tensor graph in parts",
            Backend::TensorGraph => "tensor graph",
        })
    }
}
