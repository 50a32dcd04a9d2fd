//! Layers and an optimiser, as PyTorch has them: same names, same initialisation, same arithmetic.

mod adam;
mod batch_norm;
mod dense;
mod dots;
mod embedding;
mod entries;
mod finite;
mod mlp;
mod onednn;
mod rule;
mod sparse_product;

pub(crate) use dots::dots;
pub(crate) use embedding::weighted_sums;
pub(crate) use finite::is_finite;

pub use adam::{Adam, Skipped};
pub use batch_norm::BatchNorm;
pub use embedding::{EmbeddingBag, Rows};
pub use entries::Entries;
pub use mlp::{Linear, Mlp};
pub use sparse_product::SparseProduct;
