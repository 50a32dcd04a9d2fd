//! What an estimator asks of the function and of the law under an expectation.

use serde::{Deserialize, Serialize};

/// What an estimator asks of `f`. Its claim of no bias holds for functions that give it, and for no others.
///
/// A step function, `f = 1[z >= 3]` or `floor(z / 2)`, gives the first two alone: it has a value between the atoms, but its slope there is
/// zero and says nothing of its rise. Estimators that ask for more accept such a function, and estimate another gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionNeeds {
    /// A value at the atoms; `f` is never differentiated in `z`.
    Atoms,
    /// A value between the atoms too, and any finite slope there.
    Between,
    /// A slope at the atoms that tells of the neighbouring atoms.
    SlopeAtAtoms,
    /// A slope between the atoms that adds up to the rise from one atom to the next.
    SlopeBetween,
}

/// What an estimator asks of the law of each latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LawNeeds {
    /// Finitely many atoms, integers or vectors.
    Any,
    /// Atoms that are successive integers.
    Integers,
    /// A Poisson, given with the expectation.
    Poisson,
}
