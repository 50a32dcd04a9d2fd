//! What an estimator claims, and what it asks of the function and of the law under an expectation.

use serde::{Deserialize, Serialize};
use tch::Device;

/// What an estimator asks of `f`. Its claim of no bias holds for functions that give it, and for no others.
///
/// A step function, `f = 1[z >= 3]` or `floor(z / 2)`, gives the first two alone: it has a value between the atoms, but
/// its slope there is zero and says nothing of its rise. Estimators that ask for more accept such a function, and
/// estimate another gradient.
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
    /// Finitely many atoms, numbers or vectors.
    Any,
    /// Atoms that are numbers.
    Numbers,
    /// Atoms that are successive integers.
    Integers,
    /// A Poisson, given with the expectation.
    Poisson,
}

/// For which rows the expectation of an estimator is the exact gradient, of functions that give what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbiased {
    /// For none.
    Never,
    /// For rows of one latent.
    OneLatent,
    /// For all.
    Always,
}

/// By what an estimator reaches the gradient; figures show those of one kind together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approach {
    /// The sum over all outcomes, which the others are compared with.
    Reference,
    /// The slope of `f` along a relaxed sample.
    Pathwise,
    /// The slope of `f` at an exact sample, weighted.
    AtExactSamples,
    /// The slope of the log-probability.
    ScoreFunction,
    /// The same, with what is known of `f` subtracted.
    ControlVariate,
    /// Steps or slides from each atom to the next.
    Steps,
}

/// What an estimator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// By what it reaches the gradient.
    pub approach: Approach,
    /// Its claim; of its own objective, for a bound of several samples.
    pub unbiased: Unbiased,
    /// The degree up to which its expectation is the exact gradient of every function that is a polynomial in each
    /// latent by itself; 0 where it claims none. Laws with mass on fewer atoms are exact up to their number.
    pub exact_degree: i64,
    /// The fewest samples a row that it works with.
    pub fewest_samples: i64,
    /// Whether the temperature is a setting of it, not learned or absent.
    pub has_temperature: bool,
    /// What it asks of the function under the expectation.
    pub needs_of_f: FunctionNeeds,
    /// What it asks of the law of each latent.
    pub needs_of_law: LawNeeds,
}

impl Facts {
    /// Of an estimator by the score function that claims to be unbiased, works with one sample, has no temperature, and
    /// asks for a value at the atoms alone.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            approach: Approach::ScoreFunction,
            unbiased: Unbiased::Always,
            exact_degree: 0,
            fewest_samples: 1,
            has_temperature: false,
            needs_of_f: FunctionNeeds::Atoms,
            needs_of_law: LawNeeds::Any,
        }
    }
}

/// What an estimator is built from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Numbers in a row of values: latents, times the atoms' own dimension.
    pub width: i64,
    /// Features of the context that a learned baseline sees.
    pub features: Option<i64>,
    /// Temperature, where there is one; the start of those that are learned.
    pub temperature: f64,
    /// Where the laws live.
    pub device: Device,
}
