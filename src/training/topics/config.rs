//! The settings of a topic run, as `config.toml` holds them.

use crate::data::{Columns, Corpus, CorpusRules, CorpusSet, Header, Quotes, Segmentation, Split, SplitRule, TextRules};
use crate::error::{Error, Result};
use crate::estimators::EstimatorKind;
use crate::models::{Family, Inference, Likelihood, TopicsConfig};
use crate::training::checkpoint_interval::{Interval, OnNan};
use crate::training::ranges::{integer, number};
use crate::training::schedule::Schedule;
use crate::training::settings::{BoundSettings, DataWords, LoopConfig, Settings, absolute};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The settings of a topic run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsTrainConfig {
    /// The name of a corpus, or its path.
    pub corpus: String,
    /// The folder with the files of named corpora.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The folder that holds the documents during training; default: they are in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// The column of a table, or the field of JSON lines, that holds the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// The column or field with the names of documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Whether the first line of a table holds the names of its columns.
    pub header: Header,
    /// How double quotes in a table are read.
    pub quotes: Quotes,
    /// The rule for holding out documents for testing and validation, if their source does not say so itself.
    pub split: SplitRule,
    /// Share of the documents for testing.
    pub test_share: f64,
    /// Share of the remaining documents for validation.
    pub validation_share: f64,
    /// Number of topics of each layer, from the lowest.
    pub topics: Vec<i64>,
    /// The posterior of the counts.
    pub family: Family,
    /// Whether the encoder computes parameters of the family, or logits of the atoms.
    pub inference: Inference,
    /// The likelihood of words given topics.
    pub likelihood: Likelihood,
    /// Mean of each count before training.
    pub prior: f64,
    /// Number of atoms in the window of each count, from zero.
    pub truncation: i64,
    /// The estimator of the gradient through the counts, one that takes one sample.
    pub estimator: EstimatorKind,
    /// The schedule of the temperature, from the first to the last step.
    pub temperature: Schedule,
    /// Width of the encoder's hidden layers.
    pub hidden: i64,
    /// Share of the hidden units that are dropped in a step.
    pub dropout: f64,
    /// Mean share of a document's words that are hidden from the encoder in a step.
    pub word_dropout: f64,
    /// Scale of the encoder's normalised outputs before training.
    pub gain: f64,
    /// Size of the largest vocabulary that every step uses in full. With a larger one, a step uses the words of its
    /// documents and a sample of the others.
    pub vocabulary_sample: i64,
    /// Strength of the normal prior on the word weights of log-linear topics: `decay * w^2` nats per weight.
    pub decay: f64,
    /// Penalty for similar log-linear topics, in nats per document for two topics with the same words: the weight of
    /// the squared cosine of their positive weights.
    pub separation: f64,
    /// Passes over the training documents.
    pub epochs: usize,
    /// Documents per step.
    pub batch_size: i64,
    /// Adam's learning rate in the first half of the run; it then falls linearly, to a fiftieth.
    pub lr: f64,
    /// Epochs over which the weight of the KL grows from 0 to 1.
    pub kl_warmup: f64,
    /// Share of the run over which the weight of the upper layers' KL grows from 0 to 1: linearly for the first layer
    /// above the lowest, quadratically for the second, and so on. So layers that are not yet informative cost less than
    /// the layers below, and can learn.
    pub upper_warmup: f64,
    /// How often a checkpoint is written.
    pub checkpoint_every: Interval,
    /// How to handle a step that is not finite.
    pub on_nan: OnNan,
    /// Whether the run keeps no text of documents; `tree` then shows none.
    pub no_text: bool,
    /// The file of a new run's initial weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Whether the best epoch has the lowest bound on the counts per word, instead of the lowest perplexity of tokens.
    /// For a Poisson likelihood these differ. Runs whose settings lack `header` select by counts, and keep doing so
    /// when they are resumed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub selects_by_counts: bool,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The rules for words of a text, and for the vocabulary.
    pub text: TextRules,
}

