//! The one-pass sampler: relaxed draws, their gradients and the KL, with no tensor that has an atom dimension.
//!
//! The backward pass of the relaxation is one number a parameter. With scores `s_k = d log pi_k / d theta` and relaxed weights `w`,
//!
//! ```text
//! dz / dtheta  = sum_k w_k (k - z) s_k / temperature
//! dKL / dtheta = sum_k pi_k s_k (log pi_k - log p_k)
//! ```
//!
//! so each latent walks its window once, on the CPU, and keeps one number for each of its parameters. Autograd is attached by
//! `z + J (theta - theta.detach())`, which is once differentiable. Where a second derivative, a temperature with a gradient, a GPU or a law
//! without [`Rows`] is asked for, the tensor graph of [`Relaxation`](super::Relaxation) serves.

mod counter;
mod kernel;
mod laws;
mod math;

pub use counter::NoiseKey;
pub(crate) use laws::Walks;
pub use laws::{Atom, Rows, Walk};

use super::{COLDEST, Forward};
use crate::distributions::{Distribution, Parameter};
use crate::truncated::TruncatedDistribution;
use crate::{Error, Result};
use kernel::{Kernel, LANES, OfLogits, OfRows, Place};
use math::Real;
use rayon::prelude::*;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tch::{Device, Kind, Tensor};

/// Latents that one task of the thread pool draws.
const A_TASK: usize = 512;

/// Atoms of a batch below which the calling thread draws alone. libtorch's own threads keep their cores busy for some milliseconds after
/// each of its operations, waiting for the next; a second pool has to wait for them, longer than a small batch takes.
const WORTH_THREADS: usize = 250_000;

/// Draws with a gradient, and the KL to a prior.
#[derive(Debug)]
pub struct OnePassDraw {
    /// Relaxed samples, of the batch shape.
    pub z: Tensor,
    /// `KL(q || prior)` in nats, of the batch shape, if a prior was given.
    pub kl: Option<Tensor>,
}

/// What is drawn, and how.
#[derive(Debug, Clone, Copy)]
pub struct OnePass<'a> {
    kernel: Kernel,
    prior: Option<&'a TruncatedDistribution>,
}

impl<'a> OnePass<'a> {
    /// Draws from the window `lo ..= hi` with merged tails, at a positive temperature.
    ///
    /// # Errors
    /// When the window is empty, or the temperature is not positive and finite.
    pub fn new(lo: i64, hi: i64, temperature: f64) -> Result<Self> {
        if lo > hi || lo < 0 {
            return Err(Error::parameter(
                "window of the one-pass sampler",
                format!("{lo}..={hi}"),
                "an interval from 0 on",
            ));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(Error::parameter("temperature of the one-pass sampler", temperature, "positive and finite"));
        }
        let temperature = temperature.max(COLDEST);
        Ok(Self { kernel: Kernel { lo, hi, temperature, forward: Forward::Soft }, prior: None })
    }

