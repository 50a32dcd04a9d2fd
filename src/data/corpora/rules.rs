//! The rules that split text into words, and select the words of a vocabulary.

use super::spelling::is_letter;
use super::stop_words::is_stop_word;
use super::{letter_runs, segments};
use crate::choice::choices;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

choices! {
    "segmentation";
    /// The rule for where words begin and end.
    #[derive(Default)]
    pub enum Segmentation {
        /// By Unicode's rules (UAX 29), in one normal form
        #[default]
        Unicode = "unicode",
        /// Runs of letters, as in runs without this setting
        Letters = "letters",
    }
}

/// The rules for what a word is, and which words a vocabulary keeps.
///
/// Words are bounded by Unicode's rules (UAX 29), have at least one letter, and are compared in normal form C. Hyphens
/// and underscores end a word. An apostrophe between two letters belongs to it (`don't`, written with `'` also if the
/// text has `’`), and an English possessive `'s` at its end is removed. Soft hyphens, marks of direction and similar
/// characters are dropped. Words of more than 64 letters are taken for encoded data, and are left out. There is no
/// stemming. Thai, Lao, Khmer, Burmese, Chinese and Japanese, which have no spaces between words, need a segmenter
/// first; what it separates by spaces counts as words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextRules {
    /// The rule for where words begin and end.
    pub segmentation: Segmentation,
    /// Whether words are converted to lower case.
    pub lower_case: bool,
    /// The fewest letters of a word. Letters of scripts without upper and lower case count twice, since these scripts
    /// leave out vowels, or write a syllable or a word with one character: with 3, words of two such letters are kept,
    /// words of one are not.
    pub min_letters: usize,
    /// Whether common English words, from the crate's list, are left out.
    pub stop_words: bool,
    /// The fewest training documents that a word of the vocabulary must occur in.
    pub min_documents: u64,
    /// The largest share of the training documents that a word of the vocabulary may occur in.
    pub max_share: f64,
    /// The most words of a vocabulary. Words in the most training documents are kept; among equals, the alphabetically
    /// first.
    pub max_words: usize,
}

impl Default for TextRules {
    fn default() -> Self {
        Self {
            segmentation: Segmentation::Unicode,
            lower_case: true,
            min_letters: 3,
            stop_words: true,
            min_documents: 3,
            max_share: 0.5,
            max_words: 10_000,
        }
    }
}

/// A rule that leaves words out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The word has fewer letters than `min_letters`.
    MinLetters,
    /// The word has more than 64 letters.
    Longest,
    /// The word is a common English word.
    StopWords,
    /// The word is in fewer documents than `min_documents`.
    MinDocuments,
    /// The word is in a larger share of documents than `max_share`.
    MaxShare,
    /// The word is not among the `max_words` words in the most documents.
    MaxWords,
}

impl Rule {
    /// All rules, in the order in which they are applied.
    pub const ALL: [Rule; 6] =
        [Rule::MinLetters, Rule::Longest, Rule::StopWords, Rule::MinDocuments, Rule::MaxShare, Rule::MaxWords];
}

/// The most letters of a word: longer ones are encoded data, or text without spaces.
const MAX_LETTERS: usize = 64;

impl TextRules {
    /// Checks that the rules can let a word pass.
    ///
    /// # Errors
    /// Fails if no word could pass; the message names the rule.
    pub fn check(&self) -> Result<()> {
        if self.min_letters > MAX_LETTERS {
            return Err(Error::parameter("min-letters", self.min_letters, format!("at most {MAX_LETTERS}")));
        }
        if !(self.max_share > 0.0 && self.max_share <= 1.0) {
            return Err(Error::parameter("max-share", self.max_share, "above 0 and at most 1"));
        }
        if self.max_words == 0 || u32::try_from(self.max_words).is_err() {
            return Err(Error::parameter("max-words", self.max_words, format!("from 1 to {}", u32::MAX)));
        }
        Ok(())
    }

