//! The estimators by name: a line each.

use super::arrivals::{self, ExponentialArrivals, Step};
use super::enumeration::{self, Enumeration};
use super::estimator::Estimator;
use super::facts::{Facts, FunctionNeeds, LawNeeds, Setting, Unbiased};
use super::fini::{self, Fini};
use super::gengs::{self, Gengs};
use super::go::{self, Go};
use super::go_dequantized::{self, GoDequantized};
use super::gumbel_rao::{self, GumbelRao};
use super::muprop::{self, MuProp};
use super::nvil::{self, Nvil};
use super::rebar::{self, Rebar};
use super::reinforce::{self, Baseline, Reinforce};
use super::reinmax::{self, ReinMax};
use super::relax::{self, Relax};
use super::relax_dequantized::{self, RelaxDequantized};
use super::vimco::{self, Vimco};
use crate::choice::{Choice, impl_display_and_from_str};
use crate::error::Result;
use crate::relaxation::{Forward, Order, Pathwise};
use serde::{Deserialize, Serialize};

/// From lines of a variant, its name, its help, its facts, and how it is built from a [`Setting`].
macro_rules! estimators {
    ($($kind:ident, $name:literal, $help:literal, $facts:path, |$setting:pat_param| $build:expr;)*) => {
        /// An estimator's name, as it is typed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EstimatorKind {
            $(
                #[doc = $help]
                #[serde(rename = $name)]
                $kind,
            )*
        }

        impl Choice for EstimatorKind {
            const CHOICES: &'static [Self] = &Self::ALL;

            fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => $help,)*
                }
            }
        }

        impl EstimatorKind {
            /// All of them, in the order in which tables list them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// What it is, claims and needs.
            pub fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$kind => &$facts,)*
                }
            }

            /// The estimator.
            ///
            /// # Errors
            /// When the temperature is not positive and finite, or what it learns has no room: width or features are
            /// below 1 or too many, or the device is not there.
            pub fn build(self, setting: &Setting) -> Result<Box<dyn Estimator>> {
                Ok(match self {
                    $(Self::$kind => { let $setting = setting; Box::new($build) })*
                })
            }
        }
    };
}

#[rustfmt::skip]
estimators! {
    Exact, "exact", "Sum over all outcomes", enumeration::EXACT, |_| Enumeration;
    Gengs, "gengs", "Generalized Gumbel-Softmax with soft \
        samples", gengs::GENGS, |setting| Gengs::new(setting.temperature, Forward::Soft)?;
    GengsSt, "gengs-st", "The same with straight-through: f sees \
        integers", gengs::GENGS_ST, |setting| Gengs::new(setting.temperature, Forward::StraightThrough)?;
    FiniOne, "fini-1", "Exact samples, slopes weighted to be exact for linear functions: straight-through at the \
        mean", fini::FINI_1, |_| Fini::new(Order::First);
    FiniTwo, "fini-2", "The same, exact for quadratic functions", fini::FINI_2, |_| Fini::new(Order::Second);
    FiniThree, "fini-3", "The same, exact for cubic functions", fini::FINI_3, |_| Fini::new(Order::Third);
    GumbelRao, "gumbel-rao", "Straight-through, averaged over relaxed samples that share an \
        integer", gumbel_rao::GUMBEL_RAO, |setting| GumbelRao::new(setting.temperature, gumbel_rao::DRAWS)?;
    ReinMax, "reinmax", "Straight-through of second order", reinmax::REINMAX, |_| ReinMax::new(1.0)?;
    Reinforce, "reinforce", "Score function without \
        baseline", reinforce::REINFORCE, |setting| Reinforce::new(Baseline::None, setting.device)?;
    ReinforceMa, "reinforce-ma", "Score function, baseline: moving \
        average", reinforce::REINFORCE_MA, |setting| Reinforce::new(Baseline::MovingAverage, setting.device)?;
    ReinforceLoo, "reinforce-loo", "Score function, baseline: the row's other \
        samples", reinforce::REINFORCE_LOO, |setting| Reinforce::new(Baseline::LeaveOneOut, setting.device)?;
    Nvil, "nvil", "Score function, learned baseline, normalised \
        signal", nvil::NVIL, |setting| Nvil::new(setting.features, true, setting.device)?;
    NvilBaseline, "nvil-baseline", "The same without \
        normalisation", nvil::NVIL_BASELINE, |setting| Nvil::new(setting.features, false, setting.device)?;
    MuProp, "muprop", "Score function around a linear expansion at the mean", muprop::MUPROP, |_| MuProp;
    Vimco, "vimco", "Score function of a bound of several samples", vimco::VIMCO, |_| Vimco;
    Rebar, "rebar", "Score function with a relaxed control \
        variate", rebar::REBAR, |setting| Rebar::new(setting.temperature, setting.device)?;
    Relax, "relax", "The same with a learned network \
        added", relax::RELAX, |setting| Relax::new(setting.width, setting.temperature, setting.device)?;
    RelaxDequantized, "relax-dequantized", "Score function with a learned control variate of dequantised \
        counts", relax_dequantized::RELAX_DEQUANTIZED, |setting| RelaxDequantized::new(setting.width, setting.device)?;
    EatSigmoid, "eat-sigmoid", "Arrival times of a Poisson process, logistic \
        step", arrivals::EAT_SIGMOID, |setting| ExponentialArrivals::new(setting.temperature, Step::Sigmoid)?;
    EatCubic, "eat-cubic", "Arrival times of a Poisson process, cubic \
        step", arrivals::EAT_CUBIC, |setting| ExponentialArrivals::new(setting.temperature, Step::Cubic)?;
    Go, "go", "Differences of f from each atom to the next, for every latent by itself", go::GO, |_| Go::new(false);
    GoOne, "go-one", "Differences of f from one atom to the next, of one latent at \
        random", go::GO_ONE, |_| Go::new(true);
    GoDequantized, "go-dequantized", "Slopes between the integers, all latents at \
        once", go_dequantized::GO_DEQUANTIZED, |_| GoDequantized::new(false);
    GoDequantizedOne, "go-dequantized-one", "Slopes between the integers, one latent at a \
        time", go_dequantized::GO_DEQUANTIZED_ONE, |_| GoDequantized::new(true);
}