    /// Chooses what the forward pass returns.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        Self { kernel: Kernel { forward, ..self.kernel }, ..self }
    }

    /// Also computes the KL to this law, one for the whole batch, in the same window.
    ///
    /// # Errors
    /// When the prior has a batch shape, or other atoms.
    pub fn kl_to(self, prior: &'a TruncatedDistribution) -> Result<Self> {
        if !prior.batch_shape().is_empty() || prior.len() != self.kernel.atoms() as i64 {
            return Err(Error::Shape {
                what: "log weights of the one-pass sampler's prior".into(),
                found: prior.log_weights().size(),
                expected: format!("[{}], one for each atom of the window", self.kernel.atoms()),
            });
        }
        Ok(Self { prior: Some(prior), ..self })
    }

    /// Draws of the batch shape `[..., latents]` of a distribution, with the noise of this key; nothing if it is not on the CPU or its
    /// family has no [`Rows`].
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn rsample(&self, distribution: &dyn Distribution, key: NoiseKey) -> Result<Option<OnePassDraw>> {
        if distribution.device() != Device::Cpu {
            return Ok(None);
        }
        let Some(rows) = distribution.rows() else { return Ok(None) };
        let parameters = distribution.parameters();
        let shape = distribution.batch_shape();
        Ok(Some(match distribution.kind() {
            Kind::Double => self.of_rows::<f64>(rows.as_ref(), &parameters, &shape, key)?,
            _ => self.of_rows::<f32>(rows.as_ref(), &parameters, &shape, key)?,
        }))
    }

    /// Draws of the shape `[..., latents]` from free, finite logits `[..., latents, n]` on the atoms of the window (implicit inference), with
    /// the noise of this key; nothing if they are not on the CPU, or neither float32 nor float64.
    ///
    /// # Errors
    /// When there is not one logit for each atom.
    pub fn rsample_logits(&self, logits: &Tensor, key: NoiseKey) -> Result<Option<OnePassDraw>> {
        let shape = logits.size();
        let Some((&n, batch)) = shape.split_last().filter(|(n, _)| **n == self.kernel.atoms() as i64) else {
            return Err(Error::Shape {
                what: "logits of the one-pass sampler".into(),
                found: shape,
                expected: format!("[..., {}], one for each atom of the window", self.kernel.atoms()),
            });
        };
        if logits.device() != Device::Cpu {
            return Ok(None);
        }
        match logits.kind() {
            Kind::Float => self.of_logits::<f32>(logits, batch, n, key).map(Some),
            Kind::Double => self.of_logits::<f64>(logits, batch, n, key).map(Some),
            _ => Ok(None),
        }
    }

    fn of_rows<T: Real>(
        &self,
        rows: &dyn Rows,
        parameters: &[Parameter],
        shape: &[i64],
        key: NoiseKey,
    ) -> Result<OnePassDraw> {
        let (count, latents) = extent(shape);
        let stride = 2 + 2 * parameters.len();
        let mut results = vec![T::ZERO; count * stride];
        let log_prior = self.log_prior::<T>()?;
        let kernel = self.kernel;
        let width = parameters.len();
        let task = |(i, results): (usize, &mut [T])| {
            let place = Place { key, latents, first: i * A_TASK };
            let log_prior = log_prior.as_deref();
            pulp::Arch::new().dispatch(OfRows { kernel, place, rows, log_prior, results, parameters: width });
        };
        if count * kernel.atoms() < WORTH_THREADS {
            results.chunks_mut(A_TASK * stride).enumerate().for_each(task);
        } else {
            pool()?.install(|| results.par_chunks_mut(A_TASK * stride).enumerate().for_each(task));
        }

        let results = Tensor::from_slice(&results).reshape([shape, &[stride as i64]].concat());
        let column = |i: usize| results.select(-1, i as i64);
        let attach = |value: Tensor, offset: usize| {
            parameters.iter().enumerate().fold(value, |value, (p, parameter)| {
                let slope = column(2 + 2 * p + offset);
                if parameter.value.requires_grad() {
                    value + no_value(&parameter.value, results.kind()) * slope
                } else {
                    value
                }
            })
        };
        let kl = self.prior.is_some().then(|| attach(column(1), 1));
        Ok(OnePassDraw { z: attach(column(0), 0), kl })
    }

    fn of_logits<T: Real>(&self, logits: &Tensor, batch: &[i64], n: i64, key: NoiseKey) -> Result<OnePassDraw> {
        let (count, latents) = extent(batch);
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let width = kinds * n as usize;
        let values = Vec::<T>::try_from(logits.detach().reshape([-1]))?;
        let mut results = vec![T::ZERO; count * 2];
        let mut derivatives = vec![T::ZERO; count * width];
        let log_prior = self.log_prior::<T>()?;
        let kernel = self.kernel;
        let task = |(i, (results, derivatives)): (usize, (&mut [T], &mut [T]))| {
            let place = Place { key, latents, first: i * A_TASK };
            let (log_prior, logits) = (log_prior.as_deref(), values.as_slice());
            pulp::Arch::new().dispatch(OfLogits { kernel, place, log_prior, logits, results, derivatives });
        };
        if count * kernel.atoms() < WORTH_THREADS {
            results.chunks_mut(A_TASK * 2).zip(derivatives.chunks_mut(A_TASK * width)).enumerate().for_each(task);
        } else {
            pool()?.install(|| {
                let slots = results.par_chunks_mut(A_TASK * 2).zip(derivatives.par_chunks_mut(A_TASK * width));
                slots.enumerate().for_each(task);
            });
        }

        let results = Tensor::from_slice(&results).reshape([batch, &[2]].concat());
        let derivatives = Tensor::from_slice(&derivatives).reshape([batch, &[kinds as i64, n]].concat());
        let nothing = logits.requires_grad().then(|| no_value(logits, logits.kind()));
        let attach = |i: i64| {
            let value = results.select(-1, i);
            match &nothing {
                Some(nothing) => value + (nothing * derivatives.select(-2, i)).sum_dim_intlist(-1, false, None::<Kind>),
                None => value,
            }
        };
        Ok(OnePassDraw { z: attach(0), kl: self.prior.is_some().then(|| attach(1)) })
    }

    fn log_prior<T: Real>(&self) -> Result<Option<Vec<T>>> {
        self.prior
            .map(|prior| {
                let log_weights: Vec<f64> = Vec::try_from(prior.log_weights().detach().to_kind(Kind::Double))?;
                let mut padded: Vec<T> = log_weights.into_iter().map(T::from_f64).collect();
                padded.resize(padded.len().next_multiple_of(LANES), T::ZERO);
                Ok(padded)
            })
            .transpose()
    }
}

/// How many latents a batch shape has, and how many its rows.
fn extent(shape: &[i64]) -> (usize, usize) {
    (shape.iter().product::<i64>() as usize, shape.last().copied().unwrap_or(1).max(1) as usize)
}

/// Zeros with the gradient of the tensor: what a derivative is multiplied with to be found by autograd.
fn no_value(tensor: &Tensor, kind: Kind) -> Tensor {
    (tensor - tensor.detach()).to_kind(kind)
}

/// A pool of as many threads as libtorch uses, made once for each number.
fn pool() -> Result<Arc<rayon::ThreadPool>> {
    let threads = tch::get_num_threads().max(1) as usize;
    static POOLS: OnceLock<Mutex<Vec<Arc<rayon::ThreadPool>>>> = OnceLock::new();
    let mut pools = POOLS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.iter().find(|pool| pool.current_num_threads() == threads) {
        return Ok(pool.clone());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = Arc::new(pool.map_err(|error| Error::Config(format!("{threads} threads cannot be started: {error}")))?);
    pools.push(pool.clone());
    Ok(pool)
}
