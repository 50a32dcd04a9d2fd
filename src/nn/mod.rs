//! Layers and an optimiser as in PyTorch: same names, same initialisation, same arithmetic.

mod adam;
mod adam_step;
mod batch_norm;
mod dense;
mod embedding;
mod finite;
mod mlp;
mod onednn;
mod rowwise_dot;
mod sparse_index;
mod sparse_product;

pub(crate) use embedding::weighted_sums;
pub(crate) use finite::is_finite;
pub(crate) use rowwise_dot::rowwise_dot;

pub use adam::{Adam, Skipped};
pub use batch_norm::BatchNorm;
pub use embedding::{EmbeddingBag, Rows};
pub use mlp::{Linear, Mlp};
pub use sparse_index::SparseIndex;
pub use sparse_product::SparseProduct;
