//! Documents in memory as compressed sparse rows, and their labels.

use crate::error::{Error, Result};

/// A document: its distinct words in ascending order, each with its count.
pub type Document = Vec<(u32, u32)>;

/// Documents as compressed sparse rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The end of each document's entries.
    ends: Vec<usize>,
    words: Vec<u32>,
    counts: Vec<u32>,
    labels: Labels,
}

impl Rows {
    /// Adds a document that [`tidy`] has sorted.
    pub fn push(&mut self, document: &[(u32, u32)], label: Option<&str>) {
        if let Some(label) = label {
            self.labels.set(self.ends.len(), label);
        }
        self.words.extend(document.iter().map(|(word, _)| word));
        self.counts.extend(document.iter().map(|(_, count)| count));
        self.ends.push(self.words.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns a document by its index; `None` if there is none.
    pub fn get(&self, number: usize) -> Option<Document> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(self.words[start..end].iter().copied().zip(self.counts[start..end].iter().copied()).collect())
    }

    /// Returns the label of a document; `None` if it has none.
    pub fn label(&self, number: usize) -> Option<&str> {
        self.labels.get(number)
    }

    /// Subtracts one from every word number.
    pub fn count_words_from_zero(&mut self) {
        for word in &mut self.words {
            *word = word.saturating_sub(1);
        }
    }
}

/// Labels, concatenated. Documents after the last labelled one take no memory.
#[derive(Debug, Default)]
struct Labels {
    text: String,
    ends: Vec<usize>,
}

impl Labels {
    /// Sets the label of a document, which must come after all labelled documents.
    fn set(&mut self, number: usize, label: &str) {
        self.ends.resize(number, self.text.len());
        self.text.push_str(label);
        self.ends.push(self.text.len());
    }

    fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        (start < end).then(|| &self.text[start..end])
    }
}

/// Sorts the entries of a document, adds up entries of the same word, and drops entries with a count of zero.
///
/// # Errors
/// Fails if a word occurs more than `u32::MAX` times.
pub(super) fn tidy(mut entries: Document) -> Result<Document> {
    entries.retain(|(_, count)| *count > 0);
    entries.sort_unstable();
    let mut too_often = None;
    entries.dedup_by(|&mut (word, count), (kept, sum)| {
        if word == *kept {
            *sum = sum.checked_add(count).unwrap_or_else(|| {
                too_often = Some(word);
                u32::MAX
            });
        }
        word == *kept
    });
    match too_often {
        Some(word) => {
            let name = format!("count of word {word} in a document");
            Err(Error::parameter(name, "too large", "below 2^32"))
        }
        None => Ok(entries),
    }
}
