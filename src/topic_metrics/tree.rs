//! The hierarchy of a model with several layers of topics, as a tree.
//!
//! The weights between two layers say how much each upper topic brings forth each lower one. A lower topic hangs under
//! the upper topic with the largest share of its weight; other parents with a share of at least [`NOTABLE_SHARE`] are
//! listed with it. The topics of the top layer are roots, and so is a lower topic that no upper one gives any weight. A
//! model with one layer is a flat list.
//!
//! The coherence of a lower topic with an upper one is the mean NPMI over the pairs of distinct words, one of the upper
//! topic's top ten and one of the lower one's, by documents as in [`coherence`](super::coherence). A layer's mean over
//! the links of the tree says whether the tree means anything when it is above that over all pairs of an upper and a
//! lower topic, which is what a random pairing has on average.

use super::coherence::{COHERENCE_WORDS, Cooccurrence, mean};
use super::diversity::{DIVERSITY_WORDS, diversity};
use super::words::{check, top_words};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Parents with less of a topic's weight are not listed: with ten upper topics, an indifferent one has as much.
pub const NOTABLE_SHARE: f64 = 0.1;

/// The topics of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Word probabilities, a row a topic.
    pub topics: &'a [Vec<f64>],
    /// The share of the corpus' tokens that each topic accounts for.
    pub token_share: &'a [f64],
    /// The share of documents in which each topic is the largest.
    pub document_share: &'a [f64],
}

/// Layers of topics, and each topic of the lower ones under its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The layers in numbers, the lowest first.
    pub layers: Vec<LayerSummary>,
    /// The topics of the top layer, then those without a parent; the largest share of tokens first.
    pub roots: Vec<Branch>,
}

/// A layer in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// How many topics it has.
    pub topics: usize,
    /// Mean coherence of its topics.
    pub npmi: Option<f64>,
    /// Distinct words among the top 25 of its topics.
    pub diversity: f64,
    /// Coherence with the layer above; none in the top layer.
    pub parents: Option<ParentCoherence>,
}

/// Mean NPMI of lower topics with upper ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ParentCoherence {
    /// With their parents in the tree.
    pub npmi: Option<f64>,
    /// With all upper topics, as of a random pairing.
    pub random: Option<f64>,
}

/// A topic, and those under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Its layer; 0 is the lowest.
    pub layer: usize,
    /// Its number in the layer.
    pub topic: usize,
    /// Its share of the corpus' tokens.
    pub token_share: f64,
    /// The share of documents in which it is the largest of its layer.
    pub document_share: f64,
    /// The coherence of its top words.
    pub npmi: Option<f64>,
    /// Its top ten words, that of the largest weight first.
    pub words: Vec<Word>,
    /// The topic it hangs under; none for a root.
    pub parent: Option<Link>,
    /// Other notable parents, the largest share first.
    pub other_parents: Vec<Link>,
    /// The topics under it, the largest weight first.
    pub children: Vec<Branch>,
}

/// A word of a topic. As JSON it has its weight under two names: as `weight`, and as `probability`, which it was called
/// before, and is where topics add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredWord", into = "StoredWord")]
pub struct Word {
    /// As the vocabulary has it.
    pub word: String,
    /// In the topic; those of all words sum to one.
    pub weight: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredWord {
    word: String,
    /// Missing in runs of before.
    weight: Option<f64>,
    probability: f64,
}

impl From<StoredWord> for Word {
    fn from(StoredWord { word, weight, probability }: StoredWord) -> Self {
        Self { word, weight: weight.unwrap_or(probability) }
    }
}

impl From<Word> for StoredWord {
    fn from(Word { word, weight }: Word) -> Self {
        Self { word, weight: Some(weight), probability: weight }
    }
}

/// From a lower topic to one of the layer above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The upper topic's number in its layer.
    pub topic: usize,
    /// The weight between the two.
    pub weight: f64,
    /// Its share of the lower topic's weights.
    pub share: f64,
    /// The coherence of the two.
    pub npmi: Option<f64>,
}

