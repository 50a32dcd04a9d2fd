//! The law of words given topics.

use serde::{Deserialize, Serialize};

/// The law of words given topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Likelihood {
    /// Independent Poisson counts, whose rates are sums over topics.
    Poisson,
    /// Given the length: a multinomial whose probabilities are sums over topics.
    Multinomial,
    /// Given the length: a multinomial whose logits are sums over topics.
    LogLinear,
}

impl std::fmt::Display for Likelihood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
