//! Coherence: do the top words of a topic occur together in documents?
//!
//! It is measured by the normalised pointwise mutual information (NPMI) of two words, from the shares of the documents
//! of a reference corpus that hold them:
//!
//! ```text
//! npmi(a, b) = log(p(a, b) / (p(a) p(b))) / -log p(a, b)
//! ```
//!
//! is -1 for words that never occur in the same document, 0 for independent words and 1 for words that occur only
//! together. Two limits are defined separately: -1 if no document holds both words (also for words outside the corpus),
//! 1 if every document does. A topic's coherence is the mean over the pairs of its top words. Repetitions of a word
//! within a document, and documents without words, do not count.
//!
//! # Cost
//! One pass over the corpus, and all pairs of top words within each document. Memory: four bytes for every pair of top
//! words of all topics, whatever the size of the vocabulary.
//!
//! # Source
//! Bouma, "Normalized (pointwise) mutual information in collocation extraction", 2009; by documents rather than sliding
//! windows, as for ProdLDA (Srivastava and Sutton, arXiv 1703.01488).

use super::words::{check, top_words};
use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::HashMap;

/// The number of top words by which a topic's coherence is usually measured.
pub const COHERENCE_WORDS: usize = 10;

/// NPMI of topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coherence {
    /// The mean over the topics that have a coherence.
    pub mean: Option<f64>,
    /// The coherence of each topic; `None` if the topic has fewer than two words, and so no pair.
    pub topics: Vec<Option<f64>>,
}

/// Computes the coherence of topics, `[topics][words]`, from their `top` most probable words ([`COHERENCE_WORDS`]) in a
/// reference corpus.
///
/// # Errors
/// Fails if a topic is not a distribution, if `top` is below 2, or if no document has a word.
pub fn coherence<D>(topics: &[Vec<f64>], documents: D, top: usize) -> Result<Coherence>
where
    D: IntoIterator<Item: AsRef<[(u32, u32)]>>,
{
    check(topics)?;
    if top < 2 {
        return Err(Error::parameter("number of top words", top, "at least 2, to have a pair"));
    }
    let tops: Vec<Vec<u32>> = topics.iter().map(|topic| top_words(topic, top)).collect();
    let counts = Cooccurrence::count(tops.iter().flatten().copied(), documents)?;
    let topics: Vec<Option<f64>> = tops.iter().map(|words| counts.within(words)).collect();
    Ok(Coherence { mean: mean(topics.iter().flatten().copied()), topics })
}

/// The numbers of documents in which the wanted words occur, alone and in pairs.
#[derive(Debug)]
pub(super) struct Cooccurrence {
    documents: u32,
    /// The row of each wanted word in the triangle.
    rows: HashMap<u32, usize>,
    /// The lower triangle of the matrix of counts, row by row; the diagonal counts single words.
    counts: Vec<u32>,
}

impl Cooccurrence {
    /// Counts the wanted words in the documents.
    ///
    /// # Errors
    /// Fails if no document has a word.
    pub fn count<D>(wanted: impl IntoIterator<Item = u32>, documents: D) -> Result<Self>
    where
        D: IntoIterator<Item: AsRef<[(u32, u32)]>>,
    {
        let mut rows = HashMap::new();
        for word in wanted {
            let next = rows.len();
            rows.entry(word).or_insert(next);
        }
        let mut counts = vec![0; triangle(rows.len())];
        let mut documents_with_words = 0;
        let mut present = Vec::new();
        for document in documents {
            let words = document.as_ref().iter().filter(|(_, count)| *count > 0);
            documents_with_words += u32::from(words.clone().next().is_some());
            present.clear();
            present.extend(words.filter_map(|(word, _)| rows.get(word).copied()));
            present.sort_unstable();
            present.dedup();
            for (index, row) in present.iter().enumerate() {
                for column in &present[..=index] {
                    counts[triangle(*row) + column] += 1;
                }
            }
        }
        if documents_with_words == 0 {
            return Err(Error::parameter("number of reference documents with words", 0, "at least 1"));
        }
        Ok(Self { documents: documents_with_words, rows, counts })
    }

    /// Returns the NPMI of two wanted words.
    pub fn npmi(&self, one: u32, other: u32) -> f64 {
        let share = |one: usize, other: usize| {
            f64::from(self.counts[triangle(one.max(other)) + one.min(other)]) / f64::from(self.documents)
        };
        let (one, other) = (self.rows[&one], self.rows[&other]);
        let joint = share(one, other);
        if joint == 0.0 {
            -1.0
        } else if joint == 1.0 {
            1.0
        } else {
            (joint / (share(one, one) * share(other, other))).ln() / -joint.ln()
        }
    }

    /// Returns the mean NPMI over the pairs of a list of wanted words; `None` without a pair.
    pub fn within(&self, words: &[u32]) -> Option<f64> {
        let pairs =
            words.iter().enumerate().flat_map(|(index, one)| words[..index].iter().map(move |two| (*one, *two)));
        mean(pairs.map(|(one, other)| self.npmi(one, other)))
    }

    /// Returns the mean NPMI over the pairs of distinct words, one of each list; `None` without a pair.
    pub fn between(&self, ones: &[u32], others: &[u32]) -> Option<f64> {
        let pairs = ones.iter().flat_map(|one| others.iter().map(move |other| (*one, *other)));
        mean(pairs.filter(|(one, other)| one != other).map(|(one, other)| self.npmi(one, other)))
    }
}

/// Returns the number of entries above a row of a lower triangle.
fn triangle(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Returns the mean; `None` of no values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
