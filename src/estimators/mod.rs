//! Estimators of the gradient of `E_q[f(z)]`, all behind one trait.
//!
//! `q` is a batch of rows, each of some independent latents with truncated laws; `f` maps the latents of a row to one
//! number. An [`Estimator`] turns the two, as an [`Expectation`], into a scalar for each row whose value estimates
//! `E_q[f(z)]` and whose gradient estimates that of the expectation: in `q`'s parameters, and in `f`'s own. So it
//! stands in a training step where a loss would stand.
//!
//! | name | gradient through | evaluations of `f` | bias |
//! |---|---|---|---|
//! | [`exact`](Enumeration) | every outcome | atoms ^ latents | none |
//! | [`gengs`, `gengs-st`](Gengs) | the relaxed sample; its integer | 1 a sample | falls with the temperature |
//! | [`fini-1`, `-2`, `-3`](Fini) | exact samples, weighted slopes | 1 a sample | none for polynomials of that degree |
//! | [`gumbel-rao`](GumbelRao) | relaxed samples that share an integer | 1 a sample | as `gengs-st` |
//! | [`reinmax`](ReinMax) | second-order straight-through | 1 a sample | none for quadratics |
//! | [`reinforce`, `-ma`, `-loo`](Reinforce) | the log-probability | 1 a sample | none |
//! | [`nvil`](Nvil) | the log-probability, learned baseline | 1 a sample | a factor of at most 1 |
//! | [`muprop`](MuProp) | the log-probability, and `f` at the mean | 1 a sample, and 1 | none |
//! | [`vimco`](Vimco) | the log-probability, the other samples as baseline | 1 a sample | none, for its own objective |
//! | [`rebar`](Rebar) | the log-probability, relaxed control variate | 2 a sample | none |
//! | [`relax`](Relax) | the same, and a learned network | 2 a sample | none |
//! | [`relax-dequantized`](RelaxDequantized) | the same, of dequantised counts | 1 a sample | none |
//! | [`eat-sigmoid`, `eat-cubic`](ExponentialArrivals) | arrival times, Poisson only | 1 a sample | falls with the temperature |
//! | [`go`](Go) | differences of `f` from each atom to the next | latents + 1 a sample | none |
//! | [`go-one`](Go) | the same, of one latent at random | 2 a sample | none |
//! | [`go-dequantized`, `-one`](GoDequantized) | dequantised counts | 2 a sample | none for one latent; `-one` none |
//!
//! Each states what it needs: [`FunctionNeeds`] of `f`, [`LawNeeds`] of the law. "None" in the table holds where `f`
//! gives what is needed; a step function does not give every estimator what it needs.
//!
//! `gengs-gradients certify` measures all of them against the exact gradient.

mod angle;
mod arrivals;
mod conditional;
mod dequantized;
mod enumeration;
mod estimate;
mod estimator;
mod expectation;
mod facts;
mod fini;
mod gengs;
mod go;
mod go_dequantized;
mod gumbel_rao;
mod kind;
mod learned;
mod muprop;
mod nvil;
mod rebar;
mod reinforce;
mod reinmax;
mod relax;
mod relax_dequantized;
mod tensors;
mod vimco;

pub use arrivals::{ExponentialArrivals, Step};
pub use enumeration::Enumeration;
pub use estimate::{Estimate, ExactSamples, Info};
pub use estimator::Estimator;
pub use expectation::{Expectation, Objective};
pub use facts::{Approach, Facts, FunctionNeeds, LawNeeds, Setting, Unbiased};
pub use fini::Fini;
pub use gengs::Gengs;
pub use go::Go;
pub use go_dequantized::GoDequantized;
pub use gumbel_rao::GumbelRao;
pub use kind::EstimatorKind;
pub use learned::Learned;
pub use muprop::MuProp;
pub use nvil::Nvil;
pub use rebar::Rebar;
pub use reinforce::{Baseline, Reinforce};
pub use reinmax::ReinMax;
pub use relax::Relax;
pub use relax_dequantized::RelaxDequantized;
pub use vimco::Vimco;

pub(crate) use angle::cosines;
