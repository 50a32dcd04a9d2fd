//! Everything that a run is made of; what `config.toml` holds.

use crate::data::Corpus;
use crate::models::{Family, Inference, Likelihood, TopicsConfig};
use crate::training::schedule::Schedule;
use crate::training::trainee::{Pace, Settings};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The settings of a topic run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsTrainConfig {
    /// The name of a corpus, or a path.
    pub corpus: String,
    /// Where the files of the named corpora lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Topics of each layer, from the lowest.
    pub topics: Vec<i64>,
    /// The posterior of a count.
    pub family: Family,
    /// What the encoder puts out.
    pub inference: Inference,
    /// The law of words given topics.
    pub likelihood: Likelihood,
    /// Mean of each count at the start.
    pub prior: f64,
    /// Atoms of each count's window, from zero.
    pub truncation: i64,
    /// Temperature, from the first to the last step.
    pub temperature: Schedule,
    /// Width of the encoder.
    pub hidden: i64,
    /// Share of hidden units that a step leaves out.
    pub dropout: f64,
    /// Mean share of a document's words that the encoder does not see in a step.
    pub word_dropout: f64,
    /// Scale of normalised outputs at the start.
    pub gain: f64,
    /// Strength of the normal prior on the weights of words, `decay * w^2` nats each, where topics multiply.
    pub decay: f64,
    /// Passes over the training documents.
    pub epochs: usize,
    /// Documents a step.
    pub batch_size: i64,
    /// Adam's learning rate in the first half of the run; then it falls linearly, to a fiftieth.
    pub lr: f64,
    /// Epochs over which the weight of the KL grows from 0 to 1.
    pub kl_warmup: f64,
    /// Seconds between two checkpoints; 0 is one at every look at the loss.
    pub checkpoint_every: f64,
    /// Where all randomness starts.
    pub seed: u64,
}

impl Default for TopicsTrainConfig {
    fn default() -> Self {
        Self {
            corpus: "reuters-395".into(),
            data_dir: None,
            topics: vec![50],
            family: Family::Poisson,
            inference: Inference::Explicit,
            likelihood: Likelihood::LogLinear,
            prior: 1.0,
            truncation: 16,
            temperature: Schedule { first: 1.0, last: 0.3 },
            hidden: 256,
            dropout: 0.2,
            word_dropout: 0.25,
            gain: 2.0,
            decay: 2.0,
            epochs: 60,
            batch_size: 200,
            lr: 3e-3,
            kl_warmup: 0.0,
            checkpoint_every: 10.0,
            seed: 0,
        }
    }
}

impl TopicsTrainConfig {
    /// The corpus.
    ///
    /// # Errors
    /// When a file is missing or malformed; the message names it.
    pub fn load(&self) -> Result<Corpus> {
        let folder = self.data_dir.clone().unwrap_or_default();
        let file = match self.corpus.as_str() {
            "20news" => folder.join("text/20news_prodlda_V1995.npz"),
            "reuters21578" => folder.join("text/reuters21578_V2000.npz"),
            "rcv1-sample" => folder.join("text/rcv1_sample_V10000.npz"),
            path => PathBuf::from(path),
        };
        Corpus::read_npz(&file)
    }

    /// The model's shape for a vocabulary of this size.
    pub fn model(&self, words: i64) -> TopicsConfig {
        let Self { family, inference, likelihood, prior, hidden, dropout, word_dropout, gain, .. } = *self;
        let (topics, atoms) = (self.topics.clone(), self.truncation);
        TopicsConfig { words, topics, family, inference, likelihood, atoms, prior, hidden, dropout, word_dropout, gain }
    }

    /// The learning rate after a fraction of the run.
    pub fn learning_rate(&self, fraction: f64) -> f64 {
        self.lr * (2.0 * (1.0 - fraction)).clamp(0.02, 1.0)
    }
}

impl Settings for TopicsTrainConfig {
    fn check(&self) -> Result<()> {
        self.pace().check()?;
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return Err(Error::parameter("lr", self.lr, "positive and finite"));
        }
        Ok(())
    }

    fn pace(&self) -> Pace {
        let Self { epochs, batch_size, temperature, kl_warmup, checkpoint_every, seed, .. } = *self;
        Pace { epochs, batch_size, temperature, kl_warmup, checkpoint_every, seed }
    }

    fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn set_data_dir(&mut self, folder: &Path) {
        self.data_dir = Some(folder.to_path_buf());
    }
}
