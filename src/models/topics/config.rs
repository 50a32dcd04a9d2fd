//! The shape of a topic model, and what it starts from.

use super::Likelihood;
use crate::error::{Error, Result};
use crate::models::{Family, Inference, vae};
use tch::Tensor;

/// The largest size, so that parameters can be counted.
const LARGEST: i64 = 1 << 40;

/// The shape of a topic model.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicsConfig {
    /// Words of the vocabulary.
    pub words: i64,
    /// Topics of each layer, from the lowest.
    pub topics: Vec<i64>,
    /// The posterior of a count.
    pub family: Family,
    /// What the encoder puts out.
    pub inference: Inference,
    /// The law of words given topics.
    pub likelihood: Likelihood,
    /// Atoms of each count's window, from zero.
    pub atoms: i64,
    /// Mean of each count at the start.
    pub prior: f64,
    /// Width of the encoder.
    pub hidden: i64,
    /// Share of hidden units that a training step leaves out.
    pub dropout: f64,
    /// Share of a document's different words that the encoder does not see in a training step.
    pub word_dropout: f64,
    /// Scale of the normalised directions at the start.
    pub gain: f64,
    /// Words of the largest vocabulary that a step of training looks at whole. Of a larger one, it looks at the words
    /// of its documents, and at others by a sixteenth as many draws as this, by half uniform and by half in proportion
    /// to the documents that have a word, weighted by the inverse of their chance: sums over the vocabulary keep their
    /// means. Where topics multiply, a document looks at a part of the words that fewer than sixteen others have, by
    /// the same rule.
    pub vocabulary_sample: i64,
}

impl TopicsConfig {
    /// Fails when a setting is out of its range.
    ///
    /// # Errors
    /// With the setting's name, its value, and what is allowed.
    pub fn check(&self) -> Result<()> {
        if self.topics.is_empty() {
            return Err(Error::parameter("topics", "empty", "one number for each layer, as in 50 or 60,20"));
        }
        let sizes = self.topics.iter().map(|&n| ("topics", n));
        let more = [("hidden", self.hidden), ("words of the vocabulary", self.words)];
        let sizes = sizes.chain(more).chain([("vocabulary-sample", self.vocabulary_sample)]);
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

/// What a model starts from: what is known of the documents before anything is learned.
#[derive(Debug)]
pub struct TopicsStart {
    /// Those of the words in all documents, positive, with sum one: `[words]`.
    pub frequencies: Tensor,
    /// Inverse document frequencies, `[words]`.
    pub idf: Tensor,
    /// How many documents each word is in, `[words]`.
    pub documents: Tensor,
    /// Tokens of a document, on average.
    pub length: f64,
    /// The words of each of the lowest topics, columns of positive probabilities, `[words, topics]`.
    pub topics: Tensor,
    /// For each layer from the lowest, the directions of its topics' documents in the space of tf-idf, columns of unit
    /// length: `[words, topics]`.
    pub directions: Vec<Tensor>,
    /// For each layer but the top one, the group of each of its topics: `[topics above, topics]`, one where it belongs
    /// to a topic above, else zero.
    pub groups: Vec<Tensor>,
}
