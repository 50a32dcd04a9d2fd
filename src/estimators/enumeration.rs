//! The exact expectation, summed over all outcomes.
//!
//! `E_q[f(z)] = sum_z q(z) f(z)` over all combinations of the latents' atoms: no sampling, no variance, and an
//! exponential cost: `atoms ^ latents` evaluations of `f` per row. The other estimators are compared with it.
//!
//! # Requirements
//! `f` must have values at the atoms. The law may be any with few enough outcomes.

use super::estimate::{Estimate, Info};
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::{Approach, Facts};
use super::tensors::over_latents;
use crate::error::{Error, Result};
use tch::{Device, Kind, Tensor};

/// The estimator that sums over all outcomes.
///
/// ```
/// use gengs::estimators::{Enumeration, Estimator, Expectation};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// // d/drate E (z - 4)^2 of a Poisson is 2 (rate - 4) + 1, here 3.
/// let rate = Tensor::full([20_000, 1], 5.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::tail_mass(1e-9))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Enumeration.estimate(&Expectation::new(&q, &f)?)?;
/// estimate.surrogate.sum(Kind::Double).backward();
/// let gradient = rate.grad().mean(Kind::Double).double_value(&[]);
/// assert!((gradient - 3.0).abs() < 1e-4, "{gradient}");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct Enumeration;

impl Enumeration {
    /// The most outcomes per row; more are refused, because of their time.
    pub const MOST_OUTCOMES: i64 = 1 << 21;
}

/// The most rows of one call of `f`: outcomes times rows of the batch. Bounds the memory of a call.
const ROWS_PER_CALL: i64 = 1 << 16;

pub(super) const EXACT: Facts = Facts { approach: Approach::Reference, ..Facts::new("exact") };

impl Estimator for Enumeration {
    fn facts(&self) -> &'static Facts {
        &EXACT
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let (atoms, latents) = (expectation.law.len(), expectation.latents());
        let outcomes = u32::try_from(latents).ok().and_then(|latents| atoms.checked_pow(latents));
        let Some(outcomes) = outcomes.filter(|&outcomes| outcomes <= Self::MOST_OUTCOMES) else {
            return Err(Error::parameter(
                "number of outcomes to enumerate",
                format!("{atoms}^{latents}"),
                format!("at most {}; take fewer latents or a smaller window", Self::MOST_OUTCOMES),
            ));
        };
        let rows = expectation.rows();
        let at_once = (ROWS_PER_CALL / rows.iter().product::<i64>().max(1)).max(1);
        let log_weights = expectation.log_weights();
        let mut sum = Tensor::zeros(&rows, (expectation.law.kind(), expectation.law.device()));
        let mut mass = sum.zeros_like();
        for start in (0..outcomes).step_by(at_once as usize) {
            let digits = digits((start, at_once.min(outcomes - start)), atoms, latents, expectation.law.device());
            let log_prob = |(latent, digit): (i64, &Tensor)| log_weights.select(-2, latent).index_select(-1, digit);
            let each: Vec<Tensor> = (0..).zip(&digits).map(log_prob).collect();
            // `[rows..., outcomes]` to `[outcomes, rows...]`.
            let log_prob = over_latents(&Tensor::stack(&each, -1)).movedim_int(-1, 0);
            let index = Tensor::stack(&digits, -1);
            let shape = [&[index.size()[0]], vec![1; rows.len()].as_slice(), &[latents]].concat();
            let index = index.reshape(shape).expand([&[index.size()[0]], rows.as_slice(), &[latents]].concat(), false);
            let value = expectation.value(&expectation.law.select(index))?;
            let prob = log_prob.exp();
            mass += prob.sum_dim_intlist(0, false, None::<Kind>);
            sum += (prob * value).sum_dim_intlist(0, false, None::<Kind>);
        }
        // The mass is one and its gradient zero, up to rounding errors, which a large mean of `f` would magnify.
        let centred = &sum - sum.detach() * (&mass - mass.detach());
        Ok(Estimate { surrogate: centred, info: Info { evaluations: outcomes, ..Info::default() } })
    }
}

/// Returns for each latent its atom indices `[count]` in outcomes `start .. start + count`: the digits of the outcome's
/// number in base `atoms`.
fn digits((start, count): (i64, i64), atoms: i64, latents: i64, device: Device) -> Vec<Tensor> {
    let mut number = Tensor::arange_start(start, start + count, (Kind::Int64, device));
    (0..latents)
        .map(|_| {
            let digit = number.remainder(atoms);
            number = number.divide_scalar_mode(atoms, "floor");
            digit
        })
        .collect()
}
