//! What the topics of a model are: their words, how much of the corpus they account for, and documents that are typical
//! of them.

use super::batch::batches;
use super::{plain, rows};
use crate::data::Corpus;
use crate::error::Result;
use crate::models::TopicModel;
use crate::topic_metrics::{Layer, Tree};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tch::{Device, Kind, no_grad_guard};

/// Documents at once.
const BATCH: usize = 500;

/// The topics of a model, seen with the documents that it was trained on. As a record, it leaves out what is large or
/// of use only beside these documents.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicsReport {
    /// For each layer from the lowest, and each topic, the shares of words, which sum to one ([`TopicModel::topics`]).
    #[serde(skip)]
    pub topics: Vec<Vec<Vec<f64>>>,
    /// For each layer from the lowest, and each topic, its mean count.
    pub prevalence: Vec<Vec<f64>>,
    /// For each layer from the lowest, and each topic, the share of all tokens that are attributed to it
    /// ([`TopicModel::attribute`]); what is left of a layer is the background's.
    pub token_share: Vec<Vec<f64>>,
    /// For each layer from the lowest, and each topic, the share of the documents with a word in which more tokens are
    /// attributed to it than to any other of its layer.
    pub document_share: Vec<Vec<f64>>,
    /// By layer and topic, the numbers of the training documents with the largest counts of it, and these.
    #[serde(skip)]
    pub examples: HashMap<(usize, usize), Vec<(usize, f64)>>,
    /// For each layer but the top one, the weights from the topics above, `[upper][lower]`.
    #[serde(skip)]
    pub weights: Vec<Vec<Vec<f64>>>,
}

impl TopicsReport {
    /// One pass over the training documents, which keeps `examples` documents of each topic.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn new(model: &TopicModel, corpus: &Corpus, examples: usize, device: Device) -> Result<Self> {
        let _guard = no_grad_guard();
        let mut evidence = model.evidence();
        let mut sums: Vec<Vec<f64>> = model.sizes().iter().map(|&topics| vec![0.0; topics as usize]).collect();
        let mut best: HashMap<(usize, usize), Vec<(usize, f64)>> = HashMap::new();
        let (mut tokens, mut largest) = (sums.clone(), sums.clone());
        let (mut seen, mut length) = (0.0, 0.0);
        for batch in batches(corpus.train.iter(), BATCH, device) {
            let (numbers, bags) = batch?;
            let means = model.infer(&bags)?;
            evidence.add(&bags, &means[0])?;
            seen += numbers.len() as f64;
            length += bags.lengths.sum(Kind::Double).double_value(&[]);
            for (layer, attributed) in model.attribute(&bags, &means)?.iter().enumerate() {
                for of_document in plain(attributed)? {
                    let mut most = (None, 0.0);
                    for (topic, &count) in of_document.iter().enumerate() {
                        tokens[layer][topic] += count;
                        if count > most.1 {
                            most = (Some(topic), count);
                        }
                    }
                    if let (Some(topic), _) = most {
                        largest[layer][topic] += 1.0;
                    }
                }
            }
            for (layer, means) in means.iter().enumerate() {
                for (counts, &number) in plain(means)?.iter().zip(&numbers) {
                    for (topic, &count) in counts.iter().enumerate() {
                        sums[layer][topic] += count;
                        let best = best.entry((layer, topic)).or_default();
                        let place = best.partition_point(|(_, other)| *other >= count);
                        if place < examples {
                            best.insert(place, (number, count));
                            best.truncate(examples);
                        }
                    }
                }
            }
        }
        let topics: Vec<Vec<Vec<f64>>> = model.topics(&evidence)?.iter().map(rows).collect::<Result<_>>()?;
        let shares = |sums: Vec<Vec<f64>>, total: f64| -> Vec<Vec<f64>> {
            sums.into_iter().map(|sums| sums.into_iter().map(|sum| sum / total.max(1.0)).collect()).collect()
        };
        let (prevalence, document_share, token_share) =
            (shares(sums, seen), shares(largest, seen), shares(tokens, length));
        let weights = model.weights().iter().map(plain).collect::<Result<_>>()?;
        Ok(Self { topics, prevalence, token_share, document_share, examples: best, weights })
    }

    /// The hierarchy, with coherences by the training documents.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn tree(&self, corpus: &Corpus) -> Result<Tree> {
        let layers = self.topics.iter().zip(&self.token_share).zip(&self.document_share);
        let layers: Vec<Layer<'_>> = layers
            .map(|((topics, token_share), document_share)| Layer { topics, token_share, document_share })
            .collect();
        corpus.train.with_all(|documents| Tree::new(&layers, &self.weights, &corpus.vocabulary, documents))
    }
}
