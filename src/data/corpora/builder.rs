//! Collects the documents of a corpus in memory or in a store on disk, and splits them.

use super::corpus::Parts;
use super::lines::Origin;
use super::report::TextReport;
use super::rows::tidy;
use super::split::Split;
use super::store::{Store, Writer};
use super::vocabulary::{read_words, write_words};
use super::{Corpus, Document, Documents};
use crate::error::{Error, Result};
use crate::platform::files::{absolute_text, make_folder, remove_leftovers, write_file};
use crate::platform::lock::Lock;
use crate::platform::{budget, open as files};
use std::path::{Path, PathBuf};

/// The files of a store. The vocabulary is written last: a folder with it holds a whole store.
const TRAIN: &str = "train.documents";
const TEST: &str = "test.documents";
const VOCABULARY: &str = "documents.vocabulary";
const SOURCE: &str = "documents.source";
const REPORT: &str = "documents.report";

/// The line of `documents.source` for a corpus whose source has parts of its own, instead of the rule of a split.
pub(super) const SPLIT_OF_SOURCE: &str = "split: given";

/// Locked by the process that writes.
const LOCK: &str = "documents.lock";

/// The files of a store.
pub const STORE_FILES: [&str; 8] =
    [TRAIN, TEST, VOCABULARY, SOURCE, REPORT, "train.documents.hash", "test.documents.hash", LOCK];

/// Collects documents in memory or in a folder, and assigns each to the training or the test part.
pub(super) struct CorpusBuilder {
    split: Split,
    train: Part,
    test: Part,
    position: u64,
    folder: Option<PathBuf>,
}

/// One of the two parts.
enum Part {
    Memory(Documents),
    Disk(Box<Writer>),
}

impl CorpusBuilder {
    /// Makes a builder in memory, or in the folder `store`.
    pub fn new(split: Split, store: Option<&Path>) -> Result<Self> {
        let Some(folder) = store else {
            let [train, test] = [Part::Memory(Documents::new()), Part::Memory(Documents::new())];
            return Ok(Self { split, train, test, position: 0, folder: None });
        };
        make(folder)?;
        // The vocabulary is written last: a folder without it is no whole store.
        match std::fs::remove_file(folder.join(VOCABULARY)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::caused(folder.join(VOCABULARY), "cannot be replaced", error));
            }
            _ => {}
        }
        let writer = |name| Ok::<_, Error>(Part::Disk(Box::new(Writer::create(&folder.join(name))?)));
        Ok(Self { split, train: writer(TRAIN)?, test: writer(TEST)?, position: 0, folder: Some(folder.into()) })
    }

    /// Adds the document of a text; `label` is its title or its beginning.
    pub fn push_text(&mut self, text: &str, entries: Document, label: &str) -> Result<()> {
        let test = self.split.tests_text(self.position, text);
        self.position += 1;
        self.push_to(test, entries, Some(label))
    }

    /// Adds a document of counts; `label` is its title.
    pub fn push(&mut self, entries: Document, label: Option<&str>) -> Result<()> {
        let entries = tidy(entries)?;
        let test = self.split.tests_document(self.position, &entries);
        self.position += 1;
        self.push_to(test, entries, label)
    }

    /// Adds a document to the test part or to the training part.
    fn push_to(&mut self, test: bool, entries: Document, label: Option<&str>) -> Result<()> {
        match if test { &mut self.test } else { &mut self.train } {
            Part::Memory(documents) => documents.push_labelled(entries, label),
            Part::Disk(writer) => writer.push(entries, label),
        }
    }

    /// Returns the number of documents so far.
    pub fn len(&self) -> u64 {
        self.position
    }

    /// Returns the largest word number of all documents; `None` if no document has a word.
    pub fn largest_word(&self) -> Option<u32> {
        let largest_of = |part: &Part| match part {
            Part::Memory(documents) => documents.largest_word(),
            Part::Disk(writer) => writer.largest_word(),
        };
        largest_of(&self.train).max(largest_of(&self.test))
    }

    /// Makes the corpus. Words are numbered from `first_word`, 0 or 1. `text` reports which words of a text were kept.
    pub fn finish(self, vocabulary: Vec<String>, first_word: u32, text: Option<TextReport>) -> Result<Corpus> {
        let finish = |part| match part {
            Part::Memory(mut documents) => {
                if first_word > 0 {
                    documents.count_words_from_zero();
                }
                Ok(documents)
            }
            Part::Disk(writer) => writer.finish(first_word).map(Documents::from_store),
        };
        let corpus = Corpus::new(vocabulary, finish(self.train)?, finish(self.test)?)?;
        let corpus = corpus.with_parts(Parts::Split(self.split), text);
        if let Some(folder) = self.folder {
            write_report(&folder.join(REPORT), corpus.text_report())?;
            write_words(&folder.join(VOCABULARY), &corpus.vocabulary)?;
        }
        Ok(corpus)
    }
}

