//! The file formats of corpora, and their detection.

use super::builder::is_store;
use super::json::conversion_command;
use super::lines::Origin;
use super::{tables, unpack};
use crate::error::{Error, Result};
use crate::platform::open::kind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The format of a file or a folder with a corpus. All files but the last two formats may be gzipped.
///
/// Text is split into words by [`TextRules`](super::TextRules). It must be UTF-8, or UTF-16 with a byte order mark; the
/// mark and carriage returns are removed. Counts are taken as they are. The words of counts are in a file beside: one
/// of the same name that ends in `.vocab` or `.tokens`, or `vocab.txt` (`vocab.NAME.txt` beside `docword.NAME.txt`),
/// with one word per line. Without such a file, words are named by their numbers. Titles, one per line, are in a file
/// that ends in `.titles`.
///
/// A [`Split`](super::Split) chooses the documents for testing; only an archive or a store names them itself. Documents
/// without words stay in the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One document per line.
    Text,
    /// A folder: one document in each `.txt` file, also in folders within, sorted by path.
    Folder,
    /// One JSON object per line, with the text in the field `text`, and the title in `title` if there is one; blank
    /// lines are skipped.
    JsonLines,
    /// Comma-separated values, one document per row. The text is in the column that [`Columns`](super::Columns) names,
    /// or in the only column with a usual name for text. Semicolons, tabs and vertical bars may replace commas; fields
    /// may be in double quotes, and then have line breaks.
    Csv,
    /// A table as in [`Csv`](Self::Csv), with tabs.
    Tsv,
    /// The bags of words of the UCI repository: three lines with the numbers of documents, words and entries, then one
    /// `document word count` per line, both numbered from 1, sorted by document.
    Uci,
    /// Blei's LDA-C: one document per line, `N word:count ...` with `N` entries, words numbered from 0.
    LdaC,
    /// SVMlight and libsvm: one document per line, `label word:count ... # comment`, words numbered from 1, or from 0
    /// if a word 0 occurs; the label is ignored.
    SvmLight,
    /// NumPy's archive; see [`Corpus::read_npz`](super::Corpus::read_npz).
    Npz,
    /// A folder in which [`load`](super::CorpusSet::load) has stored a corpus.
    Store,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 10] = [
        Format::Text,
        Format::Folder,
        Format::JsonLines,
        Format::Csv,
        Format::Tsv,
        Format::Uci,
        Format::LdaC,
        Format::SvmLight,
        Format::Npz,
        Format::Store,
    ];

    /// Returns the format's name for users: `text`, `folder`, `jsonl`, `csv`, `tsv`, `uci`, `ldac`, `svmlight`, `npz`,
    /// `store`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Folder => "folder",
            Format::JsonLines => "jsonl",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Uci => "uci",
            Format::LdaC => "ldac",
            Format::SvmLight => "svmlight",
            Format::Npz => "npz",
            Format::Store => "store",
        }
    }

    /// Returns the format with this [`name`](Self::name); `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the given format, or else the one that [`recognise`](Self::recognise) finds. Fails if the path cannot be
    /// read twice.
    pub(super) fn or_recognise(given: Option<Self>, path: &Path) -> Result<Self> {
        check_rereadable(path)?;
        given.map_or_else(|| Self::recognise(path), Ok)
    }

    /// Detects the format from the beginning of a file, and from its name if the beginning is ambiguous; for a folder,
    /// from its content.
    ///
    /// # Errors
    /// Fails if the path does not exist, or if its format is unknown.
    pub fn recognise(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(if is_store(path) { Format::Store } else { Format::Folder });
        }
        if !path.is_file() {
            return Err(Error::file(
                path,
                "no such file or folder; a corpus is reuters-395, 20news, reuters21578, rcv1-sample, a path, or - for \
                 standard input",
            ));
        }
        let (_, name) = plain_name(path);
        let extension = Path::new(&name).extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let by_name = match extension.as_str() {
            _ if name.starts_with("docword.") => Some(Format::Uci),
            "npz" => Some(Format::Npz),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "ldac" | "lda-c" => Some(Format::LdaC),
            "svmlight" | "libsvm" | "svm" => Some(Format::SvmLight),
            "txt" | "text" => Some(Format::Text),
            _ => None,
        };
        // Some names determine the format. `.txt`, `.csv` and `.tsv` files may hold other formats.
        if let Some(format) = by_name.filter(|format| !matches!(format, Format::Text | Format::Csv | Format::Tsv)) {
            return Ok(format);
        }
        let origin = Origin::File(path);
        let start = unpack::read_start(path, origin.open()?)?.0;
        if is_npz(&start) {
            return Ok(Format::Npz);
        }
        let (start, _) = unpack::read_start(path, origin.open_text()?.reader)?;
        by_content(&start, by_name.is_some()).or(by_name).ok_or_else(|| {
            if start.trim_ascii_start().starts_with(b"[") {
                return Error::file(
                    path,
                    format!(
                        "is a JSON list, which is not read; write each of its entries into a line of its own{}",
                        conversion_command(path)
                    ),
                );
            }
            let names: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
            let problem = format!(
                "is in no format that is recognised; say which, as in text:{} ({})",
                path.display(),
                names.join(", ")
            );
            Error::file(path, problem)
        })
    }

    /// Detects the format of standard input from its beginning; one text per line if the beginning is ambiguous.
    ///
    /// # Errors
    /// Fails if the input is not text.
    pub(super) fn of_stream(origin: Origin<'_>) -> Result<Self> {
        let start = unpack::read_start(origin.path(), origin.open()?)?.0;
        if is_npz(&start) {
            return Ok(Format::Npz);
        }
        let (start, _) = unpack::read_start(origin.path(), origin.open_text()?.reader)?;
        Ok(by_content(&start, true).unwrap_or(Format::Text))
    }

    /// Returns paths where the words of a file of counts may be, the most likely first.
    pub(super) fn vocabularies(path: &Path) -> Vec<PathBuf> {
        let (folder, name) = plain_name(path);
        let beside = name.strip_prefix("docword.").map(|name| folder.join(format!("vocab.{name}")));
        let stem = folder.join(&name);
        let same = ["vocab", "tokens"].map(|extension| stem.with_extension(extension));
        beside.into_iter().chain(same).chain([folder.join("vocab.txt")]).flat_map(plain_or_gzipped).collect()
    }

    /// Returns paths where the titles of a file of counts may be.
    pub(super) fn titles(path: &Path) -> Vec<PathBuf> {
        let (folder, name) = plain_name(path);
        plain_or_gzipped(folder.join(name).with_extension("titles")).into()
    }
}

