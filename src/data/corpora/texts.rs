//! Reads corpora of text: one document per line, per table row, per JSON line, or per file.

use super::builder::CorpusBuilder;
use super::columns::Columns;
use super::corpus_rules::CorpusRules;
use super::counter::Counter;
use super::lines::Origin;
use super::{Corpus, Format, json, tables, unpack};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Texts that can be read twice: first to count words, then to write documents.
pub(super) enum Texts<'a> {
    Lines(Origin<'a>, &'a Columns),
    JsonLines(Origin<'a>, &'a Columns),
    /// A table, with its delimiter; `None`: the delimiter is detected.
    Table(Origin<'a>, Option<u8>, &'a Columns),
    /// A folder, its `.txt` files, and the number of files left out because their ending is not in lower case.
    Files {
        folder: &'a Path,
        files: Vec<PathBuf>,
        skipped_uppercase: usize,
        columns: &'a Columns,
    },
}

impl<'a> Texts<'a> {
    /// Opens the texts of a source in a format; `None` for a format of counts.
    ///
    /// # Errors
    /// Fails if a folder cannot be listed or holds no text, or if columns are named for a format without columns.
    pub fn open(format: Format, origin: Origin<'a>, columns: &'a Columns) -> Result<Option<Self>> {
        let texts = match format {
            Format::Csv => Texts::Table(origin, None, columns),
            Format::Tsv => Texts::Table(origin, Some(b'\t'), columns),
            Format::JsonLines => Texts::JsonLines(origin, columns),
            Format::Text => Texts::Lines(origin, columns),
            Format::Folder => Self::from_folder(origin.path(), columns)?,
            _ => return Ok(None),
        };
        if matches!(texts, Texts::Lines(..) | Texts::Files { .. }) && (columns.text.is_some() || columns.id.is_some()) {
            let problem = format!(
                "is read as {}, which has no columns; to read a table, write csv:{}",
                if format == Format::Folder { "a folder of texts" } else { "one text per line" },
                origin.path().display()
            );
            return Err(Error::file(origin.path(), problem));
        }
        Ok(Some(texts))
    }

    /// All `.txt` and `.txt.gz` files in a folder and the folders in it, sorted by their paths.
    fn from_folder(folder: &'a Path, columns: &'a Columns) -> Result<Self> {
        let (mut files, mut skipped_uppercase) = (Vec::new(), Vec::new());
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let wrong = |error: std::io::Error| Error::caused(&folder, "cannot be listed", error);
            for entry in std::fs::read_dir(&folder).map_err(wrong)? {
                let entry = entry.map_err(wrong)?;
                let (path, kind) = (entry.path(), entry.file_type().map_err(wrong)?);
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // Links to folders are not followed, since they may form a cycle.
                if kind.is_dir() {
                    folders.push(path);
                } else if is_text(&name) && path.is_file() {
                    files.push(path);
                } else if is_text(&name.to_lowercase()) && path.is_file() {
                    skipped_uppercase.push(path);
                }
            }
        }
        if files.is_empty() {
            let problem = match skipped_uppercase.first().and_then(|path| path.file_name()) {
                None => String::new(),
                Some(name) => {
                    format!("; the ending of '{}' is not in lower case: rename it to .txt", name.to_string_lossy())
                }
            };
            return Err(Error::file(folder, format!("holds no .txt file (each would be one document){problem}")));
        }
        files.sort_unstable();
        Ok(Texts::Files { folder, files, skipped_uppercase: skipped_uppercase.len(), columns })
    }

    /// Calls `each` with every text and its title, if there is one. Returns notes for the user about how the texts were
    /// read.
    pub fn visit(&self, each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>) -> Result<Vec<String>> {
        let (note, columns) = match self {
            Texts::Lines(origin, columns) => {
                let mut lines = origin.lines()?;
                while lines.advance()? {
                    each(lines.text()?, None)?;
                }
                (lines.note(), columns)
            }
            Texts::JsonLines(origin, columns) => (json::visit(*origin, columns, each)?, columns),
            Texts::Table(origin, separated, columns) => return tables::visit(*origin, *separated, columns, each),
            Texts::Files { folder, files, skipped_uppercase, columns } => {
                let mut replaced = 0;
                for path in files {
                    let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
                    let (text, of_file) = Origin::File(path).read_all()?;
                    replaced += of_file;
                    each(&text, Some(&name))?;
                }
                let left_out = (*skipped_uppercase > 0).then(|| {
                    format!(
                        "files left out because their ending is not in lower case: {skipped_uppercase}; rename them to \
                         .txt"
                    )
                });
                return Ok([left_out, unpack::note(replaced), columns.without_table()].into_iter().flatten().collect());
            }
        };
        Ok(note.into_iter().chain(columns.without_table()).collect())
    }

    /// Returns the label of a document: its title, else its beginning; for a file, its name and its beginning.
    fn label(&self, text: &str, title: Option<&str>) -> String {
        match (self, title.filter(|title| !title.trim().is_empty())) {
            (Texts::Files { .. }, Some(name)) => label(&format!("{name}: {text}")),
            (_, title) => label(title.unwrap_or(text)),
        }
    }
}

/// Returns whether a file of a folder is a document, by its name.
fn is_text(name: &str) -> bool {
    name.ends_with(".txt") || name.ends_with(".txt.gz")
}

/// Reads a corpus: counts words, selects the vocabulary, and encodes the documents. Errors call the corpus `name`.
pub(super) fn read(name: &Path, texts: &Texts<'_>, rules: &CorpusRules, mut builder: CorpusBuilder) -> Result<Corpus> {
    let CorpusRules { text: text_rules, split, .. } = rules;
    text_rules.check()?;
    let mut counter = Counter::new(text_rules);
    let mut documents = 0;
    let notes = texts.visit(&mut |text, _| {
        if !split.tests_text(documents, text) {
            counter.add(text);
        }
        documents += 1;
        Ok(())
    })?;
    if documents == 0 {
        return Err(Error::file(name, "holds no document"));
    }
    let (vocabulary, report) = counter.vocabulary().map_err(|error| error.in_file(name))?;
    texts.visit(&mut |text, title| {
        builder.push_text(text, vocabulary.encode(text).document, &texts.label(text, title))
    })?;
    if builder.len() != documents {
        return Err(Error::file(name, "changed while it was read"));
    }
    // Word numbers of a vocabulary start at 0.
    Ok(builder.finish(vocabulary.into_words(), 0, Some(report))?.with_notes(notes))
}

/// The most characters of a label, so that it fits in a line.
const LABEL_CHARACTERS: usize = 80;

/// Shortens a text to its first [`LABEL_CHARACTERS`] characters; runs of white space become one blank.
pub(super) fn label(text: &str) -> String {
    let mut label = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        if !label.is_empty() {
            label.push(' ');
            characters += 1;
        }
        for character in word.chars() {
            if characters >= LABEL_CHARACTERS {
                label.truncate(label.trim_end().len());
                label.push('…');
                return label;
            }
            label.push(character);
            characters += 1;
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_short_line() {
        assert_eq!(label(" A title\r\n\tof two  lines "), "A title of two lines");
        assert_eq!(label(""), "");
        assert_eq!(label(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(label(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
        assert_eq!(label(&format!("{} b", "a".repeat(79))), format!("{}…", "a".repeat(79)));
    }
}
