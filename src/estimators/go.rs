//! GO: the difference of `f` from each atom to the next, times the flow of mass `-dF(k)` past the atom.
//!
//! With the atoms `c_0, c_1, ...` in their order and the distribution function `F(k) = pi_0 + ... + pi_k`,
//!
//! ```text
//! d E f(z) = sum_k (-dF(k)) (f(c_(k+1)) - f(c_k)) = E[ -dF(k) / pi_k (f(c_(k+1)) - f(c_k)) ]
//! ```
//!
//! by summation by parts; nothing flows past the last atom. The formula holds for any law and any list of atoms,
//! vectors too. Only values of `f` at the atoms are needed. The gradient in `f`'s own parameters is taken at the
//! sample.
//!
//! `go` steps each latent of a sample to its next atom in turn, with the other latents fixed: `latents + 1` evaluations
//! per sample. `go-one` steps one random latent per sample and multiplies by the number of latents: two evaluations,
//! and more variance. Both are unbiased.
//!
//! Atoms with almost no mass are grouped with the atoms before them (`dequantized.rs`). Steps then go from group to
//! group, and a score-function term covers the atoms within a group, which keeps the estimate unbiased.
//!
//! # Requirements
//! `f` must have values at the atoms. The law may be any.
//!
//! # Bias and variance
//! Measured in `docs/gradients.md`.
//!
//! # Source
//! Cong, Zhao, Bai, Carin, "GO Gradient for Expectation-Based Objectives", arXiv 1901.06020.

use super::dequantized::Flow;
use super::estimate::Estimate;
use super::estimator::Estimator;
use super::expectation::{Expectation, Hard};
use super::facts::{Approach, Facts};
use super::tensors::over_latents;
use crate::error::Result;
use tch::{Kind, Tensor, no_grad_guard};

/// The GO estimator.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Go};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3; the mean over 20,000 rows comes near.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Go::new(false).estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 0.2, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Go {
    one_at_a_time: bool,
}
/// The most rows of one call of `f`: rows of the batch times samples times stepped latents. Bounds the memory of a
/// call.
const ROWS_PER_CALL: i64 = 1 << 13;

impl Go {
    /// Makes `go-one` (one random latent per sample) if `one_at_a_time`, otherwise `go` (every latent in turn).
    pub fn new(one_at_a_time: bool) -> Self {
        Self { one_at_a_time }
    }
}

pub(super) const GO: Facts = Facts { approach: Approach::Steps, ..Facts::new("go") };
pub(super) const GO_ONE: Facts = Facts { approach: Approach::Steps, ..Facts::new("go-one") };

impl Estimator for Go {
    fn facts(&self) -> &'static Facts {
        if self.one_at_a_time { &GO_ONE } else { &GO }
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let hard = expectation.hard()?;
        let value = expectation.value(&hard.z)?;
        let transitions = Flow::new(expectation).transitions(expectation, &hard.index);
        let flow_per_mass = transitions.flow_per_mass();
        let chosen = self.one_at_a_time.then(|| flow_per_mass.rand_like().argmax(-1, true));
        // `f` with each of the stepped latents at its atom `index`, `[samples, rows..., stepped latents]`.
        let f_at = |index: &Tensor| match &chosen {
            Some(chosen) => {
                let one = hard.index.zeros_like().scatter_value(-1, chosen, 1).to_kind(Kind::Bool);
                Ok(values_at(expectation, &index.where_self(&one, &hard.index))?.unsqueeze(-1))
            }
            None => values_with_each_stepped(expectation, &hard, index),
        };
        // The entries of the stepped latents, of a tensor `[samples, rows..., latents]`.
        let of_stepped = |each: &Tensor| match &chosen {
            Some(chosen) => each.gather(-1, chosen, false),
            None => each.shallow_clone(),
        };
        let (stepped, factor) = if chosen.is_some() { (1, expectation.latents()) } else { (expectation.latents(), 1) };
        let at_samples = value.detach().unsqueeze(-1);
        let mut evaluations = 1 + stepped;
        let moved = if transitions.start_elsewhere(&hard.index) {
            evaluations += stepped;
            let from = f_at(&transitions.from)?;
            let within_group = of_stepped(&expectation.scores(&hard.index)) * (&at_samples - &from);
            of_stepped(&flow_per_mass) * (f_at(&transitions.to)? - from) + within_group
        } else {
            of_stepped(&flow_per_mass) * (f_at(&transitions.to)? - at_samples)
        };
        Ok(Estimate::mean_of(&(value + over_latents(&moved) * factor as f64), evaluations * expectation.samples))
    }
}

/// Evaluates `f` once per latent, with this latent at its atom `to` and the others at their sample. Returns
/// `[samples, rows..., latents]`, without gradient.
fn values_with_each_stepped(expectation: &Expectation<'_>, hard: &Hard, to: &Tensor) -> Result<Tensor> {
    let latents = expectation.latents();
    let rows = expectation.rows().iter().product::<i64>().max(1).saturating_mul(expectation.samples);
    let at_once = (ROWS_PER_CALL / rows).clamp(1, latents.max(1));
    let each = Tensor::eye(latents, (Kind::Bool, expectation.law.device()));
    let mut moved = Vec::new();
    let mut start = 0;
    while start < latents {
        let count = at_once.min(latents - start);
        // `[count, samples, rows..., latents]`, and from here on `count * samples` samples.
        let shape = [vec![count], vec![1; hard.index.dim() - 1], vec![latents]].concat();
        let index = to.where_self(&each.narrow(0, start, count).reshape(shape), &hard.index);
        let values = values_at(expectation, &index.flatten(0, 1))?;
        moved.push(values.unflatten(0, [count, expectation.samples]));
        start += count;
    }
    Ok(Tensor::cat(&moved, 0).movedim_int(0, -1))
}

/// Evaluates `f` at atom indices, without gradient. An index beyond the last atom counts as the last, past which
/// nothing flows.
fn values_at(expectation: &Expectation<'_>, index: &Tensor) -> Result<Tensor> {
    let _guard = no_grad_guard();
    expectation.value(&expectation.law.select(index.clamp_max(expectation.law.len() - 1)))
}
