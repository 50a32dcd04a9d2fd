//! GO: the difference of `f` from each atom to the next, times the flow of mass past the atom.
//!
//! With the atoms `c_0, c_1, ...` in their order and the distribution function `F(k) = pi_0 + ... + pi_k`,
//!
//! ```text
//! d E f(z) = sum_k (-dF(k)) (f(c_(k+1)) - f(c_k)) = E[ -dF(k) / pi_k (f(c_(k+1)) - f(c_k)) ]
//! ```
//!
//! by summation by parts; nothing flows past the last atom. It holds for any law and any list of atoms, vectors too,
//! and asks nothing of `f` but its values at the atoms. Of several latents, each is moved on by itself, with the others
//! at their sample: `latents + 1` evaluations a sample. Or one at random in each sample, times the number of latents:
//! two evaluations, and more variance. Both are unbiased. `f`'s own gradient is taken at the sample.
//!
//! Where next to no mass lies between two atoms, as between modes far apart, the step goes over it, and the score
//! function takes what lies between (`dequantized.rs`): unbiased there too.
//!
//! # What it needs
//! Of `f`: a value at the atoms. Of the law: nothing.
//!
//! # Ten coupled latents
//! A fixed random network of ten Poisson latents (`docs/gradients.md`) shows a standard deviation of 0.40 times the
//! gradient's length, the least of the unbiased, from eleven evaluations; 3.3 with one latent at a time.
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

/// Steps from each atom to the next.
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

/// Rows that `f` sees at once, over all samples and moved latents.
const ROWS_AT_ONCE: i64 = 1 << 13;

impl Go {
    /// With every latent of a row moved, each by itself, or one at random.
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

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let hard = of.hard()?;
        let value = of.value(&hard.z)?;
        let steps = Flow::new(of).steps(of, &hard.index);
        let speed = steps.speed();
        let chosen = self.one_at_a_time.then(|| speed.rand_like().argmax(-1, true));
        // `f` with each of the moved latents at this atom, and what else there is of those latents;
        // `[samples, rows..., moved latents]`.
        let at = |place: &Tensor| match &chosen {
            Some(chosen) => {
                let one = hard.index.zeros_like().scatter_value(-1, chosen, 1).to_kind(Kind::Bool);
                Ok(values_at(of, &place.where_self(&one, &hard.index))?.unsqueeze(-1))
            }
            None => one_moved(of, &hard, place),
        };
        let of_moved = |each: &Tensor| match &chosen {
            Some(chosen) => each.gather(-1, chosen, false),
            None => each.shallow_clone(),
        };
        let (moved_at_once, times) = if chosen.is_some() { (1, of.latents()) } else { (of.latents(), 1) };
        let at_samples = value.detach().unsqueeze(-1);
        let mut evaluations = 1 + moved_at_once;
        let moved = if steps.leave_samples(&hard.index) {
            evaluations += moved_at_once;
            let from = at(&steps.from)?;
            let between = of_moved(&of.scores(&hard.index)) * (&at_samples - &from);
            of_moved(&speed) * (at(&steps.to)? - from) + between
        } else {
            of_moved(&speed) * (at(&steps.to)? - at_samples)
        };
        Ok(Estimate::mean_of(&(value + over_latents(&moved) * times as f64), evaluations * of.samples))
    }
}

/// `f` where each latent by itself is at this atom of its own and the others are at their sample,
/// `[samples, rows..., latents]`, without graph.
fn one_moved(of: &Expectation<'_>, hard: &Hard, to: &Tensor) -> Result<Tensor> {
    let latents = of.latents();
    let rows = of.rows().iter().product::<i64>().max(1).saturating_mul(of.samples);
    let at_once = (ROWS_AT_ONCE / rows).clamp(1, latents.max(1));
    let each = Tensor::eye(latents, (Kind::Bool, of.law.device()));
    let mut moved = Vec::new();
    let mut start = 0;
    while start < latents {
        let count = at_once.min(latents - start);
        // `[count, samples, rows..., latents]`, and from here on `count * samples` samples.
        let shape = [vec![count], vec![1; hard.index.dim() - 1], vec![latents]].concat();
        let index = to.where_self(&each.narrow(0, start, count).reshape(shape), &hard.index);
        let values = values_at(of, &index.flatten(0, 1))?;
        moved.push(values.unflatten(0, [count, of.samples]));
        start += count;
    }
    Ok(Tensor::cat(&moved, 0).movedim_int(0, -1))
}

/// `f` at atoms that may lie one beyond the last, without graph; there the last one stands, past which nothing flows.
fn values_at(of: &Expectation<'_>, index: &Tensor) -> Result<Tensor> {
    let _guard = no_grad_guard();
    of.value(&of.law.select(index.clamp_max(of.law.len() - 1)))
}
