//! Clusters of documents with similar words, from which the topics of a model are initialised.
//!
//! Spherical k-means (Dhillon, Modha, Machine Learning 42, 2001) on tf-idf vectors `(1 + log count) log(D / df)` of
//! unit length, started by k-means++ (Arthur, Vassilvitskii, SODA 2007). A topic model with random initial weights
//! spends its first epochs on making topics different, and some topics never become different; with clusters, topics
//! differ from the first step on. The result does not depend on the number of threads.

use crate::error::{Error, Result};
use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// A partition of documents into groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// The group of each document that has a word, `[documents with a word]`.
    pub group: Vec<usize>,
    /// The word counts of each group, `[groups][words]`.
    pub counts: Vec<Vec<f64>>,
    /// The directions of the groups, of unit length, `[groups][words]`.
    centres: Vec<Vec<f32>>,
}

/// The most rounds of k-means. Few documents change their group in later rounds.
const ROUNDS: usize = 15;

/// A sparse vector, as pairs of index and value.
type Sparse = Vec<(u32, f32)>;

impl Clusters {
    /// Clusters documents, each a list of `(word, count)`, over a vocabulary of `words` words.
    ///
    /// # Errors
    /// Fails if `groups` is zero, if no document has a word, or if a word is outside the vocabulary.
    pub fn of_documents<D>(documents: D, words: usize, groups: usize, seed: u64) -> Result<Self>
    where
        D: IntoIterator<Item: AsRef<[(u32, u32)]>>,
    {
        let documents: Vec<Vec<(u32, u32)>> = documents
            .into_iter()
            .map(|document| document.as_ref().to_vec())
            .filter(|document| !document.is_empty())
            .collect();
        if groups < 1 || documents.is_empty() {
            let what = format!("{groups} of {} documents", documents.len());
            return Err(Error::parameter(
                "groups of documents",
                what,
                "at least one group, and one document with a word",
            ));
        }
        let mut frequency = vec![0u32; words];
        for &(word, _) in documents.iter().flatten() {
            let Some(frequency) = frequency.get_mut(word as usize) else {
                return Err(Error::parameter(
                    "number of a word",
                    word,
                    format!("below {words}, the size of the vocabulary"),
                ));
            };
            *frequency += 1;
        }
        let inverse: Vec<f32> = frequency.iter().map(|&df| (documents.len() as f32 / df.max(1) as f32).ln()).collect();
        let vectors: Vec<Sparse> = documents
            .iter()
            .map(|document| {
                unit(document.iter().map(|&(w, c)| (w, (1.0 + (c as f32).ln()) * inverse[w as usize])).collect())
            })
            .collect();
        let (group, centres) = group(&vectors, words, groups, seed);
        let mut counts = vec![vec![0.0; words]; groups];
        for (document, &group) in documents.iter().zip(&group) {
            for &(word, count) in document {
                counts[group][word as usize] += f64::from(count);
            }
        }
        Ok(Self { group, counts, centres })
    }

    /// Returns the directions of the groups in tf-idf space, of unit length, `[groups][words]`. A group that never had
    /// a document has the direction of one document.
    pub fn directions(&self) -> Vec<Vec<f32>> {
        self.centres.clone()
    }

    /// Returns the number of documents in each group.
    pub fn sizes(&self) -> Vec<f64> {
        let mut sizes = vec![0.0; self.centres.len()];
        self.group.iter().for_each(|&group| sizes[group] += 1.0);
        sizes
    }
}

/// Runs k-means on vectors of unit length. Returns the group of each vector, and the groups' directions
/// `[groups][words]`.
fn group(vectors: &[Sparse], words: usize, groups: usize, seed: u64) -> (Vec<usize>, Vec<Vec<f32>>) {
    let mut centres = spread(vectors, words, groups, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut group = vec![0; vectors.len()];
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (group, vector) in group.iter_mut().zip(vectors) {
            let nearest = nearest(vector, &centres);
            changed |= *group != nearest;
            *group = nearest;
        }
        if !changed {
            break;
        }
        for (number, centre) in centres.iter_mut().enumerate() {
            let mut sum = vec![0.0; words];
            let members = vectors.iter().zip(&group).filter(|(_, group)| **group == number);
            for &(word, x) in members.flat_map(|(vector, _)| vector) {
                sum[word as usize] += x;
            }
            // A group without members keeps its direction, and may win members in a later round.
            if let Some(direction) = direction(sum) {
                *centre = direction;
            }
        }
    }
    (group, centres)
}

