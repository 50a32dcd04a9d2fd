//! The estimators by name.

use super::{
    Baseline, Enumeration, Estimator, ExponentialArrivals, FunctionNeeds, Gengs, Go, GoDequantized, GumbelRao,
    LawNeeds, MuProp, Nvil, Rebar, ReinMax, Reinforce, Relax, RelaxDequantized, Step, Vimco,
};
use crate::Result;
use crate::relaxation::Forward;
use serde::{Deserialize, Serialize};
use tch::Device;

/// An estimator's name, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum EstimatorKind {
    /// Sum over all outcomes
    Exact,
    /// Generalized Gumbel-Softmax with soft samples
    Gengs,
    /// The same with straight-through: f sees integers
    GengsSt,
    /// Straight-through, averaged over relaxed samples that share an integer
    GumbelRao,
    /// Straight-through of second order
    #[cfg_attr(feature = "cli", value(name = "reinmax"))]
    #[serde(rename = "reinmax")]
    ReinMax,
    /// Score function without baseline
    Reinforce,
    /// Score function, baseline: moving average
    ReinforceMa,
    /// Score function, baseline: the row's other samples
    ReinforceLoo,
    /// Score function, learned baseline, normalised signal
    Nvil,
    /// The same without normalisation
    NvilBaseline,
    /// Score function around a linear expansion at the mean
    #[cfg_attr(feature = "cli", value(name = "muprop"))]
    #[serde(rename = "muprop")]
    MuProp,
    /// Score function of a bound of several samples
    Vimco,
    /// Score function with a relaxed control variate
    Rebar,
    /// The same with a learned network added
    Relax,
    /// Score function with a learned control variate of dequantised counts
    RelaxDequantized,
    /// Arrival times of a Poisson process, logistic step
    EatSigmoid,
    /// Arrival times of a Poisson process, cubic step
    EatCubic,
    /// Differences of f from each atom to the next, for every latent by itself
    Go,
    /// Differences of f from one atom to the next, of one latent at random
    GoOne,
    /// Slopes between the integers, all latents at once
    GoDequantized,
    /// Slopes between the integers, one latent at a time
    GoDequantizedOne,
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

/// Relaxed samples that Gumbel-Rao averages; the variance that they remove falls with their inverse, so that most of it is gone by ten.
const RAO_DRAWS: i64 = 10;

impl EstimatorKind {
    /// All of them, in the order in which tables list them.
    pub const ALL: [Self; 21] = [
        Self::Exact,
        Self::Gengs,
        Self::GengsSt,
        Self::GumbelRao,
        Self::ReinMax,
        Self::Reinforce,
        Self::ReinforceMa,
        Self::ReinforceLoo,
        Self::Nvil,
        Self::NvilBaseline,
        Self::MuProp,
        Self::Vimco,
        Self::Rebar,
        Self::Relax,
        Self::RelaxDequantized,
        Self::EatSigmoid,
        Self::EatCubic,
        Self::Go,
        Self::GoOne,
        Self::GoDequantized,
        Self::GoDequantizedOne,
    ];

