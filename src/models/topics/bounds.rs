//! What documents are worth by hard samples of their topics' counts: bounds, and probabilities of words.

use super::BagOfWordsBatch;
use super::encoder::Output;
use super::layer::Posterior;
use super::model::{TopicModel, joined, layer_key};
use crate::error::{Error, Result};
use crate::sampler::NoiseKey;
use tch::{Kind, Tensor, no_grad_guard};

/// Bounds on `-log p(x)` from hard samples, in nats, `[B]` each.
///
/// Those of tokens are on the law of a document's tokens given how many there are, so that per token they can be
/// compared between laws of words: of the Poisson law, they leave out what only says how long the document is, and in
/// how many orders its words can come, and are those of the multinomial of the same rates.
#[derive(Debug)]
pub struct TopicsBound {
    /// The negative ELBO, averaged over the samples.
    pub neg_elbo: Tensor,
    /// Its KL part, all layers.
    pub kl: Tensor,
    /// The negative importance-weighted bound.
    pub neg_iwae: Tensor,
    /// The negative ELBO of the tokens given their number.
    pub neg_elbo_of_tokens: Tensor,
    /// The negative importance-weighted bound of the tokens given their number.
    pub neg_iwae_of_tokens: Tensor,
}

impl TopicModel {
    /// Hard samples of the posteriors.
    fn sample(&self, outputs: &[Output], key: Option<NoiseKey>) -> Result<(Vec<Posterior>, Vec<Tensor>)> {
        self.descend(outputs, |l, posterior| match key {
            Some(key) => posterior.truncated.sample_by(&layer_key(key, l)),
            None => posterior.truncated.sample(&[]),
        })
    }

    /// Bounds from `samples` hard samples a document, without a gradient. With a key, the noise is a function of it, of
    /// the sample, which is counted on from the key's step, and of the document's number, which is counted on from its
    /// first row: how documents are divided into batches changes none. Without one, it comes from libtorch's generator.
    ///
    /// # Errors
    /// When `samples` is below 1.
    pub fn bound(&self, bags: &BagOfWordsBatch, samples: i64, key: Option<NoiseKey>) -> Result<TopicsBound> {
        if samples < 1 {
            return Err(Error::parameter("number of importance samples", samples, "at least 1"));
        }
        let _guard = no_grad_guard();
        bags.check(self.words(), self.words.device())?;
        let parts = self.passes(bags)?.into_iter();
        let parts = parts.map(|(first, part)| Ok(self.bound_of_pass(&part, samples, from_row(key, first))?.into()));
        let [neg_elbo, kl, neg_iwae, neg_elbo_of_tokens, neg_iwae_of_tokens] =
            joined(&parts.collect::<Result<Vec<Vec<Tensor>>>>()?)?.try_into().map_err(|parts: Vec<Tensor>| {
                Error::Shape { what: "parts of bounds".into(), found: vec![parts.len() as i64], expected: "5".into() }
            })?;
        Ok(TopicsBound { neg_elbo, kl, neg_iwae, neg_elbo_of_tokens, neg_iwae_of_tokens })
    }

    fn bound_of_pass(&self, bags: &BagOfWordsBatch, samples: i64, key: Option<NoiseKey>) -> Result<[Tensor; 5]> {
        let outputs = self.encoder.infer(bags)?;
        let (mut kls, mut neg_elbos, mut log_weights) =
            (Vec::new(), [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for sample in 0..samples {
            let (posteriors, draws) = self.sample(&outputs, of_sample(key, sample))?;
            let kl = self.kl(&posteriors, &draws)?;
            let mut log_ratio = kl[0].zeros_like();
            for (l, (layer, posterior)) in self.layers.iter().zip(&posteriors).enumerate() {
                let prior = layer.prior(draws.get(l + 1))?;
                let ratio = prior.log_prob(&draws[l])? - posterior.truncated.log_prob(&draws[l])?;
                log_ratio += ratio.sum_dim_intlist(-1, false, None::<Kind>);
            }
            let kl = Tensor::stack(&kl, 0).sum_dim_intlist(0, false, None::<Kind>);
            for (i, reconstruction) in self.words.neg_log_probs(&draws[0], bags)?.into_iter().enumerate() {
                neg_elbos[i].push(&reconstruction + &kl);
                log_weights[i].push(&log_ratio - reconstruction);
            }
            kls.push(kl);
        }
        let mean = |parts: &[Tensor]| Tensor::stack(parts, 0).mean_dim(0, false, None::<Kind>);
        let neg_iwae = |parts: &[Tensor]| (samples as f64).ln() - Tensor::stack(parts, 0).logsumexp(0, false);
        let [elbo, elbo_of_tokens] = neg_elbos.each_ref().map(|parts| mean(parts));
        let [iwae, iwae_of_tokens] = log_weights.each_ref().map(|parts| neg_iwae(parts));
        Ok([elbo, mean(&kls), iwae, elbo_of_tokens, iwae_of_tokens])
    }

    /// The probabilities of words in each document, `[B, words]`, averaged over `samples` hard samples of its lowest
    /// topics, without a gradient; the noise is that of [`bound`](Self::bound).
    ///
    /// # Errors
    /// When `samples` is below 1.
    pub fn predict(&self, bags: &BagOfWordsBatch, samples: i64, key: Option<NoiseKey>) -> Result<Tensor> {
        if samples < 1 {
            return Err(Error::parameter("number of samples", samples, "at least 1"));
        }
        let _guard = no_grad_guard();
        bags.check(self.words(), self.words.device())?;
        let of_pass = |(first, part): (i64, BagOfWordsBatch)| {
            let (outputs, key) = (self.encoder.infer(&part)?, from_row(key, first));
            let draw = |sample: i64| {
                let (_, draws) = self.sample(&outputs, of_sample(key, sample))?;
                Ok::<_, Error>(self.words.log_probs(&draws[0]).exp())
            };
            let mut sum = draw(0)?;
            for sample in 1..samples {
                sum += draw(sample)?;
            }
            Ok(sum / samples as f64)
        };
        let parts = self.passes(bags)?.into_iter().map(of_pass).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

/// The key of a part of a batch.
fn from_row(key: Option<NoiseKey>, first: i64) -> Option<NoiseKey> {
    key.map(|key| NoiseKey { first_row: key.first_row.wrapping_add(first as u32), ..key })
}

/// The key of a sample.
fn of_sample(key: Option<NoiseKey>, sample: i64) -> Option<NoiseKey> {
    key.map(|key| NoiseKey { step: key.step.wrapping_add(sample as u64), ..key })
}
