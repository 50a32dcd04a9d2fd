//! Documents, one after the other, in memory or on disk.

use super::rows::{Document, Rows, tidy};
use super::store::{Store, hash};
use crate::data::batches::shuffled;
use crate::error::{Error, Result};

/// Documents: compressed sparse rows in memory, or a file of which only what was read last is in memory.
#[derive(Debug, Default)]
pub struct Documents {
    place: Place,
    tokens: u64,
    largest_word: Option<u32>,
}

#[derive(Debug)]
enum Place {
    Memory(Rows),
    Disk(Store),
}

impl Default for Place {
    fn default() -> Self {
        Place::Memory(Rows::default())
    }
}

impl Documents {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a file on disk.
    pub(super) fn from_store(store: Store) -> Self {
        Self { tokens: store.tokens(), largest_word: store.largest_word(), place: Place::Disk(store) }
    }

    /// Adds a document; words may come in any order and more than once, and those with a count of zero are left out.
    ///
    /// # Errors
    /// When a word occurs more than `u32::MAX` times, or the documents lie on disk.
    pub fn push(&mut self, entries: Document) -> Result<()> {
        self.push_labelled(entries, None)
    }

    /// The same with a short text that stands for the document where it is shown, such as its title.
    ///
    /// # Errors
    /// Those of [`Self::push`].
    pub fn push_labelled(&mut self, entries: Document, label: Option<&str>) -> Result<()> {
        let Place::Memory(rows) = &mut self.place else {
            return Err(Error::Config("documents on disk take no further ones; read the corpus anew".into()));
        };
        let document = tidy(entries)?;
        self.tokens += document.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
        self.largest_word = self.largest_word.max(document.last().map(|(word, _)| *word));
        rows.push(&document, label);
        Ok(())
    }

    /// Whether they lie in a file, of which only a part is in memory.
    pub fn are_on_disk(&self) -> bool {
        matches!(self.place, Place::Disk(_))
    }

    /// For words that were counted from 1.
    pub(super) fn count_words_from_zero(&mut self) {
        if let Place::Memory(rows) = &mut self.place {
            rows.count_words_from_zero();
            self.largest_word = self.largest_word.map(|word| word.saturating_sub(1));
        }
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        match &self.place {
            Place::Memory(rows) => rows.len(),
            Place::Disk(store) => store.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Words of all documents, each as often as it occurs.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The largest number of a word.
    pub fn largest_word(&self) -> Option<u32> {
        self.largest_word
    }

    /// A document by its number.
    ///
    /// # Errors
    /// When there is none of this number, or its part of a file on disk cannot be read.
    pub fn get(&self, number: usize) -> Result<Document> {
        let document = match &self.place {
            Place::Memory(rows) => rows.get(number),
            Place::Disk(store) => store.with(number, Rows::get)?,
        };
        document.ok_or_else(|| self.no_document(number))
    }

    /// What a document is shown as: its title, or how it starts; nothing where its source has no text.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn label(&self, number: usize) -> Result<Option<String>> {
        if number >= self.len() {
            return Err(self.no_document(number));
        }
        match &self.place {
            Place::Memory(rows) => Ok(rows.label(number).map(String::from)),
            Place::Disk(store) => store.with(number, |rows, at| rows.label(at).map(String::from)),
        }
    }

    fn no_document(&self, number: usize) -> Error {
        Error::parameter("number of a document", number, format!("below {}", self.len()))
    }

    /// All documents in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Document>> + '_ {
        (0..self.len()).map(|number| self.get(number))
    }

    /// Hands all documents to `look` in order, one at a time, for what takes documents and not results.
    ///
    /// # Errors
    /// That of the first document which cannot be read, else that of `look`.
    pub fn with_all<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = Document>) -> Result<T>) -> Result<T> {
        let mut unreadable = Ok(());
        let found = look(&mut self.iter().map_while(|document| document.map_err(|error| unreadable = Err(error)).ok()));
        unreadable.and(found)
    }

    /// The hash of all documents in order; a store of them knows its own.
    pub(super) fn content_hash(&self) -> Result<String> {
        if let Place::Disk(store) = &self.place
            && let Some(known) = store.known_hash()
        {
            return Ok(known);
        }
        hash(self.len(), self.iter())
    }

    /// The order in which an epoch visits the documents, each once; a function of run seed and epoch alone, the same on
    /// every machine.
    ///
    /// In memory it is that of [`epoch_order`](crate::data::epoch_order). On disk, blocks of documents are shuffled,
    /// and then the documents within every 16 of these blocks, so that an epoch reads each block once.
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<i64> {
        match &self.place {
            Place::Memory(rows) => shuffled(rows.len() as i64, seed, epoch),
            Place::Disk(store) => store.order(seed, epoch),
        }
    }
}
