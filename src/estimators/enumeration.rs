//! The exact expectation, by summing over every outcome.
//!
//! `E_q[f(z)] = sum_z q(z) f(z)` over all combinations of the latents' atoms: no sampling, no variance, and an exponential
//! cost, `atoms ^ latents` evaluations of `f` for each row. It is what all other estimators are measured against.
//!
//! # What it needs
//! Of `f`: a value at the atoms. Of the law: nothing, but few enough outcomes.

use super::{Estimate, Estimator, EstimatorKind, Expectation, Info};
use crate::{Error, Result};
use tch::{Kind, Tensor};

/// Sums over all outcomes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Enumeration;

impl Enumeration {
    /// Outcomes of a row beyond which a sum is refused.
    pub const MOST_OUTCOMES: i64 = 1 << 21;
}

/// Outcomes that `f` sees at once, over all rows.
const AT_ONCE: i64 = 1 << 16;

impl Estimator for Enumeration {
    fn kind(&self) -> EstimatorKind {
        EstimatorKind::Exact
    }

    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        let (atoms, latents) = (of.law.len(), of.latents());
        let outcomes = u32::try_from(latents).ok().and_then(|latents| atoms.checked_pow(latents));
        let Some(outcomes) = outcomes.filter(|&outcomes| outcomes <= Self::MOST_OUTCOMES) else {
            return Err(Error::parameter(
                "number of outcomes to enumerate",
                format!("{atoms}^{latents}"),
                format!("at most {}; take fewer latents or a smaller window", Self::MOST_OUTCOMES),
            ));
        };
        let rows = of.rows();
        let at_once = (AT_ONCE / rows.iter().product::<i64>().max(1)).max(1);
        let mut sum = Tensor::zeros(&rows, (of.law.kind(), of.law.device()));
        for start in (0..outcomes).step_by(at_once as usize) {
            let index = digits(start, at_once.min(outcomes - start), atoms, latents, of);
            let z = of.law.select(index.shallow_clone());
            sum += (of.log_prob(&index).exp() * of.value(&z)?).sum_dim_intlist(0, false, None::<Kind>);
        }
        Ok(Estimate { surrogate: sum, info: Info { evaluations: outcomes, ..Info::default() } })
    }
}

/// Outcomes `start .. start + count` as indices of atoms `[count, rows..., latents]`: the digits of a number to the base of the atoms.
fn digits(start: i64, count: i64, atoms: i64, latents: i64, of: &Expectation<'_>) -> Tensor {
    let mut number = Tensor::arange_start(start, start + count, (Kind::Int64, of.law.device()));
    let columns: Vec<Tensor> = (0..latents)
        .map(|_| {
            let digit = number.remainder(atoms);
            number = number.divide_scalar_mode(atoms, "floor");
            digit
        })
        .collect();
    let rows = of.rows();
    let shape = [&[count], vec![1; rows.len()].as_slice(), &[latents]].concat();
    Tensor::stack(&columns, -1).reshape(shape).expand([&[count], rows.as_slice(), &[latents]].concat(), false)
}
