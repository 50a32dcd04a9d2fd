//! Noise: from libtorch's generator, and by counter.

pub(crate) mod counter;
pub(crate) mod counter_tensors;
mod gumbel;

pub use counter::NoiseKey;
pub use gumbel::{gumbel, gumbel_from_exponential};
