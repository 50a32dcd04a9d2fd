//! Reads corpora from files and bytes, and texts one by one.

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
    /// Reads an `.npz` of compressed sparse rows: the arrays `{train,test}_{ptr,words,counts}`, and `vocab`, the bytes
    /// of the words joined by newlines.
    ///
    /// # Errors
    /// Fails if the file is missing, truncated or malformed; the message names the file and the array.
    pub fn read_npz(path: &Path) -> Result<Self> {
        npz::read(path, Archive::open(path)?)
    }

    /// Reads a corpus from the bytes of a file, gzipped or not, in any [`Format`] that is not a folder. Errors call it
    /// `name`. `words` are the bytes of the file of words that accompanies a file of counts. `rules` may be rules for
    /// text alone.
    ///
    /// # Errors
    /// Fails as [`CorpusSet::load`](super::CorpusSet::load) does.
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

/// Calls `each` with the text and the label of every document of a source: a file with one text per line, a table, JSON
/// lines, a folder of `.txt` files, or standard input (`-`). A format may precede the path, as in `csv:PATH`. Returns
/// notes for the user about how the source was read.
///
/// # Errors
/// Fails if the source cannot be read or holds no text, and as `each` does.
pub fn visit_texts(
    source: &CorpusSet,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Vec<String>> {
    sets::visit_texts(source, columns, each)
}