/// Chooses the initial directions as k-means++ does: each is a vector, drawn with probability proportional to the
/// squared distance from the directions before.
fn spread(vectors: &[Sparse], words: usize, groups: usize, generator: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
    let mut centres: Vec<Vec<f32>> = Vec::with_capacity(groups);
    let mut distance = vec![1.0f64; vectors.len()];
    while centres.len() < groups {
        let total: f64 = distance.iter().map(|d| d * d).sum();
        let mut remaining = generator.random::<f64>() * total;
        let chosen = distance.iter().position(|d| {
            remaining -= d * d;
            remaining < 0.0
        });
        // If all distances are zero, there are fewer distinct documents than groups; any document will do.
        let chosen = &vectors[chosen.unwrap_or(centres.len() % vectors.len())];
        let mut centre = vec![0.0; words];
        chosen.iter().for_each(|&(word, x)| centre[word as usize] = x);
        for (distance, vector) in distance.iter_mut().zip(vectors) {
            *distance = distance.min((1.0 - f64::from(dot(vector, &centre))).max(0.0));
        }
        centres.push(centre);
    }
    centres
}

/// Returns the index of the centre with the largest inner product.
fn nearest(vector: &Sparse, centres: &[Vec<f32>]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (number, centre) in centres.iter().enumerate() {
        let similarity = dot(vector, centre);
        if similarity > best.1 {
            best = (number, similarity);
        }
    }
    best.0
}

fn dot(vector: &Sparse, centre: &[f32]) -> f32 {
    vector.iter().map(|&(word, x)| x * centre[word as usize]).sum()
}

/// Scales a sparse vector to unit length; zeros stay zeros.
fn unit(mut vector: Sparse) -> Sparse {
    let length = vector.iter().map(|(_, x)| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|(_, x)| *x /= length);
    }
    vector
}

/// Scales a vector to unit length. Returns `None` if it is zero.
pub(super) fn direction(mut sum: Vec<f32>) -> Option<Vec<f32>> {
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|x| *x /= length);
        return Some(sum);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Three vocabularies that do not overlap: the groups are the vocabularies, for every seed.
    #[test]
    fn documents_of_different_words_are_in_different_groups() {
        let document = |i: u32| -> Vec<(u32, u32)> { (0..4).map(|w| (w + 4 * (i % 3), 1 + (w + i) % 2)).collect() };
        let documents: Vec<_> = (0..60).map(document).collect();
        for seed in 0..5 {
            let clusters = Clusters::of_documents(&documents, 12, 3, seed).unwrap();
            let names: HashMap<usize, usize> = clusters.group.iter().enumerate().map(|(i, &g)| (i % 3, g)).collect();
            assert!(clusters.group.iter().enumerate().all(|(i, g)| names[&(i % 3)] == *g), "{:?}", clusters.group);
            let total: f64 = clusters.counts.iter().flatten().sum();
            assert_eq!(total, documents.iter().flatten().map(|(_, count)| f64::from(*count)).sum::<f64>());
            assert_eq!(clusters, Clusters::of_documents(&documents, 12, 3, seed).unwrap());
            assert_eq!(clusters.sizes(), [20.0; 3]);
        }
    }

    #[test]
    fn few_documents_and_many_groups_are_no_trouble() {
        let clusters = Clusters::of_documents([vec![(0, 1)], vec![], vec![(0, 3)]], 2, 5, 0).unwrap();
        assert_eq!(clusters.group.len(), 2);
        assert_eq!(clusters.counts.len(), 5);
        for (documents, groups, part) in [
            (vec![vec![]], 2, "one document with a word"),
            (vec![vec![(0, 1)]], 0, "at least one group"),
            (vec![vec![(7, 1)]], 1, "below 2"),
        ] {
            let error = Clusters::of_documents(documents, 2, groups, 0).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
