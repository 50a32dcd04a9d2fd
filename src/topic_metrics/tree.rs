//! The hierarchy of a model with several layers of topics, as a tree.
//!
//! The weights between two layers say how strongly each upper topic produces each lower topic. The parent of a lower
//! topic is the upper topic with the largest share of its weight; other upper topics with a share of at least
//! [`NOTABLE_SHARE`] are listed as other parents. The roots are the topics of the top layer, and lower topics without
//! any weight from above. A model with one layer is a flat list.
//!
//! The coherence of a lower topic with an upper one is the mean NPMI over the pairs of distinct words, one of the upper
//! topic's top ten and one of the lower topic's, as in [`coherence`](super::coherence). The hierarchy is meaningful if
//! a layer's mean over the links of the tree exceeds the mean over all pairs of upper and lower topics, which a random
//! assignment of parents would have.

use super::coherence::{COHERENCE_WORDS, Cooccurrence, mean};
use super::diversity::{DIVERSITY_WORDS, diversity};
use super::words::{check, top_words};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The least share of a topic's weight for a parent to be listed: with ten upper topics, an equal share each.
pub const NOTABLE_SHARE: f64 = 0.1;

/// The topics of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Word probabilities, `[topics][words]`.
    pub topics: &'a [Vec<f64>],
    /// The share of the corpus' tokens that each topic accounts for, `[topics]`.
    pub token_share: &'a [f64],
    /// The share of the documents in which each topic is the largest, `[topics]`.
    pub document_share: &'a [f64],
}

/// The layers of topics, and each lower topic under its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Numbers about each layer, the lowest first.
    pub layers: Vec<LayerSummary>,
    /// The topics of the top layer, then topics without a parent; each by decreasing share of tokens.
    pub roots: Vec<Branch>,
}

/// Numbers about one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// The number of topics.
    pub topics: usize,
    /// Mean coherence of the topics; `None` if no topic has one.
    pub npmi: Option<f64>,
    /// Distinct words among the top 25 of all topics, divided by 25 times their number.
    pub diversity: f64,
    /// Coherence with the layer above; `None` for the top layer.
    pub parents: Option<ParentCoherence>,
}

/// Mean NPMI of lower topics with topics of the layer above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ParentCoherence {
    /// Mean over each topic and its parent in the tree.
    pub npmi: Option<f64>,
    /// Mean over all pairs of a lower and an upper topic, the expectation of random parents.
    pub random: Option<f64>,
}

/// A topic, and the topics under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The topic's layer; 0 is the lowest.
    pub layer: usize,
    /// The topic's number in its layer.
    pub topic: usize,
    /// The topic's share of the corpus' tokens.
    pub token_share: f64,
    /// The share of the documents in which the topic is the largest of its layer.
    pub document_share: f64,
    /// The coherence of the top words; `None` if there are fewer than two.
    pub npmi: Option<f64>,
    /// The top ten words, by decreasing weight.
    pub words: Vec<Word>,
    /// The link to the parent; `None` for a root.
    pub parent: Option<Link>,
    /// Links to the other notable parents, by decreasing share.
    pub other_parents: Vec<Link>,
    /// The topics under this one, by decreasing weight.
    pub children: Vec<Branch>,
}

/// A word of a topic. JSON holds its weight under two names: `weight`, and `probability`, which files without `weight`
/// use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredWord", into = "StoredWord")]
pub struct Word {
    /// The word as in the vocabulary.
    pub word: String,
    /// The weight of the word in the topic; the weights of all words sum to one.
    pub weight: f64,
}

/// A [`Word`] as it is serialised.
#[derive(Serialize, Deserialize)]
struct StoredWord {
    word: String,
    /// Missing in files of versions that wrote only `probability`.
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

/// A link from a lower topic to a topic of the layer above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The upper topic's number in its layer.
    pub topic: usize,
    /// The weight between the two topics.
    pub weight: f64,
    /// The share of `weight` in the sum of the lower topic's weights.
    pub share: f64,
    /// The coherence of the two topics; `None` without a pair of distinct words.
    pub npmi: Option<f64>,
}

impl Tree {
    /// Builds the tree from the layers, the lowest first; the weights between each layer and the next,
    /// `[upper][lower]`; the vocabulary; and the documents of the reference corpus, each a list of `(word, count)`.
    ///
    /// # Errors
    /// Fails if a topic is not a distribution, if layers, weights and vocabulary do not fit together, if a weight or
    /// share is negative or not finite, or if no document has a word.
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
        let builder =
            Builder { layers, vocabulary, links: links.collect::<Result<_>>()?, tops: &tops, counts: &counts };
        let summaries = (0..layers.len()).map(|layer| builder.summary(layer));
        Ok(Self { layers: summaries.collect::<Result<_>>()?, roots: builder.roots() })
    }
}

/// Returns for each topic of a layer its links to the topics of the layer above that give it weight, by decreasing
/// share.
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

/// The data that branches are built from.
struct Builder<'a> {
    layers: &'a [Layer<'a>],
    vocabulary: &'a [String],
    /// The links of each topic, by layer (without the top one) and by topic.
    links: Vec<Vec<Vec<Link>>>,
    /// The top words of each topic, by layer and by topic.
    tops: &'a [Vec<Vec<u32>>],
    counts: &'a Cooccurrence,
}

impl Builder<'_> {
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

/// Checks that layers, weights and vocabulary fit together.
fn check_shapes(layers: &[Layer<'_>], weights: &[Vec<Vec<f64>>], vocabulary: &[String]) -> Result<()> {
    if layers.len() != weights.len() + 1 {
        let allowed = format!("one more than the {} matrices of weights between layers", weights.len());
        return Err(Error::parameter("number of layers", layers.len(), allowed));
    }
    for (number, Layer { topics, token_share, document_share }) in layers.iter().enumerate() {
        let words = check(topics)?;
        check_size(|| format!("words of layer {number}"), words, vocabulary.len(), "words of the vocabulary")?;
        for (name, shares) in [("tokens", token_share), ("documents", document_share)] {
            check_amounts(|| format!("shares of {name} of layer {number}"), shares, topics.len(), "topics")?;
        }
    }
    for (lower, weights) in weights.iter().enumerate() {
        let upper = lower + 1;
        check_size(|| format!("weights of layer {upper}"), weights.len(), layers[upper].topics.len(), "topics")?;
        for (topic, row) in weights.iter().enumerate() {
            let what = || format!("weights of topic {topic} of layer {upper}");
            check_amounts(what, row, layers[lower].topics.len(), "topics of the layer below")?;
        }
    }
    Ok(())
}

/// Checks a size; the error names both sizes.
fn check_size(what: impl Fn() -> String, found: usize, expected: usize, of_what: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { what: what(), found: vec![found as i64], expected: format!("the {expected} {of_what}") })
}

/// Checks that there are as many values as expected, each finite and not negative, with a finite sum.
fn check_amounts(what: impl Fn() -> String, values: &[f64], expected: usize, of_what: &str) -> Result<()> {
    check_size(&what, values.len(), expected, of_what)?;
    if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !(**value >= 0.0 && value.is_finite())) {
        return Err(Error::parameter(format!("value {index} of the {}", what()), value, "finite and not negative"));
    }
    let sum: f64 = values.iter().sum();
    if !sum.is_finite() {
        return Err(Error::parameter(format!("sum of the {}", what()), sum, "finite"));
    }
    Ok(())
}
