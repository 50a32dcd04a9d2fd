//! Evaluates a topic model: likelihood bounds, completion, coherence, diversity.

use super::TopicsReport;
use super::batch::batches;
use crate::data::{Corpus, Document, Documents};
use crate::error::{Error, Result};
use crate::models::{BagOfWordsBatch, TopicModel};
use crate::random;
use crate::topic_metrics::{Completion, Halves, LayerSummary, ParentCoherence, split};
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
}

/// The variance of a posterior mean above which a topic is active (Burda et al., arXiv 1509.00519).
const ACTIVE_VARIANCE: f64 = 0.01;

/// Hard samples per document over which the word probabilities for completion are averaged.
const COMPLETION_SAMPLES: i64 = 20;

/// Evaluates a model on the test documents of a corpus, in batches of `batch_size`. The same `seed` gives the same
/// results.
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
    let _generator = random::seeded(seed);
    let mut sums = Sums::default();
    let mut means: Vec<Vec<Tensor>> = Vec::new();
    for batch in batches(documents.iter(), batch_size, device) {
        let (_, bags) = batch?;
        let bound = model.bound(&bags, samples)?;
        sums.add(&bags, [&bound.neg_elbo_of_tokens, &bound.neg_iwae_of_tokens, &bound.kl]);
        for (layer, mean) in model.infer(&bags)?.into_iter().enumerate() {
            if means.len() == layer {
                means.push(Vec::new());
            }
            means[layer].push(mean);
        }
    }
    let completion = complete(model, documents, batch_size, device)?.perplexity()?;
    let means: Vec<Tensor> = means.iter().map(|means| Tensor::cat(means, 0).to_kind(Kind::Double)).collect();
    let active = |means: &Tensor| means.var_dim(0, false, false).gt(ACTIVE_VARIANCE).sum(Kind::Int64).int64_value(&[]);
    let [neg_elbo, neg_iwae, kl] = sums.total;
    let [document_elbo, document_iwae, _] = sums.per_token.map(|sum| (sum / sums.documents.max(1.0)).exp());
    let per_word = |sum: f64| (sum / sums.tokens.max(1.0)).exp();
    let named = [
        ("completion_perplexity", completion),
        ("elbo_perplexity_document", document_elbo),
        ("elbo_perplexity_word", per_word(neg_elbo)),
        ("iwae_perplexity_document", document_iwae),
        ("iwae_perplexity_word", per_word(neg_iwae)),
        ("kl", kl),
    ];
    check_finite(&named)?;
    Ok(TopicsEvaluation {
        completion_perplexity: completion,
        elbo_perplexity_document: document_elbo,
        elbo_perplexity_word: per_word(neg_elbo),
        iwae_perplexity_document: document_iwae,
        iwae_perplexity_word: per_word(neg_iwae),
        importance_samples: samples,
        kl: kl / sums.documents.max(1.0),
        npmi: layers.iter().map(|layer| layer.npmi).collect(),
        diversity: layers.iter().map(|layer| layer.diversity).collect(),
        parent_npmi: layers.iter().filter_map(|layer| layer.parents).collect(),
        active_topics: means.iter().map(active).collect(),
        documents: sums.documents as u64,
        tokens: sums.tokens as u64,
    })
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

/// Sums over documents of the negative ELBO, the negative importance-weighted bound (both of the tokens), and the KL.
#[derive(Debug, Default)]
struct Sums {
    /// The sums of the values.
    total: [f64; 3],
    /// The sums of the values divided by the document's number of tokens.
    per_token: [f64; 3],
    documents: f64,
    tokens: f64,
}

impl Sums {
    /// Adds the values of a batch, each `[documents]`.
    fn add(&mut self, bags: &BagOfWordsBatch, parts: [&Tensor; 3]) {
        let sum = |tensor: &Tensor| tensor.sum(Kind::Double).double_value(&[]);
        for (i, part) in parts.into_iter().enumerate() {
            self.total[i] += sum(part);
            self.per_token[i] += sum(&(part / &bags.lengths));
        }
        self.documents += bags.len() as f64;
        self.tokens += sum(&bags.lengths);
    }
}

/// Completes the documents with more than one token, which are split by seed 0.
fn complete(model: &TopicModel, documents: &Documents, batch_size: usize, device: Device) -> Result<Completion> {
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
        let probabilities = model.predict(&BagOfWordsBatch::from_documents(&firsts, device), COMPLETION_SAMPLES)?;
        for (row, Halves { second, .. }) in batch.iter().enumerate() {
            let words: Vec<i64> = second.iter().map(|&(word, _)| i64::from(word)).collect();
            let words = Tensor::from_slice(&words).to_device(device);
            let p = probabilities.get(row as i64).index_select(0, &words);
            completion.add(second, &Vec::<f64>::try_from(p.to_kind(Kind::Double))?)?;
        }
    }
    Ok(completion)
}
