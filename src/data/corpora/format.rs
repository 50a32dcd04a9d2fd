//! The formats that corpora come in, and how they are recognised.

use super::builder::is_store;
use super::lines::Origin;
use crate::error::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a file or a folder holds a corpus. All but the last two may be gzipped.
///
/// Text becomes words by [`TextRules`](super::TextRules), and must be UTF-8; a byte order mark and carriage returns are no part of it. Counts are taken
/// as they are. The words of counts lie beside their file: in a file of the same name that ends in `.vocab` or `.tokens`, or in `vocab.txt` (`vocab.NAME.txt`
/// beside `docword.NAME.txt`), a word a line; where there is none, words are called by their numbers. Titles, a line each, lie in a file that ends in
/// `.titles`.
///
/// Of every ten documents the last is for testing, except in an archive or a store, which say themselves. Documents without words keep their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A document a line.
    Text,
    /// A folder: a document in each `.txt`, also in folders within, sorted by path.
    Folder,
    /// A JSON object a line, its text in the field `text`, its title in `title` if it has one; blank lines are skipped.
    JsonLines,
    /// The bags of words of the UCI repository: three lines with the numbers of documents, words and entries, then `document word count` a line, both counted
    /// from 1, sorted by document.
    Uci,
    /// Blei's LDA-C: a document a line, `N word:count ...` with `N` entries, words counted from 0.
    LdaC,
    /// SVMlight, libsvm: a document a line, `label word:count ... # comment`, words counted from 1, or from 0 where a 0 occurs; the label is not used.
    SvmLight,
    /// NumPy's archive, see [`Corpus::read_npz`](super::Corpus::read_npz).
    Npz,
    /// A folder that an earlier [`load`](super::CorpusSet::load) has stored a corpus in.
    Store,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 8] = [
        Format::Text,
        Format::Folder,
        Format::JsonLines,
        Format::Uci,
        Format::LdaC,
        Format::SvmLight,
        Format::Npz,
        Format::Store,
    ];

    /// What a user calls it: `text`, `folder`, `jsonl`, `uci`, `ldac`, `svmlight`, `npz`, `store`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Folder => "folder",
            Format::JsonLines => "jsonl",
            Format::Uci => "uci",
            Format::LdaC => "ldac",
            Format::SvmLight => "svmlight",
            Format::Npz => "npz",
            Format::Store => "store",
        }
    }

    /// By its [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// From the name of a file or folder, and from its start where the name says nothing.
    ///
    /// # Errors
    /// When there is nothing of this name, or it is in no format that is known.
    pub fn recognise(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(if is_store(path) { Format::Store } else { Format::Folder });
        }
        if !path.is_file() {
            return Err(Error::file(
                path,
                "no such file or folder; a corpus is reuters-395, 20news, reuters21578, rcv1-sample, or a path",
            ));
        }
        let (_, name) = plain_name(path);
        let extension = Path::new(&name).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            _ if name.starts_with("docword.") => Ok(Format::Uci),
            "npz" => Ok(Format::Npz),
            "jsonl" | "ndjson" => Ok(Format::JsonLines),
            "ldac" | "lda-c" => Ok(Format::LdaC),
            "svmlight" | "libsvm" | "svm" => Ok(Format::SvmLight),
            "txt" | "text" => Ok(Format::Text),
            _ => by_content(path),
        }
    }

    /// Where the words of a file of counts may lie, the likeliest first.
    pub(super) fn vocabularies(path: &Path) -> Vec<PathBuf> {
        let (folder, name) = plain_name(path);
        let beside = name.strip_prefix("docword.").map(|name| folder.join(format!("vocab.{name}")));
        let stem = folder.join(&name);
        let same = ["vocab", "tokens"].map(|extension| stem.with_extension(extension));
        beside.into_iter().chain(same).chain([folder.join("vocab.txt")]).flat_map(plain_or_gzipped).collect()
    }

    /// Where the titles of a file of counts may lie.
    pub(super) fn titles(path: &Path) -> Vec<PathBuf> {
        let (folder, name) = plain_name(path);
        plain_or_gzipped(folder.join(name).with_extension("titles")).into()
    }
}

/// The folder of a file, and its name without `.gz`.
fn plain_name(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".gz").map(String::from).unwrap_or(name);
    (path.parent().unwrap_or(Path::new("")).to_path_buf(), name)
}

fn plain_or_gzipped(path: PathBuf) -> [PathBuf; 2] {
    let mut gzipped = path.clone().into_os_string();
    gzipped.push(".gz");
    [path, gzipped.into()]
}

/// How much of a file is looked at.
const START: u64 = 1 << 16;

/// From the first line that is not blank.
fn by_content(path: &Path) -> Result<Format> {
    let mut start = Vec::new();
    let read = Origin::File(path).open()?.take(START).read_to_end(&mut start);
    read.map_err(|error| Error::file(path, format!("cannot be read ({error}); get the file again")))?;
    if start.starts_with(b"PK") {
        return Ok(Format::Npz);
    }
    let start = String::from_utf8_lossy(&start);
    let mut lines = start.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    let is_number = |item: &str| item.parse::<u64>().is_ok();
    let is_entry =
        |item: &str| item.split_once(':').is_some_and(|(word, count)| is_number(word) && count.parse::<f64>().is_ok());
    let mut items = first.split_ascii_whitespace();
    let label = items.next().unwrap_or_default();
    let entries: Vec<bool> = items.take_while(|item| !item.starts_with('#')).map(is_entry).collect();
    // The last entry may be cut off.
    let are_entries = entries.iter().rev().skip(1).all(|is_entry| *is_entry) && entries.first() == Some(&true);
    if first.trim_start().starts_with('{') {
        Ok(Format::JsonLines)
    } else if are_entries && label.parse() == Ok(entries.len()) {
        Ok(Format::LdaC)
    } else if are_entries && label.parse::<f64>().is_ok() {
        Ok(Format::SvmLight)
    } else if is_number(first.trim()) && lines.take(2).filter(|line| is_number(line.trim())).count() == 2 {
        Ok(Format::Uci)
    } else {
        let names: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
        let problem = format!("is in no format that is recognised; say which, as in text:PATH ({})", names.join(", "));
        Err(Error::file(path, problem))
    }
}