/// Checks that a path is not a pipe or a device: text is read twice, the first time to count words.
fn check_rereadable(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    let advice = match found.file_type() {
        found if found.is_file() || found.is_dir() => return Ok(()),
        found if found.is_fifo() => {
            "which can be read only once: hand it over as standard input, COMMAND | gengs-topics ..., and name - in \
             its place"
        }
        _ => "and no file or folder of documents",
    };
    Err(Error::file(path, format!("is {}, {advice}", kind(found.file_type()))))
}

/// Returns the folder of a file, and its name without `.gz`.
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

/// Returns whether a file starts as an archive of NumPy: its first entry is an array.
fn is_npz(start: &[u8]) -> bool {
    let length = start.get(26..28).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    start.starts_with(b"PK\x03\x04") && start.get(30..30 + length).is_some_and(|name| name.ends_with(b".npy"))
}

/// Detects a format from the first lines that are not blank. If `strictly`, lines that could be text have no format.
fn by_content(start: &[u8], strictly: bool) -> Option<Format> {
    let text = String::from_utf8_lossy(start);
    let mut lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    let is_number = |item: &str| item.parse::<u64>().is_ok();
    let is_entry =
        |item: &str| item.split_once(':').is_some_and(|(word, count)| is_number(word) && count.parse::<f64>().is_ok());
    let mut items = first.split_ascii_whitespace();
    let label = items.next().unwrap_or_default();
    let entries: Vec<bool> = items.take_while(|item| !item.starts_with('#')).map(is_entry).collect();
    // The last entry may be truncated.
    let are_entries = entries.iter().rev().skip(1).all(|is_entry| *is_entry) && entries.first() == Some(&true);
    let numbers: Vec<&str> = lines.take(3).collect();
    let is_uci = is_number(first.trim())
        && numbers.len() >= 2
        && numbers[..2].iter().all(|line| is_number(line.trim()))
        && (!strictly
            || numbers
                .get(2)
                .is_some_and(|line| line.split_ascii_whitespace().filter(|item| is_number(item)).count() == 3));
    let is_object = || serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(first).is_ok();
    if first.trim_start().starts_with('{') && (!strictly || is_object()) {
        Some(Format::JsonLines)
    } else if are_entries && label.parse() == Ok(entries.len()) {
        Some(Format::LdaC)
    } else if are_entries && label.parse::<f64>().is_ok() {
        Some(Format::SvmLight)
    } else if is_uci {
        Some(Format::Uci)
    } else if tables::is_table(start) {
        Some(Format::Csv)
    } else {
        None
    }
}
