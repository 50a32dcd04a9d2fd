//! A corpus: documents for training and for testing, over one vocabulary.

use super::documents::Documents;
use super::report::{LongestDocument, ReadingReport, TextReport};
use super::split::Split;
use crate::data::identity::{ContentHash, Identity, words_hash};
use crate::error::{Error, Result};

/// Documents for training and for testing, over one vocabulary.
#[derive(Debug)]
pub struct Corpus {
    /// The words, by number.
    pub vocabulary: Vec<String>,
    /// The documents for training, including those for validation.
    pub train: Documents,
    /// The documents held out for testing.
    pub test: Documents,
    parts: Parts,
    text: Option<TextReport>,
    notes: Vec<String>,
}

/// The origin of the division into training and test documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Parts {
    /// The caller of [`Corpus::new`].
    Caller,
    /// The file of the corpus, which names both parts.
    Archive,
    /// A split of all documents.
    Split(Split),
}

impl Corpus {
    /// Makes a corpus from its parts.
    ///
    /// # Errors
    /// Fails if a document has a word number beyond the vocabulary.
    pub fn new(vocabulary: Vec<String>, train: Documents, test: Documents) -> Result<Self> {
        for documents in [&train, &test] {
            if let Some(word) = documents.largest_word().filter(|&word| word as usize >= vocabulary.len()) {
                let allowed = format!("below {}, the size of the vocabulary", vocabulary.len());
                return Err(Error::parameter("number of a word", word, allowed));
            }
        }
        Ok(Self { vocabulary, train, test, parts: Parts::Caller, text: None, notes: Vec::new() })
    }

    /// Sets the origin of the parts, and the report on words of a text.
    pub(super) fn with_parts(self, parts: Parts, text: Option<TextReport>) -> Self {
        Self { parts, text, ..self }
    }

    /// Sets the notes about how the corpus was read, which are shown to the user.
    pub(super) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Returns the values of [`Self::with_parts`].
    pub(super) fn parts(&self) -> (Parts, Option<TextReport>) {
        (self.parts, self.text.clone())
    }

    /// Returns the report on words of a text; `None` for counts.
    pub(super) fn text_report(&self) -> Option<&TextReport> {
        self.text.as_ref()
    }

    /// Returns for each training document whether it is used for validation.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn validation(&self, split: &Split) -> Result<Vec<bool>> {
        split.validation(&self.train, self.parts == Parts::Archive)
    }

    /// Summarises what was read, in one pass over the documents.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn report(&self) -> Result<ReadingReport> {
        let (mut empty, mut longest) = (0, None);
        for part in [&self.train, &self.test] {
            for (number, document) in part.iter().enumerate() {
                let words: u64 = document?.iter().map(|&(_, count)| u64::from(count)).sum();
                empty += u64::from(words == 0);
                if longest.is_none_or(|(_, _, most)| words > most) {
                    longest = Some((part, number, words));
                }
            }
        }
        let longest = match longest {
            Some((part, number, words)) => Some(LongestDocument { label: part.label(number)?, words }),
            None => None,
        };
        Ok(ReadingReport {
            documents: (self.train.len() + self.test.len()) as u64,
            held_out: self.test.len() as u64,
            validation: None,
            empty,
            words: self.train.tokens() + self.test.tokens(),
            vocabulary: self.vocabulary.len() as u64,
            split: match &self.parts {
                Parts::Caller => "as given".into(),
                Parts::Archive => "as the archive says".into(),
                Parts::Split(split) => split.describe(),
            },
            longest,
            text: self.text.clone(),
            notes: self.notes.clone(),
        })
    }

    /// Returns hashes and sizes that identify the documents: their words and their counts.
    ///
    /// # Errors
    /// Fails if a document on disk cannot be read.
    pub fn identity(&self) -> Result<Identity> {
        let mut content = ContentHash::default();
        for documents in [&self.train, &self.test] {
            content.add(documents.content_hash()?.as_bytes());
        }
        Ok(Identity {
            examples: [self.train.len() as u64, 0, self.test.len() as u64],
            features: self.vocabulary.len() as u64,
            features_hash: words_hash(&self.vocabulary),
            content_hash: content.to_text(),
        })
    }
}
