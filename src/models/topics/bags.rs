//! Documents as a model takes them.

use crate::Result;
use tch::{Device, Kind, Tensor};

/// Documents as bags of words: `N` entries, each a word of a document with its count.
#[derive(Debug)]
pub struct Bags {
    /// The word of each entry, int64 `[N]`.
    pub words: Tensor,
    /// Its count, float32 `[N]`.
    pub counts: Tensor,
    /// The document of each entry, int64 `[N]`, ascending from 0.
    pub rows: Tensor,
    /// Where each document's entries start, int64 `[B]`.
    pub offsets: Tensor,
    /// Tokens of each document, float32 `[B]`.
    pub lengths: Tensor,
}

impl Bags {
    /// From documents of `(word, count)`, which may be empty.
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

    /// Documents.
    pub fn len(&self) -> i64 {
        self.lengths.size()[0]
    }

    /// Sums of what belongs to entries, `[N]`, over each document, `[B]`.
    pub(crate) fn per_document(&self, of_entries: &Tensor) -> Tensor {
        Tensor::zeros([self.len()], (Kind::Float, of_entries.device())).index_add(0, &self.rows, of_entries)
    }

    /// `size` documents at a time, each time with the number of the first.
    pub(crate) fn parts(&self, size: i64) -> Result<Vec<(i64, Bags)>> {
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

    /// Documents `first ..` and their entries.
    fn part(&self, first: i64, count: i64, start: i64, entries: i64) -> Bags {
        Bags {
            words: self.words.narrow(0, start, entries),
            counts: self.counts.narrow(0, start, entries),
            rows: self.rows.narrow(0, start, entries) - first,
            offsets: self.offsets.narrow(0, first, count) - start,
            lengths: self.lengths.narrow(0, first, count),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
