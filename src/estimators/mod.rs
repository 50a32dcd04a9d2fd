//! Estimators of the gradient of `E_q[f(z)]`, all behind one trait.
//!
//! `q` is a batch of rows, each of some independent latents with truncated laws; `f` maps the latents of a row to one number. An
//! [`Estimator`] turns the two, as an [`Expectation`], into a scalar for each row whose value estimates `E_q[f(z)]` and whose
//! gradient estimates that of the expectation: in `q`'s parameters, and in `f`'s own. So it stands in a training step where a
//! loss would stand.
//!
//! | name | gradient through | evaluations of `f` | bias |
//! |---|---|---|---|
//! | [`exact`](Enumeration) | every outcome | atoms ^ latents | none |
//! | [`gengs`, `gengs-st`](Gengs) | the relaxed sample; its integer | 1 a sample | falls with the temperature |
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
//! Each states what it needs: [`FunctionNeeds`] of `f`, [`LawNeeds`] of the law. "None" in the table holds where `f` gives what is needed; a step
//! function does not give every estimator what it needs.
//!
//! `gengs-gradients certify` measures all of them against the exact gradient.

mod angle;
mod arrivals;
mod conditional;
mod dequantized;
mod enumeration;
mod expectation;
mod gengs;
mod go;
mod go_dequantized;
mod gumbel_rao;
mod kind;
mod learned;
mod muprop;
mod needs;
mod nvil;
mod rebar;
mod reinforce;
mod reinmax;
mod relax;
mod relax_dequantized;
mod vimco;

pub use arrivals::{ExponentialArrivals, Step};
pub use enumeration::Enumeration;
pub use expectation::{Expectation, Objective};
pub use gengs::Gengs;
pub use go::Go;
pub use go_dequantized::GoDequantized;
pub use gumbel_rao::GumbelRao;
pub use kind::{EstimatorKind, Setting};
pub use learned::Learned;
pub use muprop::MuProp;
pub use needs::{FunctionNeeds, LawNeeds};
pub use nvil::Nvil;
pub use rebar::Rebar;
pub use reinforce::{Baseline, Reinforce};
pub use reinmax::ReinMax;
pub use relax::Relax;
pub use relax_dequantized::RelaxDequantized;
pub use vimco::Vimco;

pub(crate) use angle::cosines;

use crate::relaxation::COLDEST;
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// The log weight of atoms without mass, in place of minus infinity: no draw reaches them, and no difference of it is NaN.
const NOTHING: f64 = -1e30;

/// Exact samples.
struct Hard {
    /// Their atoms' indices.
    index: Tensor,
    /// Their values.
    z: Tensor,
}

/// An estimate.
#[derive(Debug)]
pub struct Estimate {
    /// For each row a scalar, `[rows...]`: its value estimates `E_q[f(z)]`, its gradient that of the expectation.
    pub surrogate: Tensor,
    /// What a user may want to look at.
    pub info: Info,
}

/// What an estimate was made of.
#[derive(Debug, Default)]
pub struct Info {
    /// How often `f` was evaluated for each row.
    pub evaluations: i64,
    /// Whether the surrogate already includes the KL to the prior, as bounds of several samples do.
    pub includes_prior: bool,
    /// Learned or adapted quantities by name, as the estimate used them; scalars, on the law's device.
    pub quantities: Vec<(&'static str, Tensor)>,
}

impl Estimate {
    /// From a scalar for each sample `[samples, rows...]`.
    fn mean_of(samples: &Tensor, evaluations: i64) -> Self {
        Self { surrogate: samples.mean_dim(0, false, None::<Kind>), info: Info { evaluations, ..Info::default() } }
    }

    /// With a graph, of a gradient of zero, where `f` has none and the law has one: a step then trains nothing, and does not fail.
    fn attached(self, of: &Expectation<'_>) -> Self {
        if self.surrogate.requires_grad() || !of.law.log_weights().requires_grad() {
            return self;
        }
        let zeros = no_value(&of.log_weights()).sum_dim_intlist([-2, -1].as_slice(), false, None::<Kind>);
        Self { surrogate: self.surrogate + zeros * 0.0, ..self }
    }

    /// With the gradient `g` `[rows..., latents, atoms]` in the log weights added.
    fn pulled(self, of: &Expectation<'_>, g: &Tensor) -> Self {
        let pull = no_value(&of.log_weights()) * g.detach();
        let surrogate = self.surrogate + pull.sum_dim_intlist([-2, -1].as_slice(), false, None::<Kind>);
        Self { surrogate, ..self }
    }

    fn quantity(mut self, name: &'static str, value: &Tensor) -> Self {
        self.info.quantities.push((name, value.detach()));
        self
    }
}

/// Anything that estimates the gradient of `E_q[f(z)]`.
pub trait Estimator: std::fmt::Debug + Send {
    /// Which it is.
    fn kind(&self) -> EstimatorKind;

    /// An estimate for each row; what the estimator learns, it has learned from it when this returns, and uses from the next call on.
    /// Where `f` has no slope that the estimator could take, its gradient is zero.
    ///
    /// # Errors
    /// When the law is not of the kind that the estimator is made for; `f` returns another shape than one number for each sample, whole
    /// numbers, or another device's; prior or context do not fit the law; there are too few samples, or more than memory holds.
    fn estimate(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        of.check(self.kind())?;
        Ok(self.compute(of)?.attached(of))
    }

    /// The estimator itself: an estimate of an expectation that [`estimate`](Self::estimate) has checked.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate>;

    /// Another temperature, for those that have one and do not learn it; the others ignore it.
    ///
    /// # Errors
    /// When it is not positive and finite; the estimator then keeps the one that it has.
    fn set_temperature(&mut self, temperature: f64) -> Result<()> {
        check_temperature(temperature).map(drop)
    }

    /// What it learns or remembers from call to call, if anything.
    fn learned(&mut self) -> Option<&mut Learned> {
        None
    }
}

/// Zeros with the gradient of the tensor.
fn no_value(tensor: &Tensor) -> Tensor {
    tensor - tensor.detach()
}

/// The sum of all numbers.
fn total(tensor: &Tensor) -> Tensor {
    tensor.sum(None::<Kind>)
}

fn over_latents(tensor: &Tensor) -> Tensor {
    tensor.sum_dim_intlist(-1, false, None::<Kind>)
}

/// `[rows..., latents, atoms]` at atoms `[samples, rows..., latents]`.
fn gathered(of_atoms: &Tensor, index: &Tensor) -> Tensor {
    let samples = index.size()[0];
    let expanded = of_atoms.unsqueeze(0).expand([&[samples], of_atoms.size().as_slice()].concat(), false);
    expanded.gather(-1, &index.unsqueeze(-1), false).squeeze_dim(-1)
}

/// The temperature, raised or lowered to what float32 can divide by; fails unless it is positive and finite.
fn check_temperature(temperature: f64) -> Result<f64> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(temperature.clamp(COLDEST, 1.0 / COLDEST));
    }
    Err(Error::parameter("temperature of an estimator", temperature, "positive and finite"))
}
