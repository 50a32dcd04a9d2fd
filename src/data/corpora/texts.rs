//! Corpora of text: a document a line, JSON a line, or a document a file.

use super::builder::{CorpusBuilder, is_for_testing};
use super::lines::Origin;
use super::vocabulary::Counter;
use super::{Corpus, TextRules};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Texts that can be read twice: once to count words, once to write documents.
pub(super) enum Texts<'a> {
    Lines(Origin<'a>),
    JsonLines(Origin<'a>),
    Files(Vec<PathBuf>),
}

/// A line of JSON; other fields are left alone.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
}

impl Texts<'_> {
    /// All `.txt` and `.txt.gz` files in a folder and the folders in it, sorted by their paths.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let wrong = |error| Error::file(&folder, format!("cannot be listed: {error}"));
            for entry in std::fs::read_dir(&folder).map_err(wrong)? {
                let entry = entry.map_err(wrong)?;
                let (path, kind) = (entry.path(), entry.file_type().map_err(wrong)?);
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // Links to folders are not followed: they may lead back.
                if kind.is_dir() {
                    folders.push(path);
                } else if (name.ends_with(".txt") || name.ends_with(".txt.gz")) && path.is_file() {
                    files.push(path);
                }
            }
        }
        if files.is_empty() {
            return Err(Error::file(folder, "holds no .txt file, each of which would be a document"));
        }
        files.sort_unstable();
        Ok(Texts::Files(files))
    }

    /// Calls `each` with every text and its title, if it has one.
    pub fn visit(&self, each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>) -> Result<()> {
        match self {
            Texts::Lines(origin) => {
                let mut lines = origin.lines()?;
                while lines.advance()? {
                    each(lines.text()?, None)?;
                }
            }
            Texts::JsonLines(origin) => {
                let mut lines = origin.lines()?;
                while lines.advance()? {
                    let line = lines.text()?;
                    if line.trim().is_empty() {
                        continue;
                    }
                    // An array would be taken for the fields in their order.
                    if !line.trim_start().starts_with('{') {
                        return Err(lines.wrong("is no JSON object"));
                    }
                    let line: Line<'_> = serde_json::from_str(line).map_err(|error| {
                        let problem = error.to_string();
                        let problem = problem.split(" at line ").next().unwrap_or_default();
                        lines.wrong(&format!(
                            "is no JSON object with a string `text`: {} at byte {}",
                            problem.chars().take(200).collect::<String>(),
                            error.column()
                        ))
                    })?;
                    each(&line.text, line.title.as_deref())?;
                }
            }
            Texts::Files(paths) => {
                for path in paths {
                    each(&Origin::File(path).whole()?, None)?;
                }
            }
        }
        Ok(())
    }
}

/// A corpus by the rules; `name` is what errors call it.
pub(super) fn read(name: &Path, texts: &Texts<'_>, rules: &TextRules, mut builder: CorpusBuilder) -> Result<Corpus> {
    rules.check()?;
    let mut counter = Counter::new(rules);
    let mut position = 0;
    texts.visit(&mut |text, _| {
        if !is_for_testing(position) {
            counter.add(text);
        }
        position += 1;
        Ok(())
    })?;
    if position == 0 {
        return Err(Error::file(name, "holds no document"));
    }
    let vocabulary = counter.vocabulary().map_err(|error| Error::file(name, error))?;
    texts.visit(&mut |text, title| {
        let label = label(title.filter(|title| !title.trim().is_empty()).unwrap_or(text));
        builder.push(vocabulary.encode(text).document, Some(&label))
    })?;
    if builder.len() != position {
        return Err(Error::file(name, "changed while it was read"));
    }
    builder.finish(vocabulary.into_words(), 0)
}

/// The most characters of a label.
const LABEL: usize = 80;

/// A text in short: its first 80 characters, white space made one blank.
pub(super) fn label(text: &str) -> String {
    let mut label = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        if !label.is_empty() {
            label.push(' ');
            characters += 1;
        }
        for character in word.chars() {
            if characters >= LABEL {
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