    /// The estimator.
    ///
    /// # Errors
    /// When the temperature is not positive and finite, or what it learns has no room: width or features are below 1 or too many, or the device is not there.
    pub fn build(self, setting: &Setting) -> Result<Box<dyn Estimator>> {
        let Setting { width, features, temperature, device } = *setting;
        Ok(match self {
            Self::Exact => Box::new(Enumeration),
            Self::Gengs => Box::new(Gengs::new(temperature, Forward::Soft)?),
            Self::GengsSt => Box::new(Gengs::new(temperature, Forward::StraightThrough)?),
            Self::GumbelRao => Box::new(GumbelRao::new(temperature, RAO_DRAWS)?),
            Self::ReinMax => Box::new(ReinMax::new(1.0)?),
            Self::Reinforce => Box::new(Reinforce::new(Baseline::None, device)?),
            Self::ReinforceMa => Box::new(Reinforce::new(Baseline::MovingAverage, device)?),
            Self::ReinforceLoo => Box::new(Reinforce::new(Baseline::LeaveOneOut, device)?),
            Self::Nvil => Box::new(Nvil::new(features, true, device)?),
            Self::NvilBaseline => Box::new(Nvil::new(features, false, device)?),
            Self::MuProp => Box::new(MuProp),
            Self::Vimco => Box::new(Vimco),
            Self::Rebar => Box::new(Rebar::new(temperature, device)?),
            Self::Relax => Box::new(Relax::new(width, temperature, device)?),
            Self::RelaxDequantized => Box::new(RelaxDequantized::new(width, device)?),
            Self::EatSigmoid => Box::new(ExponentialArrivals::new(temperature, Step::Sigmoid)?),
            Self::EatCubic => Box::new(ExponentialArrivals::new(temperature, Step::Cubic)?),
            Self::Go => Box::new(Go::new(false)),
            Self::GoOne => Box::new(Go::new(true)),
            Self::GoDequantized => Box::new(GoDequantized::new(false)),
            Self::GoDequantizedOne => Box::new(GoDequantized::new(true)),
        })
    }

    /// Whether its expectation is the exact gradient, for rows of so many latents and a function that gives what the estimator
    /// [needs](Self::needs_of_f); of its own objective, for [`Vimco`].
    pub fn is_unbiased(self, latents: i64) -> bool {
        match self {
            Self::Exact
            | Self::Reinforce
            | Self::ReinforceMa
            | Self::ReinforceLoo
            | Self::NvilBaseline
            | Self::MuProp
            | Self::Vimco
            | Self::Rebar
            | Self::Relax
            | Self::RelaxDequantized
            | Self::Go
            | Self::GoOne
            | Self::GoDequantizedOne => true,
            Self::GoDequantized => latents == 1,
            Self::Gengs
            | Self::GengsSt
            | Self::GumbelRao
            | Self::ReinMax
            | Self::Nvil
            | Self::EatSigmoid
            | Self::EatCubic => false,
        }
    }

    /// The fewest samples a row that it works with.
    pub fn fewest_samples(self) -> i64 {
        if matches!(self, Self::ReinforceLoo | Self::Vimco) { 2 } else { 1 }
    }

    /// Whether the temperature is a setting of it, not learned or absent.
    pub fn has_temperature(self) -> bool {
        matches!(self, Self::Gengs | Self::GengsSt | Self::GumbelRao | Self::EatSigmoid | Self::EatCubic)
    }

    /// What it asks of the function under the expectation.
    pub fn needs_of_f(self) -> FunctionNeeds {
        match self {
            Self::Exact
            | Self::Reinforce
            | Self::ReinforceMa
            | Self::ReinforceLoo
            | Self::Nvil
            | Self::NvilBaseline
            | Self::Vimco
            | Self::RelaxDequantized
            | Self::Go
            | Self::GoOne => FunctionNeeds::Atoms,
            Self::MuProp => FunctionNeeds::Between,
            Self::GengsSt | Self::GumbelRao | Self::ReinMax => FunctionNeeds::SlopeAtAtoms,
            Self::Gengs
            | Self::Rebar
            | Self::Relax
            | Self::EatSigmoid
            | Self::EatCubic
            | Self::GoDequantized
            | Self::GoDequantizedOne => FunctionNeeds::SlopeBetween,
        }
    }

    /// What it asks of the law of each latent.
    pub fn needs_of_law(self) -> LawNeeds {
        match self {
            Self::EatSigmoid | Self::EatCubic => LawNeeds::Poisson,
            Self::RelaxDequantized | Self::GoDequantized | Self::GoDequantizedOne => LawNeeds::Integers,
            _ => LawNeeds::Any,
        }
    }

    /// Whether it needs latents that are successive integers.
    pub fn needs_integers(self) -> bool {
        self.needs_of_law() != LawNeeds::Any
    }

    /// Whether it is made for Poisson latents.
    pub fn needs_poisson(self) -> bool {
        self.needs_of_law() == LawNeeds::Poisson
    }
}

impl std::fmt::Display for EstimatorKind {
    /// As it is typed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
