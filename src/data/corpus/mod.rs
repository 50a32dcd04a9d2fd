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

use crate::data::npz::Archive;
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
        npz::read(path, Archive::open(path)?)
    }

    /// From the bytes of a file, plain or gzipped, in any [`Format`] but those that are folders. `name` is what errors call it; `words` are the bytes of the file
    /// of words that lies beside a file of counts; `rules` are for text.
    ///
    /// # Errors
    /// As [`CorpusSet::load`].
    pub fn parse(format: Format, name: &Path, bytes: &[u8], words: Option<&[u8]>, rules: &TextRules) -> Result<Self> {
        sets::parse(format, name, bytes, words, rules)
    }
}

/// Calls `each` with every text of a source, and its title if it has one: of a file with a text a line, of a `.jsonl` file, or of a folder of `.txt` files.
///
/// # Errors
/// When the source cannot be read or is of another kind, and those of `each`.
pub fn visit_texts(path: &Path, each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>) -> Result<()> {
    let origin = lines::Origin::File(path);
    let texts = match Format::recognise(path)? {
        Format::Text => texts::Texts::Lines(origin),
        Format::JsonLines => texts::Texts::JsonLines(origin),
        Format::Folder => texts::Texts::of_folder(path)?,
        _ => return Err(Error::file(path, "holds no texts; give a text a line, .jsonl, or a folder of .txt files")),
    };
    texts.visit(each)
}
