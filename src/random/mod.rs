//! Noise: from libtorch's generator, and by counter.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes index many arrays alike, which reads as the mathematics does"
)]

pub(crate) mod counter;
pub(crate) mod counter_tensors;
pub(crate) mod counts;
mod generator;
mod gumbel;

pub use counter::NoiseKey;
pub use generator::{Held, hold, seeded};
pub use gumbel::{gumbel, gumbel_from_exponential};
