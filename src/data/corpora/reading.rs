//! Corpora from files and bytes.

use super::corpus::Corpus;
use super::format::Format;
use super::rules::TextRules;
use super::{lines, npz, sets, texts};
use crate::error::{Error, Result};
use crate::formats::npz::Archive;
use std::path::Path;

impl Corpus {
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
    /// As [`CorpusSet::load`](super::CorpusSet::load).
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
