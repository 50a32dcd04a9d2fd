//! Layers and an optimiser, as PyTorch has them: same names, same initialisation, same arithmetic.

mod adam;
mod dense;
mod embedding;
mod entries;
mod finite;
mod mlp;
mod onednn;

pub use adam::{Adam, Skipped};
pub use embedding::{EmbeddingBag, Rows};
pub use entries::Entries;
pub use mlp::{Linear, Mlp};
