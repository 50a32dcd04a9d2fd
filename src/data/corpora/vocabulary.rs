//! Vocabularies: words and their numbers.

use super::lines::Origin;
use super::{Document, TextRules};
use crate::error::{Error, Result};
use crate::platform::files::write_file;
use std::collections::HashMap;
use std::path::Path;

/// Words by number, and the rules by which text is split into words.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Numbers by spelling, for words of foreign vocabularies that the rules spell differently; the first of equal
    /// spellings.
    numbers_by_spelling: HashMap<String, u32>,
    rules: TextRules,
}

/// A text as a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The words of the text that the vocabulary has, with their counts.
    pub document: Document,
    /// The number of words that pass the rules but are not in the vocabulary, with repetitions.
    pub unknown: u64,
}

impl Vocabulary {
    /// Makes a vocabulary from words; the first has number 0.
    ///
    /// # Errors
    /// Fails if there is no word, or if a word is empty, has a line break, or is repeated.
    pub fn new(words: Vec<String>, rules: TextRules) -> Result<Self> {
        if words.is_empty() {
            return Err(Error::parameter("size of a vocabulary", 0, "at least 1"));
        }
        if let Some(flaw) = flaw(&words) {
            let (number, allowed) = match flaw {
                Flaw::Broken(number) => (number, "not empty and on one line".into()),
                Flaw::Repeated(first, number) => (number, format!("other than word {first}, the same")),
            };
            let name = format!("word {number} of a vocabulary");
            return Err(Error::parameter(name, format!("{:?}", words[number]), allowed));
        }
        let numbers: HashMap<String, u32> = (0..).zip(&words).map(|(number, word)| (word.clone(), number)).collect();
        let mut numbers_by_spelling = HashMap::new();
        for (number, word) in (0..).zip(&words) {
            let mut runs = rules.runs(word);
            if let (Some(spelt), None) = (runs.next(), runs.next())
                && spelt != word.as_str()
            {
                numbers_by_spelling.entry(spelt.into_owned()).or_insert(number);
            }
        }
        Ok(Self { words, numbers, numbers_by_spelling, rules })
    }

    /// Reads a vocabulary from a text file with one word per line.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or holds no vocabulary; the message names the file.
    pub fn read(path: &Path, rules: TextRules) -> Result<Self> {
        Self::new(read_words(Origin::File(path))?, rules).map_err(|error| Error::file(path, error))
    }

    /// Writes the words to a text file, one per line.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_words(path, &self.words)
    }

    /// Returns the words, by number.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Returns the words, by number, without the rules.
    pub fn into_words(self) -> Vec<String> {
        self.words
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns `false`: there is at least one word.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the number of a word, in the spelling of the vocabulary or in that of the rules.
    pub fn number(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).or_else(|| self.numbers_by_spelling.get(word)).copied()
    }

    /// Counts the words of a text. A word of the vocabulary is counted even if the rules would exclude it, since the
    /// vocabulary may come from elsewhere.
    pub fn encode(&self, text: &str) -> Encoded {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut unknown = 0;
        for word in self.rules.runs(text) {
            if let Some(number) = self.number(&word) {
                let count = counts.entry(number).or_default();
                *count = count.saturating_add(1);
            } else {
                unknown += u64::from(self.rules.excluding_rule(&word).is_none());
            }
        }
        let mut document: Document = counts.into_iter().collect();
        document.sort_unstable();
        Encoded { document, unknown }
    }
}

/// A fault of a list of words, with word numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The word is empty, or contains a line break.
    Broken(usize),
    /// The word occurs twice: its first and its second number.
    Repeated(usize, usize),
}

impl Flaw {
    /// Returns the fault as the end of a sentence. `place` says where in its file the word of a number is.
    pub fn describe(self, place: impl Fn(usize) -> String) -> String {
        match self {
            Flaw::Broken(number) => format!("{} is empty or has a line break, but must hold a word", place(number)),
            Flaw::Repeated(first, second) => format!(
                "{} repeats the word of {}, but each word has one number: name the two apart, or count both by the \
                 first number",
                place(second),
                place(first)
            ),
        }
    }
}

/// Returns the first fault of a list of words.
pub(super) fn flaw(words: &[String]) -> Option<Flaw> {
    let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(words.len());
    words.iter().enumerate().find_map(|(number, word)| {
        if word.is_empty() || word.contains(['\n', '\r']) {
            return Some(Flaw::Broken(number));
        }
        numbers.insert(word, number).map(|first| Flaw::Repeated(first, number))
    })
}

/// Reads a file of words, one per line.
pub(super) fn read_words(origin: Origin<'_>) -> Result<Vec<String>> {
    let mut lines = origin.lines()?;
    let mut words = Vec::new();
    while lines.advance()? {
        let word = lines.text()?;
        if word.is_empty() {
            return Err(lines.wrong("is empty, but must hold a word"));
        }
        words.push(word.to_string());
    }
    Ok(words)
}

/// Writes a file of words, one per line.
pub(super) fn write_words(path: &Path, words: &[String]) -> Result<()> {
    let mut text = words.join("\n");
    text.push('\n');
    write_file(path, text.as_bytes())
}
