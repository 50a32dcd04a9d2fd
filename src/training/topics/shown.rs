//! The topics of a checkpoint, stored in the run folder, so that `topics` and `tree` need no documents and the folder
//! can be moved.

use super::config::TopicsTrainConfig;
use super::report::TopicsReport;
use super::words::read_run_words;
use crate::data::{Corpus, TextRules};
use crate::error::{Error, Result};
use crate::models::TopicModel;
use crate::topic_metrics::page::Example;
use crate::topic_metrics::{COHERENCE_WORDS, Tree, coherence};
use crate::training::checkpoint::Checkpoint;
use crate::training::run_folder::RunFolder;
use crate::training::side_file;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tch::{Device, Kind, Tensor};

/// The number of documents that are shown with a topic.
const EXAMPLES: usize = 3;

/// The number of words that are shown of a document without text.
const WORDS_SHOWN: usize = 12;

/// The topics of a checkpoint, as they are stored and shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct TopicsShown {
    /// The topics and their shares, without examples and weights.
    pub report: TopicsReport,
    /// Coherence from the training documents, `[layers][topics]`.
    pub npmi: Vec<Vec<Option<f64>>>,
    /// The hierarchy.
    pub tree: Tree,
    /// Typical documents by layer and topic; empty if the run keeps no text.
    #[serde(with = "map_as_list")]
    pub examples: HashMap<(usize, usize), Vec<Example>>,
    /// Number of training documents.
    pub documents: usize,
    /// Number of their words, with repetitions.
    pub tokens: u64,
    /// The words, by number.
    #[serde(skip)]
    pub vocabulary: Vec<String>,
    /// The mark of the checkpoint from which the topics were computed.
    checkpoint: String,
}

impl TopicsShown {
    /// Computes the topics from a model and its training documents; `text` says whether example documents are included.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn new(model: &TopicModel, corpus: &Corpus, text: bool, device: Device) -> Result<Self> {
        let examples = if text { EXAMPLES } else { 0 };
        let report = TopicsReport::new(model, corpus, examples, device)?;
        let npmi = report
            .topics
            .iter()
            .map(|topics| corpus.train.with_all(|documents| Ok(coherence(topics, documents, COHERENCE_WORDS)?.topics)));
        let npmi = npmi.collect::<Result<_>>()?;
        let mut texts_by_topic = HashMap::new();
        for (&place, documents) in report.examples.iter().filter(|(_, documents)| !documents.is_empty()) {
            let texts =
                documents.iter().map(|&(number, weight)| Ok(Example { text: text_of(corpus, number)?, weight }));
            texts_by_topic.insert(place, texts.collect::<Result<Vec<_>>>()?);
        }
        Ok(Self {
            npmi,
            tree: report.tree(corpus)?,
            examples: texts_by_topic,
            documents: corpus.train.len(),
            tokens: corpus.train.tokens(),
            vocabulary: corpus.vocabulary.clone(),
            checkpoint: String::new(),
            report,
        })
    }

    /// Reads the stored topics for the checkpoint `best` or `last`. Returns `None` if there are none, or if they belong
    /// to an earlier checkpoint because the run has been resumed and is not finished.
    ///
    /// # Errors
    /// Fails if a file is damaged, or if the run's settings are not those that the checkpoint was trained with.
    pub fn read(folder: &RunFolder, name: &str) -> Result<Option<Self>> {
        let file = file_name(name);
        let found = side_file::read::<Self>(folder, &file)?;
        let Some((mut shown, tensors)) = found else { return Ok(None) };
        let checkpoint = Checkpoint::read(&folder.file(&format!("{name}.safetensors")))?;
        let (_, settings) = RunFolder::open::<TopicsTrainConfig>(folder.path())?;
        checkpoint.check_settings(&settings)?;
        if shown.checkpoint != checkpoint.mark() {
            return Ok(None);
        }
        shown.vocabulary = read_run_words(folder, TextRules::default())?.into_words();
        shown.report.topics = (0..shown.npmi.len())
            .map_while(|layer| tensors.get(&layer_name(layer)))
            .map(|rows| Ok(Vec::<Vec<f64>>::try_from(&rows.to_kind(Kind::Double))?))
            .collect::<Result<_>>()?;
        if !shown.fits() {
            let problem = "does not fit the run's vocabulary; remove it, and `topics` reads the documents again";
            return Err(Error::file(folder.file(&file), problem));
        }
        Ok(Some(shown))
    }

    /// Stores the topics for a checkpoint.
    pub(super) fn write(&mut self, folder: &RunFolder, name: &str, checkpoint: &Checkpoint) -> Result<()> {
        self.checkpoint = checkpoint.mark().into();
        let named = self.report.topics.iter().enumerate().map(|(layer, topics)| {
            let rows = Tensor::from_slice(&topics.concat()).reshape([topics.len() as i64, -1]);
            (layer_name(layer), rows)
        });
        side_file::write(folder, &file_name(name), self, named.collect())
    }

    /// Returns whether sizes of topics, shares and vocabulary match.
    fn fits(&self) -> bool {
        let Self { report, npmi, vocabulary, tree, .. } = self;
        let topics: Vec<usize> = report.topics.iter().map(Vec::len).collect();
        npmi.iter().map(Vec::len).eq(topics.iter().copied())
            && report.prevalence.iter().map(Vec::len).eq(topics.iter().copied())
            && tree.layers.iter().map(|layer| layer.topics).eq(topics)
            && report.topics.iter().flatten().all(|topic| topic.len() == vocabulary.len())
    }
}

fn file_name(checkpoint: &str) -> String {
    format!("topics-{checkpoint}.safetensors")
}

fn layer_name(layer: usize) -> String {
    format!("layer{layer}")
}

/// Returns a document's label, or its most frequent words if its source has no text.
fn text_of(corpus: &Corpus, number: usize) -> Result<String> {
    if let Some(label) = corpus.train.label(number)? {
        return Ok(label);
    }
    let mut document = corpus.train.get(number)?;
    document.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let words = document.iter().take(WORDS_SHOWN).map(|&(word, _)| corpus.vocabulary[word as usize].as_str());
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// Serialises a map by layer and topic as a list, since keys of JSON objects are text.
mod map_as_list {
    use super::{BTreeMap, Example, HashMap};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Examples = HashMap<(usize, usize), Vec<Example>>;

    pub fn serialize<S: Serializer>(examples: &Examples, serializer: S) -> Result<S::Ok, S::Error> {
        let sorted: BTreeMap<_, _> = examples.iter().collect();
        sorted.into_iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Examples, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
