//! Discrete distributions with tensor parameters, and the trait they share.
//!
//! Each file holds one family. Every result is **float64** for every kind of the parameters: a log-pmf is a small
//! difference of large numbers (`k log rate - rate - log k!` at a rate of 1,000 subtracts terms of 7,000), and float32
//! has no digits left for it. [`TruncatedDistribution`](crate::TruncatedDistribution) rounds at the end: to float64 for
//! float64 parameters, to float32 for all others, so that half-precision parameters give laws in float32.
//!
//! | family | support | parameters |
//! |---|---|---|
//! | [`Bernoulli`] | 0, 1 | `probs` or `logits` |
//! | [`Binomial`] | 0 ..= `total_count` | `probs` or `logits` |
//! | [`BetaBinomial`] | 0 ..= `total_count` | `concentration1`, `concentration0` |
//! | [`Categorical`] | 0 .. classes | `probs` or `logits` |
//! | [`Hypergeometric`] | successes in `draws` draws | `population`, `successes` |
//! | [`Poisson`] | 0, 1, ... | `rate` |
//! | [`ZeroInflatedPoisson`] | 0, 1, ... | `gate` or its logits, `rate` |
//! | [`ConwayMaxwellPoisson`] | 0, 1, ... | `rate`, `nu` |
//! | [`Geometric`] | 0, 1, ... | `probs` or `logits` |
//! | [`NegativeBinomial`] | 0, 1, ... | `total_count`, `probs` or `logits` |
//! | [`Skellam`] | all integers | `rate1`, `rate2` |
//! | [`DiscretizedLogistic`] | all integers | `loc`, `scale` |
//! | [`Zipf`] | 1 ..= `size` | `exponent` |
//! | [`Mixture`] | the range of all components' supports | the parameters of a [`Categorical`], and of the components |
//! | [`Custom`] | any | any: a closure |
//!
//! `new` takes the parameters that torch.distributions takes first, `from_logits` log-odds or unnormalised log
//! probabilities in their place. Both check the values, which copies them from a GPU; [`unchecked`](crate::unchecked)
//! skips the checks, for all families.
//!
//! Positive parameters lie within 1e-300..=1e30 and probabilities within 1e-30..1, so that their products do not
//! float64. Atoms lie within plus and minus [`LARGEST_ATOM`], 2^24, the integers that float32 holds.
//!
//! [`Multinomial`] is a law of vectors; it is sampled through
//! [`MultinomialRelaxation`](crate::relaxation::MultinomialRelaxation).

mod bernoulli;
mod beta_binomial;
mod binomial;
mod categorical;
mod conway_maxwell_poisson;
mod count_moments;
mod custom;
mod discretized_logistic;
mod distribution;
mod families;
mod family_entry;
mod farther;
mod geometric;
mod hypergeometric;
mod mixture;
mod multinomial;
mod negative_binomial;
mod poisson;
mod probability;
mod quantiles;
mod skellam;
mod sums;
mod support;
mod zero_inflated_poisson;
mod zipf;

pub use bernoulli::Bernoulli;
pub use beta_binomial::BetaBinomial;
pub use binomial::Binomial;
pub use categorical::Categorical;
pub use conway_maxwell_poisson::ConwayMaxwellPoisson;
pub use count_moments::{CountFamily, CountMoments};
pub use custom::{Custom, CustomBuilder};
pub use discretized_logistic::DiscretizedLogistic;
pub use distribution::{Distribution, Parameter};
pub(crate) use distribution::{cloned, window_log_weights};
pub use families::FAMILIES;
pub use family_entry::FamilyEntry;
pub(crate) use family_entry::whole_number;
pub use geometric::Geometric;
pub use hypergeometric::Hypergeometric;
pub use mixture::Mixture;
pub use multinomial::Multinomial;
pub use negative_binomial::NegativeBinomial;
pub use poisson::Poisson;
pub(crate) use quantiles::find_window;
pub use skellam::Skellam;
pub use support::Support;
pub use zero_inflated_poisson::ZeroInflatedPoisson;
pub use zipf::Zipf;

pub use crate::checks::LARGEST_ATOM;
