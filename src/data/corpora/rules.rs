//! How text becomes words, and which of them a vocabulary has.

use super::spelling::is_letter;
use super::stop_words::is_stop_word;
use super::{letter_runs, segments};
use crate::choice::choices;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

choices! {
    "segmentation";
    /// Where words begin and end.
    #[derive(Default)]
    pub enum Segmentation {
        /// By Unicode's rules (UAX 29), in one normal form
        #[default]
        Unicode = "unicode",
        /// Runs of letters: the rule of runs that were trained before there was another
        Letters = "letters",
    }
}

/// What counts as a word, and which words a vocabulary keeps.
///
/// Words follow Unicode's rules for their boundaries (UAX 29), have at least one letter, and are compared in normal
/// form C: hyphens and underscores end a word, an apostrophe between two letters belongs to it (`don't`, written with
/// `'` also where the text has `’`), and an English possessive `'s` at its end is cut off. Soft hyphens, marks of
/// direction and the like are dropped. Words of more than 64 letters are encodings and not words, and are left out.
/// Nothing is stemmed. Thai, Lao, Khmer, Burmese, Chinese and Japanese, which have no spaces between words, need a
/// segmenter before; what it puts spaces between is taken as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextRules {
    /// Where words begin and end.
    pub segmentation: Segmentation,
    /// Whether `Word` and `word` are the same.
    pub lower_case: bool,
    /// Words of fewer letters are left out. Letters of scripts without upper and lower case count twice, since these
    /// leave vowels out, or write a syllable or a word with a character: with 3, words of two such letters are kept,
    /// and those of one are not.
    pub min_letters: usize,
    /// Whether common English words, from a list of the crate's own, are left out.
    pub stop_words: bool,
    /// Words in fewer training documents are left out of the vocabulary.
    pub min_documents: u64,
    /// Words in a larger share of the training documents are left out of the vocabulary.
    pub max_share: f64,
    /// The most words of a vocabulary; those in the most training documents are kept, of equals the alphabetically
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
    /// Fewer letters than `min_letters`.
    MinLetters,
    /// More than 64 letters.
    Longest,
    /// English words of every text.
    StopWords,
    /// In fewer documents than `min_documents`.
    MinDocuments,
    /// In a larger share of documents than `max_share`.
    MaxShare,
    /// Beyond the `max_words` words of the most documents.
    MaxWords,
}

impl Rule {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Rule; 6] =
        [Rule::MinLetters, Rule::Longest, Rule::StopWords, Rule::MinDocuments, Rule::MaxShare, Rule::MaxWords];
}

/// The most letters of a word.
const LONGEST: usize = 64;

impl TextRules {
    /// # Errors
    /// When no word could pass; the message names the rule.
    pub fn check(&self) -> Result<()> {
        if self.min_letters > LONGEST {
            return Err(Error::parameter("min-letters", self.min_letters, format!("at most {LONGEST}")));
        }
        if !(self.max_share > 0.0 && self.max_share <= 1.0) {
            return Err(Error::parameter("max-share", self.max_share, "above 0 and at most 1"));
        }
        if self.max_words == 0 || u32::try_from(self.max_words).is_err() {
            return Err(Error::parameter("max-words", self.max_words, format!("from 1 to {}", u32::MAX)));
        }
        Ok(())
    }

    /// The words of a text in order, without those that these rules leave out.
    pub fn words<'t>(&self, text: &'t str) -> impl Iterator<Item = Cow<'t, str>> + use<'t, '_> {
        self.runs(text).filter(|word| self.refuses(word).is_none())
    }

    /// Every word of a text, spelt as these rules want it.
    pub(super) fn runs<'t>(&self, text: &'t str) -> Box<dyn Iterator<Item = Cow<'t, str>> + 't> {
        match self.segmentation {
            Segmentation::Unicode => Box::new(segments::words(text, self.lower_case)),
            Segmentation::Letters => Box::new(letter_runs::runs(text, self.lower_case)),
        }
    }

    /// The rule that leaves a word out of every vocabulary, if one does.
    pub(super) fn refuses(&self, word: &str) -> Option<Rule> {
        let letters = self.letters(word);
        let is_stop_word = || if self.lower_case { is_stop_word(word) } else { is_stop_word(&word.to_lowercase()) };
        if letters.counted < self.min_letters {
            Some(Rule::MinLetters)
        } else if letters.written > LONGEST {
            Some(Rule::Longest)
        } else if self.stop_words && is_stop_word() {
            Some(Rule::StopWords)
        } else {
            None
        }
    }

    fn letters(&self, word: &str) -> Letters {
        if self.segmentation == Segmentation::Letters {
            let letters = word.chars().filter(|c| c.is_alphabetic()).take(LONGEST + 1).count();
            return Letters { written: letters, counted: letters };
        }
        let mut letters = Letters { written: 0, counted: 0 };
        for c in word.chars().filter(|&c| is_letter(c)).take(LONGEST + 1) {
            letters.written += 1;
            letters.counted += if c.is_ascii() || c.is_lowercase() || c.is_uppercase() { 1 } else { 2 };
        }
        letters
    }
}

/// Letters of a word: those that it is written with, and as `min_letters` counts them.
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
    fn every_rule_leaves_out_what_it_says() {
        let text = "The THE cat is on a mat isn't it";
        check(&every_word(), text, &["the", "the", "cat", "is", "on", "a", "mat", "isn't", "it"]);
        check(&TextRules::default(), text, &["cat", "mat"]);
        check(&TextRules { min_letters: 4, ..every_word() }, text, &["isn't"]);
        check(&TextRules { lower_case: false, ..every_word() }, "The the", &["The", "the"]);
        check(&TextRules { lower_case: false, ..TextRules::default() }, "The Cat", &["Cat"]);
        check(&TextRules::default(), "ab 中文 的 घर में 학교 물 ბი בית", &["中文", "घर", "학교", "בית"]);
        let old = TextRules { segmentation: Segmentation::Letters, ..TextRules::default() };
        check(&old, "घर 中文 abc2def", &["abc", "def"]);
        let long = "x".repeat(64);
        check(&every_word(), &format!("{long} {long}x"), &[&long]);
    }

    #[test]
    fn rules_that_let_nothing_pass_are_refused() {
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
