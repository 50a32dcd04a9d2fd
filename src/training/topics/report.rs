//! Describes the topics of a model: their words, their shares of the corpus, and typical documents.

use super::batch::batches;
use super::{rows, to_vectors};
use crate::data::Corpus;
use crate::error::Result;
use crate::models::TopicModel;
use crate::topic_metrics::{Layer, Tree};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tch::{Device, Kind, no_grad_guard};

/// Documents per batch.
const BATCH: usize = 500;

/// The topics of a model, measured on its training documents. Large fields, and fields that are useful only with these
/// documents, are not serialised.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicsReport {
    /// Words of each topic, `[layers][topics][words]`, layers from the lowest: shares that sum to one
    /// ([`TopicModel::topics`]).
    #[serde(skip)]
    pub topics: Vec<Vec<Vec<f64>>>,
    /// Mean count of each topic over the documents, `[layers][topics]`.
    pub prevalence: Vec<Vec<f64>>,
    /// Share of all tokens that are attributed to each topic ([`TopicModel::attribute`]), `[layers][topics]`. The rest
    /// of a layer belongs to the background.
    pub token_share: Vec<Vec<f64>>,
    /// Share of the documents with a word to which each topic contributes more tokens than any other topic of its
    /// layer, `[layers][topics]`.
    pub document_share: Vec<Vec<f64>>,
    /// For each layer and topic, the training documents with the largest posterior mean counts: their indices and these
    /// counts.
    #[serde(skip)]
    pub examples: HashMap<(usize, usize), Vec<(usize, f64)>>,
    /// Weights between each layer and the layer above, `[layers - 1][upper][lower]`.
    #[serde(skip)]
    pub weights: Vec<Vec<Vec<f64>>>,
}

impl TopicsReport {
    /// Passes once over the training documents; `examples` documents of each topic are kept.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
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
                for tokens_of_topics in to_vectors(attributed)? {
                    let mut largest_count = (None, 0.0);
                    for (topic, &count) in tokens_of_topics.iter().enumerate() {
                        tokens[layer][topic] += count;
                        if count > largest_count.1 {
                            largest_count = (Some(topic), count);
                        }
                    }
                    if let (Some(topic), _) = largest_count {
                        largest[layer][topic] += 1.0;
                    }
                }
            }
            for (layer, means) in means.iter().enumerate() {
                for (counts, &number) in to_vectors(means)?.iter().zip(&numbers) {
                    for (topic, &count) in counts.iter().enumerate() {
                        sums[layer][topic] += count;
                        let best = best.entry((layer, topic)).or_default();
                        let rank = best.partition_point(|(_, other)| *other >= count);
                        if rank < examples {
                            best.insert(rank, (number, count));
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
        let weights = model.weights().iter().map(to_vectors).collect::<Result<_>>()?;
        Ok(Self { topics, prevalence, token_share, document_share, examples: best, weights })
    }

    /// Builds the hierarchy, with coherence from the training documents.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn tree(&self, corpus: &Corpus) -> Result<Tree> {
        let layers = self.topics.iter().zip(&self.token_share).zip(&self.document_share);
        let layers: Vec<Layer<'_>> = layers
            .map(|((topics, token_share), document_share)| Layer { topics, token_share, document_share })
            .collect();
        corpus.train.with_all(|documents| Tree::new(&layers, &self.weights, &corpus.vocabulary, documents))
    }
}
