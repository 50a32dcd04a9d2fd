//! Evaluates a VAE with hard samples.

use crate::data::Images;
use crate::error::{Error, Result};
use crate::models::Vae;
use crate::random;
use crate::relaxation::Forward;
use crate::sampler::{Backend, NoiseKey};
use crate::training::ranges::check_finite;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad_guard};

/// Results in nats per image, from hard samples unless the name says relaxed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evaluation {
    /// Negative ELBO, averaged over the importance samples.
    pub neg_elbo: f64,
    /// The reconstruction part of the negative ELBO.
    pub reconstruction: f64,
    /// The KL part of the negative ELBO, exact.
    pub kl: f64,
    /// Negative importance-weighted bound (Burda et al., arXiv 1509.00519).
    pub neg_iwae: f64,
    /// Samples per image.
    pub importance_samples: i64,
    /// Number of latents whose posterior mean has a variance above 0.01 over the images (same source).
    pub active_units: i64,
    /// Negative ELBO with relaxed samples at the run's last temperature, as in training.
    pub neg_elbo_relaxed: f64,
    /// Number of images.
    pub examples: i64,
    /// The backend that drew the relaxed samples; `None` without images.
    pub drawn_by: Option<Backend>,
}

/// The variance of a posterior mean above which a latent is active (Burda et al.).
const ACTIVE_VARIANCE: f64 = 0.01;

/// Evaluates a model on images, in batches of `batch_size`. The same `seed` gives the same results. Intensities are
/// binarised with a fixed key, so the images do not depend on the seed and the batch size; only the noise of the
/// samples does.
///
/// # Errors
/// Fails if there are no images, if `samples` or the temperature is not allowed, or if a result is not finite.
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
        // A step number that no training step has.
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
    check_finite(&named)?;
    Ok(Evaluation {
        neg_elbo: reconstruction + kl,
        reconstruction,
        kl,
        neg_iwae,
        importance_samples: samples,
        active_units: variance.gt(ACTIVE_VARIANCE).sum(Kind::Int64).int64_value(&[]),
        neg_elbo_relaxed,
        examples,
        drawn_by: vae.drawn_by().filter(|_| examples > 0),
    })
}