impl Tree {
    /// From layers, the lowest first; the weights between each layer and the next as `[upper][lower]`; the vocabulary;
    /// and the reference corpus of the coherences.
    ///
    /// # Errors
    /// When a topic is not a distribution, layers, weights and vocabulary do not fit together, a weight or share is
    /// negative or not finite, or no document has a word.
    pub fn new<D>(layers: &[Layer<'_>], weights: &[Vec<Vec<f64>>], vocabulary: &[String], documents: D) -> Result<Self>
    where
        D: IntoIterator<Item: AsRef<[(u32, u32)]>>,
    {
        check_shapes(layers, weights, vocabulary)?;
        let tops: Vec<Vec<Vec<u32>>> = layers
            .iter()
            .map(|layer| layer.topics.iter().map(|topic| top_words(topic, COHERENCE_WORDS)).collect())
            .collect();
        let counts = Cooccurrence::count(tops.iter().flatten().flatten().copied(), documents)?;
        let links = weights.iter().enumerate().map(|(layer, weights)| links(layer, weights, &tops, &counts));
        let grower = Grower { layers, vocabulary, links: links.collect::<Result<_>>()?, tops: &tops, counts: &counts };
        let summaries = (0..layers.len()).map(|layer| grower.summary(layer));
        Ok(Self { layers: summaries.collect::<Result<_>>()?, roots: grower.roots() })
    }
}

/// Of every topic of a layer, its links to all topics of the layer above, the largest share first; none to topics
/// without weight.
fn links(layer: usize, weights: &[Vec<f64>], tops: &[Vec<Vec<u32>>], counts: &Cooccurrence) -> Result<Vec<Vec<Link>>> {
    let of_topic = |(lower, words): (usize, &Vec<u32>)| {
        let total: f64 = weights.iter().map(|row| row[lower]).sum();
        if !total.is_finite() {
            return Err(Error::parameter(
                format!("sum of the weights of topic {lower} of layer {layer}"),
                total,
                "finite",
            ));
        }
        let mut links: Vec<Link> = weights
            .iter()
            .enumerate()
            .filter(|(_, row)| row[lower] > 0.0)
            .map(|(topic, row)| {
                let npmi = counts.between(&tops[layer + 1][topic], words);
                Link { topic, weight: row[lower], share: row[lower] / total, npmi }
            })
            .collect();
        links.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        Ok(links)
    };
    tops[layer].iter().enumerate().map(of_topic).collect()
}

/// What branches are made of.
struct Grower<'a> {
    layers: &'a [Layer<'a>],
    vocabulary: &'a [String],
    /// By layer but the top one, and by topic.
    links: Vec<Vec<Vec<Link>>>,
    tops: &'a [Vec<Vec<u32>>],
    counts: &'a Cooccurrence,
}

