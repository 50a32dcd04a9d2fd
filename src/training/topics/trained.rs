//! A trained model for new documents, loaded without its corpus.

use super::config::TopicsTrainConfig;
use super::start::blank;
use super::to_vectors;
use super::words::read_run_words;
use crate::data::Vocabulary;
use crate::error::Result;
use crate::models::{BagOfWordsBatch, TopicModel};
use crate::random;
use crate::training::checkpoint::Checkpoint;
use crate::training::run_folder::RunFolder;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, no_grad_guard};

/// The model of a run, with its vocabulary.
#[derive(Debug)]
pub struct TrainedTopics {
    /// The settings of the run.
    pub config: TopicsTrainConfig,
    /// The words, and the rules by which text is split into words.
    pub vocabulary: Vocabulary,
    /// The variables of the model.
    pub store: VarStore,
    /// The model.
    pub model: TopicModel,
}

/// The topics of a text.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Inferred {
    /// Number of words of the text that the vocabulary has, with repetitions.
    pub tokens: u64,
    /// Number of words that pass the rules but are not in the vocabulary, with repetitions.
    pub unknown: u64,
    /// Posterior means of the topics' counts, `[layers][topics]`, layers from the lowest. Counts of different topics
    /// have different units; compare topics by `shares`.
    pub counts: Vec<Vec<f64>>,
    /// Share of the known words that are attributed to each topic ([`TopicModel::attribute`]), `[layers][topics]`. The
    /// rest of a layer belongs to no topic.
    pub shares: Vec<Vec<f64>>,
    /// The topic of the largest share of each layer, from the lowest; `None` if no word is attributed to a topic.
    pub largest: Vec<Option<usize>>,
}

impl TrainedTopics {
    /// Loads the model from a run folder, at its checkpoint `best` or `last`.
    ///
    /// # Errors
    /// Fails if there is no run or no such checkpoint, or if they do not match.
    pub fn load(run: &Path, checkpoint: &str, device: Device) -> Result<Self> {
        let (folder, config) = RunFolder::open::<TopicsTrainConfig>(run)?;
        let checkpoint = Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?;
        checkpoint.check_settings(&config)?;
        let vocabulary = read_run_words(&folder, config.text.clone())?;
        let words = vocabulary.len() as i64;
        let shape = config.model(words);
        shape.check()?;
        let store = VarStore::new(device);
        let _generator = random::hold();
        let model = TopicModel::new(&store.root(), &shape, &blank(words, &config.topics, device))?;
        checkpoint.restore(&store)?;
        Ok(Self { config, vocabulary, store, model })
    }

    /// Infers the topics of texts, in one batch. For a text without a known word, the counts are those of an empty
    /// document.
    ///
    /// # Errors
    /// Fails if a tensor cannot be allocated.
    pub fn infer<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Inferred>> {
        let _guard = no_grad_guard();
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let encoded: Vec<_> = texts.iter().map(|text| self.vocabulary.encode(text.as_ref())).collect();
        let documents: Vec<_> = encoded.iter().map(|encoded| &encoded.document).collect();
        let bags = BagOfWordsBatch::from_documents(&documents, self.store.device());
        let means = self.model.infer(&bags)?;
        let attributed = self.model.attribute(&bags, &means)?;
        let [means, attributed] =
            [means, attributed].map(|layers| layers.iter().map(to_vectors).collect::<Result<Vec<_>>>());
        let (means, attributed) = (means?, attributed?);
        let inferred = encoded.iter().enumerate().map(|(i, encoded)| {
            let tokens: u64 = encoded.document.iter().map(|&(_, count)| u64::from(count)).sum();
            let shares_of_layer =
                |layer: &Vec<Vec<f64>>| layer[i].iter().map(|part| part / tokens.max(1) as f64).collect();
            let shares: Vec<Vec<f64>> = attributed.iter().map(shares_of_layer).collect();
            Inferred {
                tokens,
                unknown: encoded.unknown,
                counts: means.iter().map(|layer| layer[i].clone()).collect(),
                largest: shares.iter().map(|shares| largest(shares)).collect(),
                shares,
            }
        });
        Ok(inferred.collect())
    }
}

/// Returns the index of the largest share, the first among equals; `None` if all are zero.
fn largest(shares: &[f64]) -> Option<usize> {
    let positive = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
    positive.rev().max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(topic, _)| topic)
}