impl EstimatorKind {
    /// Whether its expectation is the exact gradient, for rows of so many latents and a function that gives what the
    /// estimator [needs](Self::needs_of_f); of its own objective, for [`Vimco`].
    pub fn is_unbiased(self, latents: i64) -> bool {
        match self.facts().unbiased {
            Unbiased::Always => true,
            Unbiased::OneLatent => latents == 1,
            Unbiased::Never => false,
        }
    }

    /// The degree up to which its expectation is the exact gradient of functions that are polynomials in each latent
    /// by itself, for laws with mass on as many atoms; 0 where it claims none.
    pub fn exact_degree(self) -> i64 {
        self.facts().exact_degree
    }

    /// Returns how one sample per latent carries its gradient, for the estimators that need nothing else: the one-pass
    /// sampler draws these samples. `None` for the other estimators.
    pub fn pathwise(self, temperature: f64) -> Option<Pathwise> {
        match self {
            Self::Gengs => Some(Pathwise::Relaxed { temperature, forward: Forward::Soft }),
            Self::GengsSt => Some(Pathwise::Relaxed { temperature, forward: Forward::StraightThrough }),
            Self::FiniOne => Some(Pathwise::FiniteOrder(Order::First)),
            Self::FiniTwo => Some(Pathwise::FiniteOrder(Order::Second)),
            Self::FiniThree => Some(Pathwise::FiniteOrder(Order::Third)),
            _ => None,
        }
    }

    /// The fewest samples a row that it works with.
    pub fn fewest_samples(self) -> i64 {
        self.facts().fewest_samples
    }

    /// Whether the temperature is a setting of it, not learned or absent.
    pub fn has_temperature(self) -> bool {
        self.facts().has_temperature
    }

    /// What it asks of the function under the expectation.
    pub fn needs_of_f(self) -> FunctionNeeds {
        self.facts().needs_of_f
    }

    /// What it asks of the law of each latent.
    pub fn needs_of_law(self) -> LawNeeds {
        self.facts().needs_of_law
    }

    /// Whether it needs latents that are successive integers.
    pub fn needs_integers(self) -> bool {
        matches!(self.needs_of_law(), LawNeeds::Integers | LawNeeds::Poisson)
    }

    /// Whether it needs latents that are numbers.
    pub fn needs_numbers(self) -> bool {
        self.needs_of_law() != LawNeeds::Any
    }

    /// Whether it is made for Poisson latents.
    pub fn needs_poisson(self) -> bool {
        self.needs_of_law() == LawNeeds::Poisson
    }
}

impl_display_and_from_str!(EstimatorKind, "estimator");