impl Grower<'_> {
    fn summary(&self, layer: usize) -> Result<LayerSummary> {
        let parents = self.links.get(layer).map(|links| {
            let kept = links.iter().filter_map(|links| links.first()?.npmi);
            let lower = self.tops[layer].iter();
            let pairs = lower.flat_map(|lower| self.tops[layer + 1].iter().map(move |upper| (upper, lower)));
            let random = pairs.filter_map(|(upper, lower)| self.counts.between(upper, lower));
            ParentCoherence { npmi: mean(kept), random: mean(random) }
        });
        Ok(LayerSummary {
            topics: self.layers[layer].topics.len(),
            npmi: mean(self.tops[layer].iter().filter_map(|words| self.counts.within(words))),
            diversity: diversity(self.layers[layer].topics, DIVERSITY_WORDS)?,
            parents,
        })
    }

    fn roots(&self) -> Vec<Branch> {
        let downwards = (0..self.layers.len()).rev();
        downwards
            .flat_map(|layer| {
                let topics = 0..self.tops[layer].len();
                let orphans = topics.filter(|topic| self.parent(layer, *topic).is_none());
                let mut roots: Vec<Branch> = orphans.map(|topic| self.branch(layer, topic)).collect();
                roots.sort_by(|one, other| other.token_share.total_cmp(&one.token_share));
                roots
            })
            .collect()
    }

    fn parent(&self, layer: usize, topic: usize) -> Option<Link> {
        self.links.get(layer)?[topic].first().copied()
    }

    fn branch(&self, layer: usize, topic: usize) -> Branch {
        let Layer { topics, token_share, document_share } = self.layers[layer];
        let words = &self.tops[layer][topic];
        let links = self.links.get(layer).map_or(&[][..], |links| &links[topic]);
        Branch {
            layer,
            topic,
            token_share: token_share[topic],
            document_share: document_share[topic],
            npmi: self.counts.within(words),
            words: words
                .iter()
                .map(|&word| Word {
                    word: self.vocabulary[word as usize].clone(),
                    weight: topics[topic][word as usize],
                })
                .collect(),
            parent: links.first().copied(),
            other_parents: links.iter().skip(1).filter(|link| link.share >= NOTABLE_SHARE).copied().collect(),
            children: self.children(layer, topic),
        }
    }

    fn children(&self, layer: usize, topic: usize) -> Vec<Branch> {
        let Some(below) = layer.checked_sub(1) else { return Vec::new() };
        let mut children: Vec<(f64, usize)> = (0..self.tops[below].len())
            .filter_map(|child| Some((self.parent(below, child)?, child)))
            .filter(|(parent, _)| parent.topic == topic)
            .map(|(parent, child)| (parent.weight, child))
            .collect();
        children.sort_by(|one, other| other.0.total_cmp(&one.0));
        children.into_iter().map(|(_, child)| self.branch(below, child)).collect()
    }
}

fn check_shapes(layers: &[Layer<'_>], weights: &[Vec<Vec<f64>>], vocabulary: &[String]) -> Result<()> {
    if layers.len() != weights.len() + 1 {
        let allowed = format!("one more than the {} matrices of weights between layers", weights.len());
        return Err(Error::parameter("number of layers", layers.len(), allowed));
    }
    for (number, Layer { topics, token_share, document_share }) in layers.iter().enumerate() {
        let words = check(topics)?;
        fits(|| format!("words of layer {number}"), words, vocabulary.len(), "words of the vocabulary")?;
        for (name, shares) in [("tokens", token_share), ("documents", document_share)] {
            amounts(|| format!("shares of {name} of layer {number}"), shares, topics.len(), "topics")?;
        }
    }
    for (lower, weights) in weights.iter().enumerate() {
        let upper = lower + 1;
        fits(|| format!("weights of layer {upper}"), weights.len(), layers[upper].topics.len(), "topics")?;
        for (topic, row) in weights.iter().enumerate() {
            let what = || format!("weights of topic {topic} of layer {upper}");
            amounts(what, row, layers[lower].topics.len(), "topics of the layer below")?;
        }
    }
    Ok(())
}

fn fits(what: impl Fn() -> String, found: usize, expected: usize, of_what: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { what: what(), found: vec![found as i64], expected: format!("the {expected} {of_what}") })
}

/// Whether there are enough values, all of which can be shared out.
fn amounts(what: impl Fn() -> String, values: &[f64], expected: usize, of_what: &str) -> Result<()> {
    fits(&what, values.len(), expected, of_what)?;
    if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !(**value >= 0.0 && value.is_finite())) {
        return Err(Error::parameter(format!("value {index} of the {}", what()), value, "finite and not negative"));
    }
    let sum: f64 = values.iter().sum();
    if !sum.is_finite() {
        return Err(Error::parameter(format!("sum of the {}", what()), sum, "finite"));
    }
    Ok(())
}
