//! Documents to train on and to report on.

use super::documents::Documents;
use crate::error::{Error, Result};

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
}
