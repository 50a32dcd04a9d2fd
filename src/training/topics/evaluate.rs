//! Evaluates a topic model: likelihood bounds, completion, coherence, diversity.

use super::TopicsReport;
use super::batch::batches;
use crate::data::{Corpus, Document, Documents};
use crate::error::{Error, Result};
use crate::models::{BagOfWordsBatch, TopicModel, TopicsBound};
use crate::sampler::NoiseKey;
use crate::topic_metrics::{Completion, Halves, LayerSummary, ParentCoherence, Ratio, split};
use crate::training::ranges::check_finite;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Results on the test documents that have a word, from hard samples. Lists have one value per layer, from the lowest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicsEvaluation {
    /// Perplexity of the second halves of documents given their first halves.
    pub completion_perplexity: f64,
    /// `exp` of the mean over documents of the negative ELBO divided by the document's tokens. The ELBO bounds the
    /// probability of the tokens given their number, so that all likelihoods are comparable.
    pub elbo_perplexity_document: f64,
    /// `exp` of the negative ELBO of all documents divided by the number of their tokens.
    pub elbo_perplexity_word: f64,
    /// Perplexity by document as in `elbo_perplexity_document`, from the importance-weighted bound.
    pub iwae_perplexity_document: f64,
    /// Perplexity by word as in `elbo_perplexity_word`, from the importance-weighted bound.
    pub iwae_perplexity_word: f64,
    /// Samples per document in the bounds.
    pub importance_samples: i64,
    /// KL in nats per document, summed over all layers.
    pub kl: f64,
    /// Mean NPMI of the topics over their top 10 words, from the training documents.
    pub npmi: Vec<Option<f64>>,
    /// Distinct words among the top 25 of a layer's topics, divided by 25 times their number.
    pub diversity: Vec<f64>,
    /// Mean NPMI of a layer's topics with the topics above them, for each layer but the top one.
    pub parent_npmi: Vec<ParentCoherence>,
    /// Number of topics whose posterior mean has a variance above 0.01 over the documents.
    pub active_topics: Vec<i64>,
    /// Number of documents with a word.
    pub documents: u64,
    /// Number of tokens of these documents.
    pub tokens: u64,
    /// How far the measures may be off, since they are of these documents and of these samples.
    pub standard_errors: StandardErrors,
}

/// Standard errors of measures over documents, to the first order: what other documents of the same source, and other
/// samples, would change. `None` for fewer than two documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StandardErrors {
    /// Of the completion perplexity.
    pub completion_perplexity: Option<f64>,
    /// Of the perplexity by document, from the ELBO.
    pub elbo_perplexity_document: Option<f64>,
    /// Of that by word.
    pub elbo_perplexity_word: Option<f64>,
    /// Of the perplexity by document, from the importance-weighted bound.
    pub iwae_perplexity_document: Option<f64>,
    /// Of that by word.
    pub iwae_perplexity_word: Option<f64>,
    /// Of the KL a document.
    pub kl: Option<f64>,
}

/// The variance of a posterior mean above which a topic is active (Burda et al., arXiv 1509.00519).
const ACTIVE_VARIANCE: f64 = 0.01;

/// Hard samples per document over which the word probabilities for completion are averaged.
const COMPLETION_SAMPLES: i64 = 20;

/// The first step of the noise of bounds, and that of completion: no step of training has their numbers.
const BOUNDS: u64 = 1 << 63;
const COMPLETION: u64 = 3 << 62;

/// Evaluates a model on test documents, `batch_size` at a time. The noise of a sample is a function of `seed`, the
/// document's number and the sample's: the numbers are the same at every call, whatever the batches are, but for the
/// order of sums.
///
/// # Errors
/// Fails if no test document has a word, if `samples` is below 1, or if a result is not finite.
pub fn evaluate_topics(
    model: &TopicModel,
    corpus: &Corpus,
    samples: i64,
    batch_size: usize,
    seed: i64,
    device: Device,
) -> Result<TopicsEvaluation> {
    if corpus.test.tokens() == 0 {
        return Err(no_test_documents(corpus));
    }
    let tree = TopicsReport::new(model, corpus, 0, device)?.tree(corpus)?;
    evaluate_documents(model, &corpus.test, &tree.layers, samples, batch_size, seed, device)
}

