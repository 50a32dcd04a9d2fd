//! The settings of a topic model, and the statistics that it starts from.

use super::Likelihood;
use crate::error::{Error, Result};
use crate::models::{Family, Inference, vae};
use tch::Tensor;

/// The largest size, so that the number of parameters does not overflow.
const LARGEST: i64 = 1 << 40;

/// The settings of a topic model.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicsConfig {
    /// The number of words of the vocabulary.
    pub words: i64,
    /// The number of topics of each layer, from the lowest.
    pub topics: Vec<i64>,
    /// The family of a count's posterior.
    pub family: Family,
    /// Whether the encoder computes a family's parameters or free logits.
    pub inference: Inference,
    /// The law of words given topics.
    pub likelihood: Likelihood,
    /// The number of atoms of each count's window, from zero.
    pub atoms: i64,
    /// The initial prior mean of each count.
    pub prior: f64,
    /// The width of the encoder.
    pub hidden: i64,
    /// The probability that a training step drops a hidden unit.
    pub dropout: f64,
    /// The mean share of a document's distinct words that a training step hides from the encoder.
    pub word_dropout: f64,
    /// The initial scale of the normalised directions.
    pub gain: f64,
    /// The largest vocabulary that a training step sums over exactly. For a larger one, a step uses the words of its
    /// documents and a sixteenth of this number of draws of other words. Half of the draws are uniform, half
    /// proportional to the number of documents with a word; weights by the inverse probability keep the means of sums
    /// over the vocabulary. For the log-linear likelihood, a document also uses a sample, by the same rule, of the
    /// words that fewer than sixteen documents of the step have.
    pub vocabulary_sample: i64,
}

impl TopicsConfig {
    /// Checks that all settings are in their ranges.
    ///
    /// # Errors
    /// Fails with the setting's name, its value, and the allowed range.
    pub fn check(&self) -> Result<()> {
        if self.topics.is_empty() {
            return Err(Error::parameter("topics", "empty", "one number per layer, as in 50 or 60,20"));
        }
        let sizes = self.topics.iter().map(|&n| ("topics", n));
        let other_sizes = [("hidden", self.hidden), ("words of the vocabulary", self.words)];
        let sizes = sizes.chain(other_sizes).chain([("vocabulary-sample", self.vocabulary_sample)]);
        if let Some((name, size)) = sizes.into_iter().find(|&(_, size)| !(1..=LARGEST).contains(&size)) {
            return Err(Error::parameter(name, size, format!("from 1 to {LARGEST}")));
        }
        if self.atoms < 2 {
            return Err(Error::parameter("truncation", self.atoms, "at least 2 atoms"));
        }
        if !(self.prior > 0.0 && self.prior.is_finite()) {
            return Err(Error::parameter("prior", self.prior, "positive and finite"));
        }
        let wide = |sizes: &[i64]| sizes.iter().map(|&size| i128::from(size)).product::<i128>();
        let topics: i128 = self.topics.iter().map(|&n| i128::from(n)).sum();
        let (hidden, words) = (i128::from(self.hidden), i128::from(self.words));
        let between: i128 = self.topics.windows(2).map(wide).sum();
        let layers = self.topics.len() as i128 * hidden * hidden;
        let extra = if self.inference == Inference::Implicit { i128::from(self.atoms) } else { 1 };
        let total =
            words * (hidden + topics + i128::from(self.topics[0])) + layers + hidden * topics * (1 + extra) + between;
        if total > vae::MOST_PARAMETERS {
            return Err(Error::parameter(
                "number of parameters",
                total,
                "at most 2^30: take fewer topics, words or hidden units",
            ));
        }
        for (name, share) in [("dropout", self.dropout), ("word-dropout", self.word_dropout)] {
            if !(0.0..1.0).contains(&share) {
                return Err(Error::parameter(name, share, "at least 0 and below 1"));
            }
        }
        Ok(())
    }
}

/// The statistics of the training documents from which a model's parameters start.
#[derive(Debug)]
pub struct TopicsStart {
    /// The relative frequencies of the words in all documents, positive, with sum one: `[words]`.
    pub frequencies: Tensor,
    /// Inverse document frequencies, `[words]`.
    pub idf: Tensor,
    /// The number of documents with each word, `[words]`.
    pub documents: Tensor,
    /// The mean number of tokens per document.
    pub length: f64,
    /// The word probabilities of the lowest topics, positive, in columns: `[words, topics]`.
    pub topics: Tensor,
    /// For each layer from the lowest, the tf-idf directions of its topics' documents, columns of unit length:
    /// `[words, topics]`.
    pub directions: Vec<Tensor>,
    /// For each layer but the top one, the groups of its topics: `[topics above, topics]`, one if a topic belongs to
    /// the topic above, else zero.
    pub groups: Vec<Tensor>,
}
