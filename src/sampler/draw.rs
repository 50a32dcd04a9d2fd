//! What a draw leaves, and what drew it.

use tch::Tensor;

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