/// Evaluates a model on any documents counted with its vocabulary. `layers` are the coherence and diversity of the
/// topics, from the training documents.
///
/// # Errors
/// Fails as [`evaluate_topics`] does.
pub fn evaluate_documents(
    model: &TopicModel,
    documents: &Documents,
    layers: &[LayerSummary],
    samples: i64,
    batch_size: usize,
    seed: i64,
    device: Device,
) -> Result<TopicsEvaluation> {
    let _guard = no_grad_guard();
    let mut bounds = Bounds::default();
    let mut means: Vec<Vec<Tensor>> = Vec::new();
    for batch in batches(documents.iter(), batch_size, device) {
        let (_, bags) = batch?;
        let key = key(seed, BOUNDS, bounds.documents);
        bounds.add(&bags, &model.bound(&bags, samples, Some(key))?)?;
        for (layer, mean) in model.infer(&bags)?.into_iter().enumerate() {
            if means.len() == layer {
                means.push(Vec::new());
            }
            means[layer].push(mean);
        }
    }
    let completion = complete(model, documents, batch_size, seed, device)?;
    let means: Vec<Tensor> = means.iter().map(|means| Tensor::cat(means, 0).to_kind(Kind::Double)).collect();
    let active = |means: &Tensor| means.var_dim(0, false, false).gt(ACTIVE_VARIANCE).sum(Kind::Int64).int64_value(&[]);
    let elbo = bounds.elbo.each_ref().map(Ratio::exponential);
    let iwae = bounds.iwae.each_ref().map(Ratio::exponential);
    let evaluation = TopicsEvaluation {
        completion_perplexity: completion.perplexity()?,
        elbo_perplexity_document: elbo[0].0,
        elbo_perplexity_word: elbo[1].0,
        iwae_perplexity_document: iwae[0].0,
        iwae_perplexity_word: iwae[1].0,
        importance_samples: samples,
        kl: bounds.kl.value(),
        npmi: layers.iter().map(|layer| layer.npmi).collect(),
        diversity: layers.iter().map(|layer| layer.diversity).collect(),
        parent_npmi: layers.iter().filter_map(|layer| layer.parents).collect(),
        active_topics: means.iter().map(active).collect(),
        documents: bounds.documents,
        tokens: bounds.tokens as u64,
        standard_errors: StandardErrors {
            completion_perplexity: completion.standard_error(),
            elbo_perplexity_document: elbo[0].1,
            elbo_perplexity_word: elbo[1].1,
            iwae_perplexity_document: iwae[0].1,
            iwae_perplexity_word: iwae[1].1,
            kl: bounds.kl.standard_error(),
        },
    };
    evaluation.check()?;
    Ok(evaluation)
}

impl TopicsEvaluation {
    /// Whether it is finite.
    fn check(&self) -> Result<()> {
        check_finite(&[
            ("completion_perplexity", self.completion_perplexity),
            ("elbo_perplexity_document", self.elbo_perplexity_document),
            ("elbo_perplexity_word", self.elbo_perplexity_word),
            ("iwae_perplexity_document", self.iwae_perplexity_document),
            ("iwae_perplexity_word", self.iwae_perplexity_word),
            ("kl", self.kl),
        ])
    }
}

/// The noise of documents from this number on.
fn key(seed: i64, step: u64, document: u64) -> NoiseKey {
    NoiseKey { first_row: document as u32, ..NoiseKey::new(seed as u64, step) }
}

/// Makes the error that there is no test document with a word.
fn no_test_documents(corpus: &Corpus) -> Error {
    let (test, train) = (corpus.test.len(), corpus.train.len());
    let found = match test {
        0 => format!("none of {} documents is held out for testing", train),
        _ => format!("none of the {test} documents that are held out for testing has a word of the vocabulary"),
    };
    Error::EmptyPart { problem: format!("there is nothing to evaluate on: {found}"), held_out: true }
}

/// Bounds of the tokens of documents, by document and by word, and their KL.
#[derive(Debug, Default)]
struct Bounds {
    elbo: [Ratio; 2],
    iwae: [Ratio; 2],
    kl: Ratio,
    documents: u64,
    tokens: f64,
}

impl Bounds {
    fn add(&mut self, bags: &BagOfWordsBatch, bound: &TopicsBound) -> Result<()> {
        let plain = |tensor: &Tensor| Ok::<_, Error>(Vec::<f64>::try_from(tensor.to_kind(Kind::Double))?);
        let parts = [&bags.lengths, &bound.neg_elbo_of_tokens, &bound.neg_iwae_of_tokens, &bound.kl];
        let [lengths, elbo, iwae, kl] = [plain(parts[0])?, plain(parts[1])?, plain(parts[2])?, plain(parts[3])?];
        for (row, &length) in lengths.iter().enumerate() {
            for (ratios, bound) in [(&mut self.elbo, elbo[row]), (&mut self.iwae, iwae[row])] {
                ratios[0].add(bound / length, 1.0);
                ratios[1].add(bound, length);
            }
            self.kl.add(kl[row], 1.0);
            self.documents += 1;
            self.tokens += length;
        }
        Ok(())
    }
}

/// Completion of the documents with more than one token, split from seed 0.
fn complete(
    model: &TopicModel,
    documents: &Documents,
    batch_size: usize,
    seed: i64,
    device: Device,
) -> Result<Completion> {
    let halves = documents.iter().enumerate().filter_map(|(number, document)| match document {
        Ok(document) => split(&document, 0, number as u64).map(Ok),
        Err(error) => Some(Err(error)),
    });
    let mut halves = halves.peekable();
    let batch_size = batch_size.min(model.documents_at_once() as usize).max(1);
    let mut completion = Completion::default();
    while halves.peek().is_some() {
        let batch: Vec<Halves> = halves.by_ref().take(batch_size).collect::<Result<_>>()?;
        let firsts: Vec<&Document> = batch.iter().map(|halves| &halves.first).collect();
        let key = key(seed, COMPLETION, completion.documents());
        let bags = BagOfWordsBatch::from_documents(&firsts, device);
        let probabilities = model.predict(&bags, COMPLETION_SAMPLES, Some(key))?;
        for (row, Halves { second, .. }) in batch.iter().enumerate() {
            let words: Vec<i64> = second.iter().map(|&(word, _)| i64::from(word)).collect();
            let words = Tensor::from_slice(&words).to_device(device);
            let p = probabilities.get(row as i64).index_select(0, &words);
            completion.add(second, &Vec::<f64>::try_from(p.to_kind(Kind::Double))?)?;
        }
    }
    Ok(completion)
}
