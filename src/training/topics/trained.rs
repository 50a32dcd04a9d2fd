//! A trained model by itself, for new documents: no corpus is read.

use super::config::TopicsTrainConfig;
use super::start::blank;
use crate::data::Vocabulary;
use crate::error::Result;
use crate::models::{BagOfWordsBatch, TopicModel};
use crate::random;
use crate::training::checkpoint::Checkpoint;
use crate::training::run_files::VOCABULARY;
use crate::training::run_folder::RunFolder;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, no_grad_guard};

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
    /// Posterior means of the counts of each layer's topics, from the lowest.
    pub counts: Vec<Vec<f64>>,
}

impl TrainedTopics {
    /// From a run folder and its checkpoint `best` or `last`.
    ///
    /// # Errors
    /// When there is no run, or no such checkpoint, or they do not fit together.
    pub fn load(run: &Path, checkpoint: &str, device: Device) -> Result<Self> {
        let (folder, config) = RunFolder::open::<TopicsTrainConfig>(run)?;
        let vocabulary = Vocabulary::read(&folder.file(VOCABULARY), config.text.clone())?;
        let words = vocabulary.len() as i64;
        let shape = config.model(words);
        shape.check()?;
        let store = VarStore::new(device);
        let _generator = random::hold();
        let model = TopicModel::new(&store.root(), &shape, &blank(words, &config.topics, device))?;
        Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?.restore(&store)?;
        Ok(Self { config, vocabulary, store, model })
    }

    /// The topics of texts, in one pass; a text without a known word has the counts of a document of which nothing is known.
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
        let layers = self.model.infer(&BagOfWordsBatch::from_documents(&documents, self.store.device()))?;
        let layers = layers
            .iter()
            .map(|means| Ok(Vec::<Vec<f64>>::try_from(&means.to_kind(Kind::Double).to_device(Device::Cpu))?));
        let layers: Vec<Vec<Vec<f64>>> = layers.collect::<Result<_>>()?;
        let inferred = encoded.iter().enumerate().map(|(i, encoded)| Inferred {
            tokens: encoded.document.iter().map(|&(_, count)| u64::from(count)).sum(),
            unknown: encoded.unknown,
            counts: layers.iter().map(|means| means[i].clone()).collect(),
        });
        Ok(inferred.collect())
    }
}
