//! Layers and an optimiser, as PyTorch has them: same names, same initialisation, same arithmetic.

mod adam;
mod embedding;
mod mlp;
mod onednn;

pub use adam::Adam;
pub use embedding::{EmbeddingBag, Rows};
pub use mlp::{Linear, Mlp};
