//! Words and their numbers.

use super::lines::Origin;
use super::{Document, TextRules};
use crate::error::{Error, Result};
use crate::platform::files::replace;
use std::collections::HashMap;
use std::path::Path;

/// Words by their numbers, and the rules by which a text was, and will be, cut into them.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
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
        let mut numbers = HashMap::with_capacity(words.len());
        for (number, word) in (0..).zip(&words) {
            if word.is_empty() || word.contains(['\n', '\r']) {
                let name = format!("word {number} of a vocabulary");
                return Err(Error::parameter(name, format!("{word:?}"), "not empty and on one line"));
            }
            if let Some(first) = numbers.insert(word.clone(), number) {
                let name = format!("word {number} of a vocabulary");
                return Err(Error::parameter(name, format!("{word:?}"), format!("other than word {first}, the same")));
            }
        }
        Ok(Self { words, numbers, rules })
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

    /// The number of a word, spelt as the rules want it.
    pub fn number(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// A text as a document. A word of the vocabulary counts even where the rules would leave it out of a new one, since vocabularies come from
    /// elsewhere, too.
    pub fn encode(&self, text: &str) -> Encoded {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut unknown = 0;
        for word in self.rules.runs(text) {
            if let Some(number) = self.number(&word) {
                let count = counts.entry(number).or_default();
                *count = count.saturating_add(1);
            } else {
                unknown += u64::from(self.rules.keep(&word));
            }
        }
        let mut document: Document = counts.into_iter().collect();
        document.sort_unstable();
        Encoded { document, unknown }
    }
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
    replace(path, text.as_bytes()).map_err(|error| Error::file(path, format!("cannot be written ({error})")))
}

/// The most different words that are counted at once: beyond it, the rarest are forgotten.
const MOST_COUNTED: usize = 2_000_000;

/// Counts in how many documents each word is, in memory that does not grow beyond a bound.
pub(super) struct Counter<'a> {
    rules: &'a TextRules,
    words: HashMap<String, Seen>,
    documents: u64,
    most: usize,
    /// Words in at most so many documents may have been forgotten.
    forgotten: u64,
}

struct Seen {
    documents: u64,
    /// The last of them, counted from 1.
    last: u64,
}

impl<'a> Counter<'a> {
    pub fn new(rules: &'a TextRules) -> Self {
        Self { rules, words: HashMap::new(), documents: 0, most: MOST_COUNTED, forgotten: 0 }
    }

    /// Counts a training document.
    pub fn add(&mut self, text: &str) {
        self.documents += 1;
        let last = self.documents;
        for word in self.rules.words(text) {
            if let Some(seen) = self.words.get_mut(&*word) {
                seen.documents += u64::from(seen.last != last);
                seen.last = last;
                continue;
            }
            if self.words.len() >= self.most {
                self.forgotten += 1;
                let rare = self.forgotten;
                self.words.retain(|_, seen| seen.documents > rare);
            }
            self.words.insert(word.into_owned(), Seen { documents: 1, last });
        }
    }

    /// The words that pass, in alphabetical order (of code points).
    ///
    /// # Errors
    /// When there is none.
    pub fn vocabulary(self) -> Result<Vocabulary> {
        let (found, rules) = (self.words.len(), self.rules);
        let most = rules.max_share * self.documents as f64;
        let passes = |seen: &Seen| seen.documents >= rules.min_documents && seen.documents as f64 <= most;
        let mut words: Vec<(String, u64)> = self
            .words
            .into_iter()
            .filter(|(_, seen)| passes(seen))
            .map(|(word, seen)| (word, seen.documents))
            .collect();
        if words.is_empty() {
            return Err(Error::Config(format!(
                "no word is left for the vocabulary: of {found} different words in {} training documents, none is in at least {} of them \
                 and in at most a share of {}; change min_documents or max_share",
                self.documents, rules.min_documents, rules.max_share
            )));
        }
        words.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        words.truncate(rules.max_words);
        let mut words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
        words.sort_unstable();
        Vocabulary::new(words, rules.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_counter_forgets_the_rarest_words() {
        let rules = TextRules { min_documents: 2, max_share: 1.0, ..TextRules::default() };
        let mut counter = Counter::new(&rules);
        counter.most = 4;
        for text in ["water water rare", "water scarce", "water seldom", "water unique", "water single unique"] {
            counter.add(text);
            assert!(counter.words.len() <= 4);
        }
        // `unique` was there when the table was full for the first time, in one document.
        assert_eq!(counter.forgotten, 1);
        assert_eq!(counter.vocabulary().unwrap().words(), ["unique", "water"]);
    }
}
