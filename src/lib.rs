//! Gradients through discrete random variables, on libtorch.
//!
//! A Poisson, a negative binomial, a categorical, or any law whose log-pmf you can write, becomes a latent variable
//! that backpropagation trains. The generalized Gumbel-Softmax estimator, GenGS (Joo, Kim, Shin, Moon, arXiv
//! 2003.01847), takes three steps: truncate the law to finitely many atoms, relax the choice of an atom, and return the
//! weighted mean of the atoms.
//!
//! ```
//! use gengs::prelude::*;
//! use tch::{Kind, Tensor};
//!
//! tch::manual_seed(0);
//! let rate = Tensor::from_slice(&[0.5, 2.0, 6.0]).set_requires_grad(true);
//! let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-6))?;
//! println!("atoms 0 to {}", q.len() - 1);
//!
//! let z = Relaxation::new(&q, 0.02)?.rsample(&[100_000])?; // [100_000, 3], near integers
//! (z - 4.0).square().mean_dim(0, false, Kind::Double).sum(Kind::Double).backward();
//! println!("gradient {:.1?}, exactly [-6.0, -3.0, 5.0]", Vec::<f64>::try_from(rate.grad())?);
//! # assert_eq!(q.len(), 22);
//! # let error = (rate.grad() - Tensor::from_slice(&[-6.0, -3.0, 5.0])).abs().max().double_value(&[]);
//! # assert!(error < 1.5, "{error}");
//! # Ok::<(), gengs::Error>(())
//! ```
//!
//! ```text
//! atoms 0 to 21
//! gradient [-5.9, -3.1, 5.1], exactly [-6.0, -3.0, 5.0]
//! ```
//!
//! # Where to go
//!
//! | you want | look at |
//! |---|---|
//! | a law | [`distributions`]; one of your own: [`distributions::Custom`] |
//! | a window, and what it loses | [`Truncation`], [`TruncatedDistribution::truncation_error`] |
//! | a sample that carries a gradient | [`relaxation::Relaxation`]; for vectors of counts: [`relaxation::MultinomialRelaxation`] |
//! | the same without a tensor of atoms, on the CPU | [`sampler`] |
//! | another gradient estimator, or your own | [`estimators`] |
//! | bias and variance against the exact gradient | [`laboratory`] |
//! | a VAE or a topic model | [`models`]; trained, saved and resumed: [`training`] |
//! | weights from PyTorch, models for PyTorch | [`training::weights`], [`mod@export`] |
//! | images and documents | [`data`] |
//!
//! # Families by purpose
//!
//! - A count without a largest value: [`Poisson`](distributions::Poisson). With more spread:
//!   [`NegativeBinomial`](distributions::NegativeBinomial), [`Geometric`](distributions::Geometric); with less or more:
//!   [`ConwayMaxwellPoisson`](distributions::ConwayMaxwellPoisson); with many zeros:
//!   [`ZeroInflatedPoisson`](distributions::ZeroInflatedPoisson).
//! - A count up to a largest value: [`Binomial`](distributions::Binomial). With more spread:
//!   [`BetaBinomial`](distributions::BetaBinomial); without replacement:
//!   [`Hypergeometric`](distributions::Hypergeometric).
//! - A yes or no, a class, a rank: [`Bernoulli`](distributions::Bernoulli),
//!   [`Categorical`](distributions::Categorical), [`Zipf`](distributions::Zipf).
//! - An integer of either sign: [`Skellam`](distributions::Skellam),
//!   [`DiscretizedLogistic`](distributions::DiscretizedLogistic).
//! - Counts that add up to a total: [`Multinomial`](distributions::Multinomial).
//! - Of several kinds: [`Mixture`](distributions::Mixture). None of these: [`Custom`](distributions::Custom), by its
//!   log-pmf.
//! - Free, where the network puts out the logits of the atoms: [`TruncatedDistribution::from_logits`].
//!
//! # What it needs
//!
//! libtorch 2.11.0, which `libtorch-setup.sh` in the repository installs. The feature `cli`, on by default, builds the
//! programs `gengs-vae`, `gengs-topics` and `gengs-gradients`; the library alone is `default-features = false`. Random
//! numbers come from libtorch's generator (`tch::manual_seed`), from keys ([`sampler`], [`random`]), or from noise of
//! your own.
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

/// The README's code runs as a test of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
