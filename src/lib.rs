#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod backward;
mod checks;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub mod distributions;
mod error;
pub mod estimators;
pub mod laboratory;
mod limits;
mod markup;
mod memory;
pub mod models;
pub mod nn;
pub mod relaxation;
mod slices;
pub mod special;
mod summation;
mod threads;
pub mod topics;
pub mod training;
mod truncated;
mod truncation;
mod truncation_error;

pub use error::{Error, Result};
pub use limits::set_largest_tensor;
pub use memory::keep_freed_memory;
pub use truncated::TruncatedDistribution;
pub use truncation::{Tail, Truncation, Window};
pub use truncation_error::TruncationError;

/// What most programs need.
pub mod prelude {
    pub use crate::distributions::{
        Bernoulli, BetaBinomial, Binomial, Categorical, ConwayMaxwellPoisson, Custom, DiscretizedLogistic,
        Distribution, Geometric, Hypergeometric, Mixture, Multinomial, NegativeBinomial, Poisson, Skellam, Support,
        ZeroInflatedPoisson, Zipf,
    };
    pub use crate::relaxation::{Forward, MultinomialRelaxation, Relaxation, Scheme, Temperature};
    pub use crate::{Tail, TruncatedDistribution, Truncation, TruncationError, Window};
}
