//! The law of words given topics.

use crate::choice::choices;

choices! {
    "likelihood";
    /// The law of words given topics.
    pub enum Likelihood {
        /// Independent Poisson counts, whose rates are sums over topics.
        Poisson = "poisson",
        /// Given the document's length, a multinomial whose probabilities are sums over topics.
        Multinomial = "multinomial",
        /// Given the document's length, a multinomial whose logits are sums over topics.
        LogLinear = "log-linear",
    }
}
