//! Evaluation on hard samples.

use crate::data::Images;
use crate::error::{Error, Result};
use crate::models::Vae;
use crate::random;
use crate::relaxation::Forward;
use crate::sampler::{Backend, NoiseKey};
use crate::training::ranges::all_finite;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad_guard};

/// What a model is worth, in nats an image; from hard samples unless the name says relaxed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// Negative ELBO, averaged over the importance samples.
    pub neg_elbo: f64,
    /// Its reconstruction part.
    pub reconstruction: f64,
    /// Its KL part, exact.
    pub kl: f64,
    /// Negative importance-weighted bound (Burda et al., arXiv 1509.00519).
    pub neg_iwae: f64,
    /// Samples an image.
    pub importance_samples: i64,
    /// Latent coordinates whose posterior mean varies over the images, with a variance above 0.01 (the same source).
    pub active_units: i64,
    /// Negative ELBO with relaxed samples at the run's last temperature: what training sees.
    pub neg_elbo_relaxed: f64,
    /// Images.
    pub examples: i64,
    /// What drew the relaxed samples; nothing without images.
    pub drawn_by: Option<Backend>,
}

/// The threshold of Burda et al. on the variance of a posterior mean.
const ACTIVE: f64 = 0.01;

/// Evaluates a model on images, `batch_size` at a time, from `seed` on: the same numbers at every call. Intensities are
/// binarised by a fixed key: the images are the same whatever the seed and the batches are, on which only the noise of
/// the samples depends.
///
/// # Errors
/// When there are no images, `samples` or the temperature is not allowed, or a result is not finite.
pub fn evaluate(
    vae: &Vae,
    images: &Images,
    samples: i64,
    temperature: f64,
    batch_size: i64,
    seed: i64,
) -> Result<Evaluation> {
    let _guard = no_grad_guard();
    let _generator = random::seeded(seed);
    let examples = images.len();
    if examples == 0 {
        return Err(Error::parameter("number of images to evaluate", examples, "at least 1"));
    }
    let mut sums = [0.0; 4];
    let mut means = Vec::new();
    let batch_size = batch_size.clamp(1, examples).min(vae.images_at_once(samples));
    for start in (0..examples).step_by(batch_size as usize) {
        let end = (start + batch_size).min(examples);
        let x = images.fixed_batch(start, end)?;
        let bound = vae.importance_bound(&x, samples)?;
        // No training step has this number.
        let key = NoiseKey { first_row: start as u32, ..NoiseKey::new(seed as u64, u64::MAX) };
        let relaxed = vae.relaxed_elbo(&x, temperature, Forward::Soft, Some(key))?;
        let parts = [bound.elbo.reconstruction, bound.elbo.kl, bound.neg_iwae, relaxed.reconstruction + relaxed.kl];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part.sum(Kind::Double).double_value(&[]);
        }
        means.push(bound.posterior_mean.to_kind(Kind::Double));
    }
    let variance = Tensor::cat(&means, 0).var_dim(0, false, false);
    let [reconstruction, kl, neg_iwae, neg_elbo_relaxed] = sums.map(|sum| sum / examples as f64);
    let named = [
        ("reconstruction", reconstruction),
        ("kl", kl),
        ("neg_iwae", neg_iwae),
        ("neg_elbo_relaxed", neg_elbo_relaxed),
    ];
    all_finite(&named)?;
    Ok(Evaluation {
        neg_elbo: reconstruction + kl,
        reconstruction,
        kl,
        neg_iwae,
        importance_samples: samples,
        active_units: variance.gt(ACTIVE).sum(Kind::Int64).int64_value(&[]),
        neg_elbo_relaxed,
        examples,
        drawn_by: vae.drawn_by().filter(|_| examples > 0),
    })
}
