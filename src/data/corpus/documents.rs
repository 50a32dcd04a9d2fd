//! Documents, one after the other.

use crate::{Error, Result};

/// A document: its different words, ascending, each with its count.
pub type Document = Vec<(u32, u32)>;

/// Documents as compressed sparse rows.
#[derive(Debug, Default)]
pub struct Documents {
    /// Where each document's entries end.
    ends: Vec<usize>,
    words: Vec<u32>,
    counts: Vec<u32>,
    tokens: u64,
}

impl Documents {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document; words may come in any order and more than once, and those with a count of zero are left out.
    ///
    /// # Errors
    /// When a word occurs more than `u32::MAX` times.
    pub fn push(&mut self, mut entries: Document) -> Result<()> {
        entries.sort_unstable();
        let start = self.words.len();
        for (word, count) in entries.into_iter().filter(|(_, count)| *count > 0) {
            self.tokens += u64::from(count);
            match self.counts.last_mut() {
                Some(last) if self.words.len() > start && self.words.last() == Some(&word) => {
                    *last = last.checked_add(count).ok_or_else(|| {
                        Error::parameter(format!("count of word {word} in a document"), "too large", "below 2^32")
                    })?;
                }
                _ => {
                    self.words.push(word);
                    self.counts.push(count);
                }
            }
        }
        self.ends.push(self.words.len());
        Ok(())
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Words of all documents, each as often as it occurs.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The largest number of a word.
    pub fn largest_word(&self) -> Option<u32> {
        self.words.iter().copied().max()
    }

    /// A document by its number.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn get(&self, number: usize) -> Result<Document> {
        let Some(&end) = self.ends.get(number) else {
            return Err(Error::parameter("number of a document", number, format!("below {}", self.len())));
        };
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Ok(self.words[start..end].iter().copied().zip(self.counts[start..end].iter().copied()).collect())
    }

    /// All documents in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Document>> + '_ {
        (0..self.len()).map(|number| self.get(number))
    }
}