/// Writes a corpus from memory into a folder, and opens it there.
pub(super) fn store(corpus: Corpus, folder: &Path) -> Result<Corpus> {
    let (parts, text) = corpus.parts();
    let mut builder = CorpusBuilder::new(Split::default(), Some(folder))?;
    for (test, documents) in [(false, &corpus.train), (true, &corpus.test)] {
        for number in 0..documents.len() {
            builder.push_to(test, documents.get(number)?, documents.label(number)?.as_deref())?;
        }
    }
    let corpus = builder.finish(corpus.vocabulary, 0, text.clone())?;
    Ok(corpus.with_parts(parts, text))
}

/// Writes the report on words of a text, which is shown when the store is opened again; a store of counts has none.
fn write_report(path: &Path, report: Option<&TextReport>) -> Result<()> {
    let Some(report) = report else { return Ok(()) };
    let text = serde_json::to_string(report).map_err(|error| Error::caused(path, "cannot be written", error))?;
    write_file(path, text.as_bytes())
}

/// Returns whether a folder holds the whole store of the corpus of this source; writes nothing. `state` is the hash
/// line of the source file, if the file exists.
///
/// # Errors
/// Fails if the folder holds another corpus, or was made from another state of the file.
pub(super) fn is_store_of(folder: &Path, source: &str, state: Option<&str>) -> Result<bool> {
    if !is_store(folder) {
        return Ok(false);
    }
    let stored = files::text(&folder.join(SOURCE), budget::SETTINGS).unwrap_or_default();
    // If the source file does not exist any more, its state is not compared.
    let wanted = format!("{source}{}", state.unwrap_or_default());
    let mut lines = stored.lines().zip(wanted.lines());
    let is_same = |(stored, wanted): &(&str, &str)| {
        stored == wanted
            || is_same_path(stored, wanted)
            || (*stored == SPLIT_OF_SOURCE && wanted.starts_with("split: "))
    };
    let different = lines.find(|pair| !is_same(pair));
    if different.is_none() && stored.lines().count() >= wanted.lines().count() {
        return Ok(true);
    }
    let (stored, wanted) = different.unwrap_or(("an unnamed source", source.lines().next().unwrap_or_default()));
    let problem = format!("holds other documents ({stored}, not {wanted}); name another folder, or remove it");
    Err(Error::file(folder, problem))
}

/// Takes the folder of a store for this process, as long as the lock lives.
///
/// # Errors
/// When it cannot be written, or another process writes it.
pub(super) fn lock(folder: &Path) -> Result<Lock> {
    make_folder(folder)?;
    Lock::take(&folder.join(LOCK), |holder| Error::StoreInUse { path: folder.into(), holder })
}

/// Begins a store of the corpus of this source, in a folder that is locked.
///
/// # Errors
/// Fails if the folder cannot be written.
pub(super) fn start_store(folder: &Path, source: &str, state: Option<&str>) -> Result<()> {
    make(folder)?;
    let path = folder.join(SOURCE);
    let source = format!("{source}{}", state.unwrap_or_default());
    write_file(&path, source.as_bytes())
}

/// Creates the folder of a store, and removes incomplete files of a killed process.
fn make(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    remove_leftovers(folder, &STORE_FILES).map_err(|error| Error::caused(folder, "cannot be made", error))
}

/// Returns whether two source lines name the same file; the line of a store may hold a relative path.
fn is_same_path(stored: &str, wanted: &str) -> bool {
    let Some(stored) = stored.strip_prefix("corpus: ") else { return false };
    let (format, path) = match stored.split_once(':') {
        Some((format, path)) if format.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (format!("{format}:"), path),
        _ => (String::new(), stored),
    };
    absolute_text(Path::new(path)).is_some_and(|path| format!("corpus: {format}{path}") == wanted)
}

/// Returns whether a folder holds a whole store.
pub(super) fn is_store(folder: &Path) -> bool {
    folder.join(VOCABULARY).is_file() && folder.join(TRAIN).is_file()
}

/// Opens a corpus stored in a folder; `split` is the split by which it was stored.
pub(super) fn open(folder: &Path, split: Split) -> Result<Corpus> {
    let documents = |name| Store::open(&folder.join(name)).map(Documents::from_store);
    let vocabulary = read_words(Origin::File(&folder.join(VOCABULARY)))?;
    let stored = |name| files::text(&folder.join(name), budget::SETTINGS).ok();
    let text = stored(REPORT).and_then(|text| serde_json::from_str(&text).ok());
    let source = stored(SOURCE).unwrap_or_default();
    let parts = if source.lines().any(|line| line == SPLIT_OF_SOURCE) { Parts::Archive } else { Parts::Split(split) };
    let corpus =
        Corpus::new(vocabulary, documents(TRAIN)?, documents(TEST)?).map_err(|error| Error::file(folder, error))?;
    Ok(corpus.with_parts(parts, text))
}