impl Default for TopicsTrainConfig {
    fn default() -> Self {
        Self {
            corpus: "reuters-395".into(),
            data_dir: None,
            store: None,
            text_column: None,
            id_column: None,
            header: Header::Auto,
            quotes: Quotes::Paired,
            split: SplitRule::Seed,
            test_share: Split::default().test_share,
            validation_share: Split::default().validation_share,
            topics: vec![50],
            family: Family::Poisson,
            inference: Inference::Explicit,
            likelihood: Likelihood::LogLinear,
            prior: 2.0,
            truncation: 24,
            estimator: EstimatorKind::GengsSt,
            temperature: Schedule { first: 1.0, last: 0.3 },
            hidden: 256,
            dropout: 0.4,
            word_dropout: 0.3,
            gain: 1.5,
            vocabulary_sample: 16384,
            decay: 3.0,
            separation: 0.4,
            epochs: 60,
            batch_size: 200,
            lr: 5e-3,
            kl_warmup: 0.0,
            upper_warmup: 0.6,
            checkpoint_every: Interval::Seconds(10.0),
            on_nan: OnNan::Stop,
            no_text: false,
            init_from: None,
            selects_by_counts: false,
            seed: 0,
            text: TextRules::default(),
        }
    }
}

impl TopicsTrainConfig {
    /// Loads the corpus: from the store if it holds the whole corpus, else into memory. Writes nothing.
    ///
    /// # Errors
    /// Fails if a file is missing or malformed; the message names it.
    pub fn load(&self) -> Result<Corpus> {
        let (set, folder) = (CorpusSet::from_name(&self.corpus), self.data_dir.as_deref());
        set.load_without_writing(folder, self.corpus_rules(), self.store.as_deref())
    }

    /// Writes the store, if the settings name one that does not hold the corpus yet.
    ///
    /// # Errors
    /// Fails as [`load`](Self::load) does, and if a file cannot be written.
    pub fn write_store(&self) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let set = CorpusSet::from_name(&self.corpus);
        set.load(self.data_dir.as_deref(), self.corpus_rules(), Some(store)).map(|_| ())
    }

    /// Returns the rules by which the corpus is read.
    pub fn corpus_rules(&self) -> CorpusRules {
        CorpusRules { text: self.text.clone(), split: self.document_split(), columns: self.columns() }
    }

    /// Returns the split into training, validation and test documents.
    pub fn document_split(&self) -> Split {
        let Self { split: rule, seed, test_share, validation_share, .. } = *self;
        Split { rule, seed, test_share, validation_share }
    }

    /// Returns the columns of a table to read, and how the table is written.
    pub fn columns(&self) -> Columns {
        let Self { text_column, id_column, header, quotes, .. } = self;
        Columns { text: text_column.clone(), id: id_column.clone(), header: *header, quotes: *quotes }
    }

    /// Returns the architecture of the model for a vocabulary of this size.
    pub fn model(&self, words: i64) -> TopicsConfig {
        let Self {
            family, inference, likelihood, prior, hidden, dropout, word_dropout, gain, vocabulary_sample, ..
        } = *self;
        let (topics, atoms) = (self.topics.clone(), self.truncation);
        TopicsConfig {
            words,
            topics,
            family,
            inference,
            likelihood,
            atoms,
            prior,
            hidden,
            dropout,
            word_dropout,
            gain,
            vocabulary_sample,
        }
    }

    /// Returns the weights of the KL of the layers, from the lowest, after a fraction of the run.
    pub fn kl_weights(&self, layers: usize, fraction: f64) -> Vec<f64> {
        let grown = if fraction < self.upper_warmup { fraction / self.upper_warmup } else { 1.0 };
        (0..layers).map(|above| grown.powi(above as i32)).collect()
    }

    /// Returns the learning rate after a fraction of the run.
    pub fn learning_rate(&self, fraction: f64) -> f64 {
        self.lr * (2.0 * (1.0 - fraction)).clamp(0.02, 1.0)
    }
}

impl Settings for TopicsTrainConfig {
    const PROGRAM: &'static str = "gengs-topics";

    const DATA: DataWords = DataWords { setting: "corpus", examples: "documents", features: "words of the vocabulary" };

    /// `text` cuts new texts into words, and `seed`, `split` and the shares decide which documents choose the best
    /// epoch.
    const BOUND: BoundSettings = BoundSettings {
        of_model: &["topics", "family", "inference", "likelihood", "prior", "truncation", "hidden"],
        of_run: &["temperature", "seed", "split", "test_share", "validation_share", "selects_by_counts", "text"],
    };

