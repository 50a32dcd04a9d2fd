//! Words and their numbers.

use super::lines::Origin;
use super::{Document, TextRules};
use crate::error::{Error, Result};
use crate::platform::files::write_file;
use std::collections::HashMap;
use std::path::Path;

/// Words by their numbers, and the rules by which a text was, and will be, cut into them.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Of words that come from elsewhere and are spelt in another way than the rules want them, by this spelling: the
    /// first of each.
    respelt: HashMap<String, u32>,
    rules: TextRules,
}

/// A text as a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The words that the vocabulary has.
    pub document: Document,
    /// How many words, each as often as it occurs, pass the rules but are not in the vocabulary.
    pub unknown: u64,
}

impl Vocabulary {
    /// From words, the first of which has number 0.
    ///
    /// # Errors
    /// When there is no word, or one is empty, has a line break, or is there twice.
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
        let mut respelt = HashMap::new();
        for (number, word) in (0..).zip(&words) {
            let mut runs = rules.runs(word);
            if let (Some(spelt), None) = (runs.next(), runs.next())
                && spelt != word.as_str()
            {
                respelt.entry(spelt.into_owned()).or_insert(number);
            }
        }
        Ok(Self { words, numbers, respelt, rules })
    }

    /// From a text file with one word a line.
    ///
    /// # Errors
    /// When it cannot be read, or holds no vocabulary; the message names it.
    pub fn read(path: &Path, rules: TextRules) -> Result<Self> {
        Self::new(read_words(Origin::File(path))?, rules).map_err(|error| Error::file(path, error))
    }

    /// To a text file with one word a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_words(path, &self.words)
    }

    /// The words, by their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The words alone.
    pub fn into_words(self) -> Vec<String> {
        self.words
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The number of a word, spelt as the vocabulary has it, or else as the rules want it.
    pub fn number(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).or_else(|| self.respelt.get(word)).copied()
    }

    /// A text as a document. A word of the vocabulary counts even where the rules would leave it out of a new one,
    /// since vocabularies come from elsewhere, too.
    pub fn encode(&self, text: &str) -> Encoded {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut unknown = 0;
        for word in self.rules.runs(text) {
            if let Some(number) = self.number(&word) {
                let count = counts.entry(number).or_default();
                *count = count.saturating_add(1);
            } else {
                unknown += u64::from(self.rules.refuses(&word).is_none());
            }
        }
        let mut document: Document = counts.into_iter().collect();
        document.sort_unstable();
        Encoded { document, unknown }
    }
}

/// A word that no vocabulary can have, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is empty, or takes more than a line.
    Broken(usize),
    /// It is there twice: its first number, and its second.
    Repeated(usize, usize),
}

impl Flaw {
    /// What is wrong, as a sentence goes on after the name of the words' file; `place` shows where in it a word of a
    /// number is.
    pub fn shown(self, place: impl Fn(usize) -> String) -> String {
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

/// The first flaw of a list of words.
pub(super) fn flaw(words: &[String]) -> Option<Flaw> {
    let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(words.len());
    words.iter().enumerate().find_map(|(number, word)| {
        if word.is_empty() || word.contains(['\n', '\r']) {
            return Some(Flaw::Broken(number));
        }
        numbers.insert(word, number).map(|first| Flaw::Repeated(first, number))
    })
}

/// The lines of a file of words.
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

pub(super) fn write_words(path: &Path, words: &[String]) -> Result<()> {
    let mut text = words.join("\n");
    text.push('\n');
    write_file(path, text.as_bytes())
}
