//! A trained model by itself, for new documents: no corpus is read.

use super::config::TopicsTrainConfig;
use super::plain;
use super::start::blank;
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

/// The model of a run with its vocabulary.
#[derive(Debug)]
pub struct TrainedTopics {
    /// The settings of the run.
    pub config: TopicsTrainConfig,
    /// The words, and the rules by which text is cut into them.
    pub vocabulary: Vocabulary,
    /// The parameters.
    pub store: VarStore,
    /// The model.
    pub model: TopicModel,
}

/// What a text is about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Inferred {
    /// Words of the text that the vocabulary has, each as often as it occurs.
    pub tokens: u64,
    /// Words that pass the rules, but that the vocabulary does not have.
    pub unknown: u64,
    /// Posterior means of the counts of each layer's topics, from the lowest. A count has no unit that topics share:
    /// see `shares`.
    pub counts: Vec<Vec<f64>>,
    /// For each layer from the lowest, and each topic, the share of the known words that are attributed to it
    /// ([`TopicModel::attribute`]); what is left of a layer belongs to no topic.
    pub shares: Vec<Vec<f64>>,
    /// For each layer from the lowest, the topic of the largest share; none where no word is attributed to any.
    pub largest: Vec<Option<usize>>,
}

impl TrainedTopics {
    /// From a run folder and its checkpoint `best` or `last`.
    ///
    /// # Errors
    /// When there is no run, or no such checkpoint, or they do not fit together.
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

    /// The topics of texts, in one pass; a text without a known word has the counts of a document of which nothing is
    /// known.
    ///
    /// # Errors
    /// When a tensor cannot be made.
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
            [means, attributed].map(|layers| layers.iter().map(plain).collect::<Result<Vec<_>>>());
        let (means, attributed) = (means?, attributed?);
        let inferred = encoded.iter().enumerate().map(|(i, encoded)| {
            let tokens: u64 = encoded.document.iter().map(|&(_, count)| u64::from(count)).sum();
            let of_layer = |layer: &Vec<Vec<f64>>| layer[i].iter().map(|part| part / tokens.max(1) as f64).collect();
            let shares: Vec<Vec<f64>> = attributed.iter().map(of_layer).collect();
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

/// The place of the largest of some shares, the first of equals; none where all are zero.
fn largest(shares: &[f64]) -> Option<usize> {
    let positive = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
    positive.rev().max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(topic, _)| topic)
}
