//! Documents to train on and to report on.

use super::documents::Documents;
use crate::data::identity::{ContentHash, Identity};
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

    /// What these documents are: their words, and their counts of them.
    ///
    /// # Errors
    /// When a document on disk cannot be read.
    pub fn identity(&self) -> Result<Identity> {
        let (mut words, mut content) = (ContentHash::default(), ContentHash::default());
        for word in &self.vocabulary {
            words.add(word.as_bytes());
            words.add(b"\n");
        }
        for documents in [&self.train, &self.test] {
            content.add(documents.content_hash()?.as_bytes());
        }
        Ok(Identity {
            examples: [self.train.len() as u64, 0, self.test.len() as u64],
            features: self.vocabulary.len() as u64,
            features_hash: words.shown(),
            content_hash: content.shown(),
        })
    }
}
