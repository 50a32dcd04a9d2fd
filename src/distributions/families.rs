//! The table of families by name, for programs that take a family as a word and for tests over all families.

use super::family_entry::FamilyEntry;
use super::{
    bernoulli, beta_binomial, binomial, categorical, conway_maxwell_poisson, discretized_logistic, geometric,
    hypergeometric, mixture, negative_binomial, poisson, skellam, zero_inflated_poisson, zipf,
};
use crate::error::{Error, Result};

/// All families that a name and numbers determine. `mixture` is a mixture of a Poisson and a geometric law.
pub const FAMILIES: &[FamilyEntry] = &[
    poisson::ENTRY,
    geometric::ENTRY,
    negative_binomial::ENTRY,
    binomial::ENTRY,
    bernoulli::ENTRY,
    categorical::ENTRY,
    beta_binomial::ENTRY,
    hypergeometric::ENTRY,
    zero_inflated_poisson::ENTRY,
    conway_maxwell_poisson::ENTRY,
    skellam::ENTRY,
    discretized_logistic::ENTRY,
    zipf::ENTRY,
    mixture::ENTRY,
];

impl FamilyEntry {
    /// Returns the family of the given name.
    ///
    /// # Errors
    /// Fails if there is none; the error lists all names.
    pub fn find(name: &str) -> Result<Self> {
        FAMILIES.iter().find(|entry| entry.name == name).copied().ok_or_else(|| {
            let names = FAMILIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
            Error::parameter("family", format!("'{name}'"), format!("one of {names}"))
        })
    }
}
