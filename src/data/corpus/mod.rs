//! Documents as counts of words, and corpora of them.

mod counts;
mod documents;
mod format;
mod lines;
mod npz;
mod rows;
mod rules;
mod sets;
mod sink;
mod stop_words;
mod store;
mod texts;
mod vocabulary;

pub use documents::{Document, Documents};
pub use format::Format;
pub use rules::TextRules;
pub use sets::CorpusSet;
pub use vocabulary::{Encoded, Vocabulary};

use crate::{Error, Result};
use std::path::Path;

/// Documents to train on and to report on, over one vocabulary.
#[derive(Debug)]
pub struct Corpus {
    /// The words, by their numbers.
    pub vocabulary: Vec<String>,
    /// What is trained on.
    pub train: Documents,
    /// What results are reported on.
    pub test: Documents,
}

impl Corpus {
    /// From its parts.
    ///
    /// # Errors
    /// When a document has a word beyond the vocabulary.
    pub fn new(vocabulary: Vec<String>, train: Documents, test: Documents) -> Result<Self> {
        for documents in [&train, &test] {
            if let Some(word) = documents.largest_word().filter(|&word| word as usize >= vocabulary.len()) {
                let allowed = format!("below {}, the size of the vocabulary", vocabulary.len());
                return Err(Error::parameter("number of a word", word, allowed));
            }
        }
        Ok(Self { vocabulary, train, test })
    }

    /// An `.npz` of compressed sparse rows: `{train,test}_{ptr,words,counts}`, and `vocab`, the bytes of a list joined by newlines.
    ///
    /// # Errors
    /// When the file is missing, truncated or malformed; the message names it, and the array.
    pub fn read_npz(path: &Path) -> Result<Self> {
        npz::read(path)
    }
}
