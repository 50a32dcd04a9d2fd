//! VIMCO: the score function for bounds of several samples.
//!
//! The objective is not `E f` but the bound `-E log (1/S) sum_s exp(l_s)` of `S` samples,
//! `l = -f(z) + log p(z) - log q(z)` with a prior `p`, `l = -f(z)` without one. The bound lies below `E f` plus the KL
//! and approaches `-log p(x)` as the samples increase. The signal of a sample is the rise of the bound over its value
//! with this sample's `l` replaced by the mean of the others.
//!
//! Unbiased for the bound; for `E f` the bias is the difference of the two gradients.
//!
//! # Requirements
//! `f` must have values at the atoms. The law may be any.
//!
//! # Source
//! Mnih, Rezende, "Variational inference for Monte Carlo objectives", arXiv 1602.06725.

use super::estimate::{Estimate, Info};
use super::estimator::Estimator;
use super::expectation::Expectation;
use super::facts::Facts;
use super::reinforce::mean_of_others;
use super::tensors::no_value;
use crate::error::Result;
use tch::Tensor;

/// The score function for a bound of several samples.
///
/// ```
/// use gengs::estimators::{Estimator, Expectation, Vimco};
/// use gengs::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// let rate = Tensor::full([1000, 1], 3.0, (Kind::Double, Device::Cpu));
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::right(20))?;
/// let prior = TruncatedDistribution::new(&Poisson::new(&Tensor::from(2.0))?, &Truncation::right(20))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1); // -log p(x | z)
/// let estimate = Vimco.estimate(&Expectation::new(&q, &f)?.samples(50)?.prior(&prior))?;
/// let joint = (prior.log_weights() - (q.atoms() - 4.0).square()).exp(); // p(x, z) of each atom
/// let log_evidence = joint.sum(Kind::Double).log().double_value(&[]);
/// // The bound of many samples comes near -log p(x).
/// assert!((estimate.surrogate.mean(Kind::Double).double_value(&[]) + log_evidence).abs() < 0.1);
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct Vimco;

pub(super) const VIMCO: Facts = Facts { fewest_samples: 2, ..Facts::new("vimco") };

impl Estimator for Vimco {
    fn facts(&self) -> &'static Facts {
        &VIMCO
    }

    fn compute(&mut self, expectation: &Expectation<'_>) -> Result<Estimate> {
        let hard = expectation.hard()?;
        let log_q = expectation.log_prob(&hard.index);
        let mut l = -expectation.value(&hard.z)?;
        if let Some(log_ratio) = expectation.log_ratio(&hard.index) {
            l -= log_ratio;
        }
        let samples = expectation.samples;
        let log_mean = |l: &Tensor| l.logsumexp(0, false) - (samples as f64).ln();
        let bound = log_mean(&l);
        let values = l.detach();
        let others = mean_of_others(&values);
        let without = (0..samples).map(|s| {
            let replaced = Tensor::cat(
                &[values.narrow(0, 0, s), others.narrow(0, s, 1), values.narrow(0, s + 1, samples - s - 1)],
                0,
            );
            log_mean(&replaced)
        });
        let signal = bound.detach() - Tensor::stack(&without.collect::<Vec<_>>(), 0);
        let score = (no_value(&log_q) * signal).sum_dim_intlist(0, false, None::<tch::Kind>);
        let info = Info { evaluations: samples, includes_prior: expectation.prior.is_some(), ..Info::default() };
        Ok(Estimate { surrogate: -(bound + score), info })
    }
}
