//! A batch of documents as bags of words.

use crate::error::{Error, Result};
use crate::platform::slices::read;
use tch::{Device, Kind, Tensor};

/// A batch of `B` documents as bags of words: `N` entries, each a word of a document with its count.
#[derive(Debug)]
pub struct BagOfWordsBatch {
    /// The word of each entry, int64 `[N]`.
    pub words: Tensor,
    /// The count of each entry's word, float32 `[N]`.
    pub counts: Tensor,
    /// The document of each entry, int64 `[N]`, ascending from 0.
    pub rows: Tensor,
    /// The index of each document's first entry, int64 `[B]`.
    pub offsets: Tensor,
    /// The number of tokens of each document, float32 `[B]`.
    pub lengths: Tensor,
}

impl BagOfWordsBatch {
    /// Makes a batch from documents of `(word, count)`, which may be empty.
    pub fn from_documents<D: AsRef<[(u32, u32)]>>(documents: &[D], device: Device) -> Self {
        let (mut words, mut counts, mut rows) = (Vec::<i64>::new(), Vec::<f32>::new(), Vec::<i64>::new());
        let (mut offsets, mut lengths) = (Vec::<i64>::new(), Vec::<f32>::new());
        for (row, document) in documents.iter().enumerate() {
            let document = document.as_ref();
            offsets.push(words.len() as i64);
            lengths.push(document.iter().map(|&(_, count)| f64::from(count)).sum::<f64>() as f32);
            words.extend(document.iter().map(|&(word, _)| i64::from(word)));
            counts.extend(document.iter().map(|&(_, count)| count as f32));
            rows.extend(document.iter().map(|_| row as i64));
        }
        let [words, rows, offsets] = [&words, &rows, &offsets].map(|list| Tensor::from_slice(list).to_device(device));
        let [counts, lengths] = [&counts, &lengths].map(|list| Tensor::from_slice(list).to_device(device));
        Self { words, counts, rows, offsets, lengths }
    }

    /// Returns the number of documents.
    pub fn len(&self) -> i64 {
        self.lengths.size()[0]
    }

    /// Sums values of entries, `[N]`, over each document: `[B]`.
    pub(crate) fn per_document(&self, entry_values: &Tensor) -> Tensor {
        Tensor::zeros([self.len()], (Kind::Float, entry_values.device())).index_add(0, &self.rows, entry_values)
    }

    /// Splits the batch into parts of `size` documents, each with the index of its first document.
    pub(crate) fn parts(&self, size: i64) -> Result<Vec<(i64, BagOfWordsBatch)>> {
        if self.len() <= size {
            return Ok(vec![(0, self.part(0, self.len(), 0, self.words.size()[0]))]);
        }
        let mut starts = Vec::<i64>::try_from(&self.offsets)?;
        starts.push(self.words.size()[0]);
        let firsts = (0..self.len()).step_by(size.max(1) as usize);
        let part = |first: i64| {
            let count = size.max(1).min(self.len() - first);
            let [start, end] = [first, first + count].map(|document| starts[document as usize]);
            (first, self.part(first, count, start, end - start))
        };
        Ok(firsts.map(part).collect())
    }

    /// Returns `count` documents from `first` on, with their entries.
    fn part(&self, first: i64, count: i64, start: i64, entries: i64) -> BagOfWordsBatch {
        BagOfWordsBatch {
            words: self.words.narrow(0, start, entries),
            counts: self.counts.narrow(0, start, entries),
            rows: self.rows.narrow(0, start, entries) - first,
            offsets: self.offsets.narrow(0, first, count) - start,
            lengths: self.lengths.narrow(0, first, count),
        }
    }

    /// Checks that a model of `words` words can use the batch. On the CPU, values are checked too; on another device
    /// they are not, since a step would wait for them.
    ///
    /// # Errors
    /// Fails if there is no document, if shapes, kinds or devices do not match, or if a word or a document is out of
    /// range.
    pub(super) fn check(&self, words: i64, device: Device) -> Result<()> {
        let Self { words: ids, counts, rows, offsets, lengths } = self;
        let (entries, documents) = (ids.size(), lengths.size());
        let parts = [
            ("words", ids, Kind::Int64, &entries),
            ("counts", counts, Kind::Float, &entries),
            ("rows", rows, Kind::Int64, &entries),
            ("offsets", offsets, Kind::Int64, &documents),
            ("lengths", lengths, Kind::Float, &documents),
        ];
        for (name, tensor, kind, size) in parts {
            if tensor.kind() != kind || tensor.device() != device {
                let found = format!("{:?} on {:?}", tensor.kind(), tensor.device());
                return Err(Error::parameter(format!("{name} of documents"), found, format!("{kind:?} on {device:?}")));
            }
            if size.len() != 1 || tensor.size() != *size || documents == [0] {
                let expected = "[N] (words, counts, rows) or [B] (offsets, lengths), with at least one document".into();
                return Err(Error::Shape { what: format!("{name} of documents"), found: tensor.size(), expected });
            }
        }
        let (Some(ids), Some(rows), Some(offsets)) = (read::<i64>(ids), read::<i64>(rows), read::<i64>(offsets)) else {
            return Ok(());
        };
        if let Some(word) = ids.iter().find(|word| !(0..words).contains(*word)) {
            return Err(Error::parameter("word of a document", word, format!("from 0 to {}", words - 1)));
        }
        let entries = ids.len() as i64;
        let fits = rows.is_sorted() && rows.iter().all(|row| (0..documents[0]).contains(row));
        if !fits || !offsets.is_sorted() || offsets.iter().any(|offset| !(0..=entries).contains(offset)) {
            return Err(Error::Config(
                "the rows or offsets of documents are not ascending, or lie beyond the documents or entries".into(),
            ));
        }
        if let Some(count) =
            read::<f32>(counts).and_then(|counts| counts.iter().find(|count| !(**count >= 0.0 && count.is_finite())))
        {
            return Err(Error::parameter("count of a word", count, "0 or more, and finite"));
        }
        Ok(())
    }

    /// Returns whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bag_of_words_is_named() {
        let sound = || BagOfWordsBatch::from_documents(&[vec![(0, 2), (3, 1)], vec![(1, 5)]], Device::Cpu);
        assert!(sound().check(4, Device::Cpu).is_ok());
        let int = |values: &[i64]| Tensor::from_slice(values);
        let float = |values: &[f32]| Tensor::from_slice(values);
        let cases: [(BagOfWordsBatch, &str); 9] = [
            (BagOfWordsBatch { words: int(&[0, 4, 1]), ..sound() }, "word of a document is 4"),
            (BagOfWordsBatch { words: int(&[0, -1, 1]), ..sound() }, "word of a document is -1"),
            (BagOfWordsBatch { words: float(&[0.0, 3.0, 1.0]), ..sound() }, "words of documents"),
            (BagOfWordsBatch { counts: float(&[2.0, -1.0, 5.0]), ..sound() }, "count of a word is -1"),
            (BagOfWordsBatch { counts: float(&[2.0, f32::NAN, 5.0]), ..sound() }, "count of a word is NaN"),
            (BagOfWordsBatch { counts: float(&[2.0]), ..sound() }, "counts of documents"),
            (BagOfWordsBatch { rows: int(&[0, 2, 1]), ..sound() }, "not ascending"),
            (BagOfWordsBatch { offsets: int(&[0, 9]), ..sound() }, "lie beyond"),
            (BagOfWordsBatch { lengths: float(&[]), ..sound() }, "of documents"),
        ];
        for (bags, expected) in cases {
            let message = bags.check(4, Device::Cpu).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}, not {expected}");
        }
    }
}
