//! Corpora from files and bytes.

use super::columns::Columns;
use super::corpus::Corpus;
use super::corpus_rules::CorpusRules;
use super::format::Format;
use super::sets::CorpusSet;
use super::{npz, sets};
use crate::error::Result;
use crate::formats::npz::Archive;
use std::path::Path;

impl Corpus {
    /// An `.npz` of compressed sparse rows: `{train,test}_{ptr,words,counts}`, and `vocab`, the bytes of a list joined
    /// by newlines.
    ///
    /// # Errors
    /// When the file is missing, truncated or malformed; the message names it, and the array.
    pub fn read_npz(path: &Path) -> Result<Self> {
        npz::read(path, Archive::open(path)?)
    }

    /// From the bytes of a file, plain or gzipped, in any [`Format`] but those that are folders. `name` is what errors
    /// call it; `words` are the bytes of the file of words that lies beside a file of counts; `rules` are how it is
    /// read: those for text alone will do.
    ///
    /// # Errors
    /// As [`CorpusSet::load`](super::CorpusSet::load).
    pub fn parse(
        format: Format,
        name: &Path,
        bytes: &[u8],
        words: Option<&[u8]>,
        rules: impl Into<CorpusRules>,
    ) -> Result<Self> {
        sets::parse(format, name, bytes, words, &rules.into())
    }
}

/// Calls `each` with every text of a source, and what its document is called, if anything: of a file with a text a
/// line, a table, JSON lines, a folder of `.txt` files, or standard input (`-`); a format may stand before the path, as
/// in `csv:PATH`. Returns what a user should know of how the source was read.
///
/// # Errors
/// When the source cannot be read or holds no text, and those of `each`.
pub fn visit_texts(
    source: &CorpusSet,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Vec<String>> {
    sets::visit_texts(source, columns, each)
}
