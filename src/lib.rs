#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub mod distributions;
mod error;
pub mod models;
pub mod nn;
pub mod relaxation;
pub mod special;
pub mod training;
mod truncated;
mod truncation;

pub use error::{Error, Result};
pub use truncated::TruncatedDistribution;
pub use truncation::{Tail, Truncation, Window};

/// What most programs need.
pub mod prelude {
    pub use crate::distributions::{
        Bernoulli, Binomial, Categorical, Distribution, Geometric, NegativeBinomial, Poisson,
    };
    pub use crate::relaxation::{Forward, Relaxation, Temperature};
    pub use crate::{TruncatedDistribution, Truncation, Window};
}
