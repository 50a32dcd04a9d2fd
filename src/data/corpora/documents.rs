//! A list of documents, in memory or on disk.

use super::rows::{Document, Rows, tidy};
use super::store::{Store, hash};
use crate::data::batches::shuffled;
use crate::error::{Error, Result};

/// A list of documents: compressed sparse rows in memory, or a file of which only the last block read is in memory.
#[derive(Debug, Default)]
pub struct Documents {
    storage: Storage,
    tokens: u64,
    largest_word: Option<u32>,
}

/// Where the documents are stored.
#[derive(Debug)]
enum Storage {
    Memory(Rows),
    Disk(Store),
}

impl Default for Storage {
    fn default() -> Self {
        Storage::Memory(Rows::default())
    }
}

impl Documents {
    /// Makes an empty list in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a list from a file on disk.
    pub(super) fn from_store(store: Store) -> Self {
        Self { tokens: store.tokens(), largest_word: store.largest_word(), storage: Storage::Disk(store) }
    }

    /// Adds a document. Words may come in any order and repeatedly; words with a count of zero are left out.
    ///
    /// # Errors
    /// Fails if a word occurs more than `u32::MAX` times, or if the documents are on disk.
    pub fn push(&mut self, entries: Document) -> Result<()> {
        self.push_labelled(entries, None)
    }

    /// Adds a document with a label, a short text that is shown for it, such as its title.
    ///
    /// # Errors
    /// Fails as [`Self::push`] does.
    pub fn push_labelled(&mut self, entries: Document, label: Option<&str>) -> Result<()> {
        let Storage::Memory(rows) = &mut self.storage else {
            return Err(Error::Config("documents on disk take no further ones; read the corpus anew".into()));
        };
        let document = tidy(entries)?;
        self.tokens += document.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
        self.largest_word = self.largest_word.max(document.last().map(|(word, _)| *word));
        rows.push(&document, label);
        Ok(())
    }

    /// Returns whether the documents are in a file on disk.
    pub fn are_on_disk(&self) -> bool {
        matches!(self.storage, Storage::Disk(_))
    }

    /// Renumbers words from 0 if they were numbered from 1.
    pub(super) fn count_words_from_zero(&mut self) {
        if let Storage::Memory(rows) = &mut self.storage {
            rows.count_words_from_zero();
            self.largest_word = self.largest_word.map(|word| word.saturating_sub(1));
        }
    }

    /// Returns the number of documents.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::Memory(rows) => rows.len(),
            Storage::Disk(store) => store.len(),
        }
    }

    /// Returns whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of words of all documents, with repetitions.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Returns the largest word number; `None` if no document has a word.
    pub fn largest_word(&self) -> Option<u32> {
        self.largest_word
    }

    /// Returns a document by its index.
    ///
    /// # Errors
    /// Fails if there is no such document, or if its part of a file cannot be read.
    pub fn get(&self, number: usize) -> Result<Document> {
        let document = match &self.storage {
            Storage::Memory(rows) => rows.get(number),
            Storage::Disk(store) => store.with(number, Rows::get)?,
        };
        document.ok_or_else(|| self.no_document(number))
    }

    /// Returns the label of a document: its title, or its beginning. `None` if its source has no text.
    ///
    /// # Errors
    /// Fails as [`Self::get`] does.
    pub fn label(&self, number: usize) -> Result<Option<String>> {
        if number >= self.len() {
            return Err(self.no_document(number));
        }
        match &self.storage {
            Storage::Memory(rows) => Ok(rows.label(number).map(String::from)),
            Storage::Disk(store) => store.with(number, |rows, at| rows.label(at).map(String::from)),
        }
    }

    fn no_document(&self, number: usize) -> Error {
        Error::parameter("number of a document", number, format!("below {}", self.len()))
    }

    /// Iterates over all documents in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Document>> + '_ {
        (0..self.len()).map(|number| self.get(number))
    }

    /// Passes an iterator over all documents to `consume`, for functions that take documents rather than results.
    ///
    /// # Errors
    /// Returns the error of the first document that cannot be read, else the error of `consume`.
    pub fn with_all<T>(&self, consume: impl FnOnce(&mut dyn Iterator<Item = Document>) -> Result<T>) -> Result<T> {
        let mut unreadable = Ok(());
        let found =
            consume(&mut self.iter().map_while(|document| document.map_err(|error| unreadable = Err(error)).ok()));
        unreadable.and(found)
    }

    /// Returns the hash of all documents in order; a store has it on disk.
    pub(super) fn content_hash(&self) -> Result<String> {
        if let Storage::Disk(store) = &self.storage
            && let Some(known) = store.known_hash()
        {
            return Ok(known);
        }
        hash(self.len(), self.iter())
    }

    /// Returns the order in which an epoch visits the documents, each once. It depends only on the run's seed and the
    /// epoch, and is the same on every machine.
    ///
    /// In memory, it is the order of [`epoch_order`](crate::data::epoch_order). On disk, blocks of documents are
    /// shuffled, then the documents within each group of 16 blocks, so that an epoch reads each block once.
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<i64> {
        match &self.storage {
            Storage::Memory(rows) => shuffled(rows.len() as i64, seed, epoch),
            Storage::Disk(store) => store.order(seed, epoch),
        }
    }
}
