#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod autograd;
mod checks;
mod choice;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod data;
pub mod distributions;
mod error;
pub mod estimators;
pub mod export;
mod formats;
pub mod laboratory;
mod markup;
mod math;
pub mod models;
pub mod nn;
mod platform;
pub mod random;
pub mod recurrences;
pub mod relaxation;
pub mod sampler;
pub mod topic_metrics;
pub mod training;
mod truncation;

pub use checks::unchecked;
pub use choice::Choice;
pub use error::{Cause, Error, Result, TorchError};
pub use math::special;
pub use platform::device;
pub use platform::limits::set_largest_tensor;
pub use platform::memory::keep_freed_memory;
pub use truncation::{Tail, TruncatedDistribution, Truncation, TruncationError, Window};

/// What most programs need.
pub mod prelude {
    pub use crate::distributions::{
        Bernoulli, BetaBinomial, Binomial, Categorical, ConwayMaxwellPoisson, Custom, DiscretizedLogistic,
        Distribution, Geometric, Hypergeometric, Mixture, Multinomial, NegativeBinomial, Poisson, Skellam, Support,
        ZeroInflatedPoisson, Zipf,
    };
    pub use crate::relaxation::{Forward, MultinomialRelaxation, Relaxation, Scheme, Temperature};
    pub use crate::{Tail, TruncatedDistribution, Truncation, TruncationError, Window, unchecked};
}