    fn check(&self) -> Result<()> {
        self.loop_config().check()?;
        number("kl-warmup", self.kl_warmup, 0.0..=1e6)?;
        self.text.check()?;
        self.document_split().check()?;
        number("lr", self.lr, f64::MIN_POSITIVE..=10.0)?;
        integer("number of layers of topics", self.topics.len(), 1..=16)?;
        self.topics.iter().try_for_each(|&topics| integer("topics", topics, 1..=100_000))?;
        integer("hidden", self.hidden, 1..=1_000_000)?;
        integer("truncation", self.truncation, 2..=10_000)?;
        integer("vocabulary-sample", self.vocabulary_sample, 1..=1 << 31)?;
        if self.estimator.pathwise(1.0).is_none() {
            let of_one_sample = EstimatorKind::ALL.into_iter().filter(|kind| kind.pathwise(1.0).is_some());
            let names: Vec<String> = of_one_sample.map(|kind| kind.to_string()).collect();
            return Err(Error::parameter("estimator", self.estimator, format!("one of {}", names.join(", "))));
        }
        number("prior", self.prior, 1e-30..=1e6)?;
        number("gain", self.gain, f64::MIN_POSITIVE..=1000.0)?;
        number("decay", self.decay, 0.0..=1e6)?;
        number("separation", self.separation, 0.0..=1e6)?;
        number("dropout", self.dropout, 0.0..=0.999)?;
        number("word-dropout", self.word_dropout, 0.0..=0.999)?;
        if !(0.0..=1.0).contains(&self.upper_warmup) {
            return Err(Error::parameter("upper-warmup", self.upper_warmup, "a share of the run, from 0 to 1"));
        }
        Ok(())
    }

    fn loop_config(&self) -> LoopConfig {
        let Self { epochs, batch_size, temperature, checkpoint_every, on_nan, seed, .. } = *self;
        LoopConfig { epochs, batch_size, temperature, checkpoint_every, on_nan, seed }
    }

    fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn set_on_nan(&mut self, on_nan: OnNan) {
        self.on_nan = on_nan;
    }

    fn set_data_dir(&mut self, folder: &Path) {
        self.data_dir = Some(folder.to_path_buf());
    }

    fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    fn data_name(&self) -> String {
        self.corpus.clone()
    }

    fn make_absolute(&mut self) {
        self.corpus = CorpusSet::absolute_name(&self.corpus);
        [&mut self.data_dir, &mut self.store, &mut self.init_from].into_iter().for_each(absolute);
    }

    /// Sets what runs did before these settings existed: they held out every tenth document, took runs of letters for
    /// words, read tables by other rules, and selected Poisson models by the bound on the counts.
    fn keep_old_ways(&mut self, saved: &toml::Table) {
        if !saved.contains_key("split") {
            self.split = SplitRule::EveryTenth;
        }
        if !saved.contains_key("header") {
            self.header = Header::Short;
            self.selects_by_counts = self.likelihood == Likelihood::Poisson;
        }
        if !saved.contains_key("quotes") {
            self.quotes = Quotes::Any;
        }
        let says =
            saved.get("text").and_then(toml::Value::as_table).is_some_and(|text| text.contains_key("segmentation"));
        if !says {
            self.text.segmentation = Segmentation::Letters;
        }
    }

    fn data_paths(&self) -> Vec<PathBuf> {
        let corpus = match CorpusSet::from_name(&self.corpus) {
            CorpusSet::Reuters395 | CorpusSet::StandardInput { .. } => None,
            CorpusSet::Path { path, .. } => Some(path),
            CorpusSet::TwentyNews | CorpusSet::Reuters21578 | CorpusSet::Rcv1Sample => self.data_dir.clone(),
        };
        corpus.into_iter().chain(self.store.clone()).collect()
    }

    fn init_from(&self) -> Option<&Path> {
        self.init_from.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_come_to_count_in_full() {
        let config = TopicsTrainConfig { upper_warmup: 0.5, ..TopicsTrainConfig::default() };
        assert_eq!(config.kl_weights(3, 0.0), [1.0, 0.0, 0.0]);
        assert_eq!(config.kl_weights(3, 0.25), [1.0, 0.5, 0.25]);
        assert_eq!(config.kl_weights(3, 0.5), [1.0; 3]);
        let config = TopicsTrainConfig { upper_warmup: 0.0, ..config };
        assert_eq!(config.kl_weights(2, 0.0), [1.0; 2]);
        for wrong in [-0.1, 1.5, f64::NAN] {
            let config = TopicsTrainConfig { upper_warmup: wrong, ..config.clone() };
            assert!(config.check().unwrap_err().to_string().contains("upper-warmup"));
        }
    }
}
