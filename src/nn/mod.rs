//! Layers and an optimiser, as PyTorch has them: same names, same initialisation, same arithmetic.

mod adam;
mod batch_norm;
mod dense;
mod embedding;
mod finite;
mod mlp;
mod onednn;

pub use adam::{Adam, Skipped};
pub use batch_norm::BatchNorm;
pub use embedding::{EmbeddingBag, Rows};
pub use mlp::{Linear, Mlp};