    /// Iterates over the words of a text in order, without those that the rules leave out.
    pub fn words<'t>(&self, text: &'t str) -> impl Iterator<Item = Cow<'t, str>> + use<'t, '_> {
        self.runs(text).filter(|word| self.excluding_rule(word).is_none())
    }

    /// Iterates over all words of a text, in the spelling that the rules determine.
    pub(super) fn runs<'t>(&self, text: &'t str) -> Box<dyn Iterator<Item = Cow<'t, str>> + 't> {
        match self.segmentation {
            Segmentation::Unicode => Box::new(segments::words(text, self.lower_case)),
            Segmentation::Letters => Box::new(letter_runs::runs(text, self.lower_case)),
        }
    }

    /// Returns the rule that leaves a word out of every vocabulary; `None` if no rule does.
    pub(super) fn excluding_rule(&self, word: &str) -> Option<Rule> {
        let letters = self.letters(word);
        let is_stop_word = || if self.lower_case { is_stop_word(word) } else { is_stop_word(&word.to_lowercase()) };
        if letters.counted < self.min_letters {
            Some(Rule::MinLetters)
        } else if letters.written > MAX_LETTERS {
            Some(Rule::Longest)
        } else if self.stop_words && is_stop_word() {
            Some(Rule::StopWords)
        } else {
            None
        }
    }

    /// Counts the letters of a word; stops after the most that a word may have.
    fn letters(&self, word: &str) -> Letters {
        if self.segmentation == Segmentation::Letters {
            let letters = word.chars().filter(|c| c.is_alphabetic()).take(MAX_LETTERS + 1).count();
            return Letters { written: letters, counted: letters };
        }
        let mut letters = Letters { written: 0, counted: 0 };
        for c in word.chars().filter(|&c| is_letter(c)).take(MAX_LETTERS + 1) {
            letters.written += 1;
            letters.counted += if c.is_ascii() || c.is_lowercase() || c.is_uppercase() { 1 } else { 2 };
        }
        letters
    }
}

/// Numbers of letters of a word: those written, and those counted for `min_letters`.
struct Letters {
    written: usize,
    counted: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_word() -> TextRules {
        TextRules { min_letters: 1, stop_words: false, ..TextRules::default() }
    }

    #[track_caller]
    fn check(rules: &TextRules, text: &str, words: &[&str]) {
        assert_eq!(rules.words(text).collect::<Vec<_>>(), words, "{text}");
    }

    #[test]
    fn every_rule_leaves_out_the_words_it_names() {
        let text = "The THE cat is on a mat isn't it";
        check(&every_word(), text, &["the", "the", "cat", "is", "on", "a", "mat", "isn't", "it"]);
        check(&TextRules::default(), text, &["cat", "mat"]);
        check(&TextRules { min_letters: 4, ..every_word() }, text, &["isn't"]);
        check(&TextRules { lower_case: false, ..every_word() }, "The the", &["The", "the"]);
        check(&TextRules { lower_case: false, ..TextRules::default() }, "The Cat", &["Cat"]);
        check(&TextRules::default(), "ab 中文 的 घर में 학교 물 ბი בית", &["中文", "घर", "학교", "בית"]);
        let letter_runs = TextRules { segmentation: Segmentation::Letters, ..TextRules::default() };
        check(&letter_runs, "घर 中文 abc2def", &["abc", "def"]);
        let long = "x".repeat(64);
        check(&every_word(), &format!("{long} {long}x"), &[&long]);
    }

    #[test]
    fn rules_without_any_possible_word_are_refused() {
        for (rules, part) in [
            (TextRules { min_letters: 65, ..TextRules::default() }, "min-letters is 65"),
            (TextRules { max_share: 0.0, ..TextRules::default() }, "max-share is 0"),
            (TextRules { max_share: f64::NAN, ..TextRules::default() }, "max-share is NaN"),
            (TextRules { max_words: 0, ..TextRules::default() }, "max-words is 0"),
        ] {
            assert!(rules.check().unwrap_err().to_string().contains(part));
        }
        assert!(TextRules::default().check().is_ok());
    }
}
