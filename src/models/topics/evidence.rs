//! The evidence of documents about the words of topics.

use super::BagOfWordsBatch;
use crate::error::{Error, Result};
use crate::platform::limits::rows_at_once;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// For each word and each of the lowest topics, the sum of the topic's squared posterior means over the documents with
/// the word.
///
/// For the log-linear likelihood, this is the Fisher information of these documents about the word's weight in the
/// topic, if repeated words count once.
#[derive(Debug)]
pub struct Evidence {
    /// `[V, K]`, float64.
    sums: Tensor,
}

impl Evidence {
    /// Makes the evidence of no documents.
    pub(super) fn new(words: i64, topics: i64, device: Device) -> Self {
        Self { sums: Tensor::zeros([words, topics], (Kind::Double, device)) }
    }

    /// Adds documents with the posterior means of their lowest topics, `[B, K]`, as
    /// [`TopicModel::infer`](super::TopicModel::infer) returns them.
    ///
    /// # Errors
    /// Fails if there is not one row of means per document and one column per topic.
    pub fn add(&mut self, bags: &BagOfWordsBatch, means: &Tensor) -> Result<()> {
        let _guard = no_grad_guard();
        let expected = [bags.len(), self.sums.size()[1]];
        if means.size() != expected {
            return Err(Error::Shape {
                what: "posterior means of topics".into(),
                found: means.size(),
                expected: format!("{expected:?}: documents and topics"),
            });
        }
        let squares = means.to_kind(Kind::Double).square();
        let entries = bags.words.size()[0];
        let at_once = rows_at_once(&squares.size()[1..]);
        for start in (0..entries).step_by(at_once as usize) {
            let [words, rows] = [&bags.words, &bags.rows].map(|of| of.narrow(0, start, at_once.min(entries - start)));
            let _ = self.sums.f_index_add_(0, &words, &squares.index_select(0, &rows))?;
        }
        Ok(())
    }

    /// Returns the evidence as `[K, V]`.
    pub(super) fn by_topic(&self) -> Tensor {
        self.sums.tr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_of_means_are_summed_over_the_documents_that_have_a_word() {
        let mut evidence = Evidence { sums: Tensor::zeros([4, 2], (Kind::Double, Device::Cpu)) };
        let documents = [vec![(0, 1), (2, 7)], vec![], vec![(2, 1), (3, 2)]];
        let means = Tensor::from_slice(&[1.0f32, 2.0, 50.0, 60.0, 0.5, 3.0]).reshape([3, 2]);
        let bags = BagOfWordsBatch::from_documents(&documents, Device::Cpu);
        evidence.add(&bags, &means).unwrap();
        evidence.add(&BagOfWordsBatch::from_documents(&[vec![(0, 3)]], Device::Cpu), &means.narrow(0, 0, 1)).unwrap();
        let expected = [[2.0, 0.0, 1.25, 0.25], [8.0, 0.0, 13.0, 9.0]];
        assert_eq!(Vec::<Vec<f64>>::try_from(&evidence.by_topic()).unwrap(), expected);
        let refused = evidence.add(&bags, &means.narrow(1, 0, 1)).unwrap_err().to_string();
        assert!(refused.contains("[3, 1]") && refused.contains("[3, 2]"), "{refused}");
    }
}
