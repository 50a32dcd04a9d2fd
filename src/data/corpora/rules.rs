//! How text becomes words.

use super::stop_words::is_stop_word;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What counts as a word, and which words a vocabulary keeps.
///
/// A word is a run of letters (Unicode's alphabetic characters, with the accents U+0300..U+036F that follow them): digits, hyphens and
/// underscores end it. An apostrophe between two letters belongs to it (`don't`, written with `'` also where the text has `’`), but a
/// possessive `'s` at its end is cut off. Runs of more than 64 letters are encodings and not words, and are left out. Nothing is stemmed,
/// normalised or segmented: a script without spaces needs a segmenter before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextRules {
    /// Whether `Word` and `word` are the same.
    pub lower_case: bool,
    /// Shorter words are left out.
    pub min_letters: usize,
    /// Whether common English words, from a list of the crate's own, are left out.
    pub stop_words: bool,
    /// Words in fewer training documents are left out of the vocabulary.
    pub min_documents: u64,
    /// Words in a larger share of the training documents are left out of the vocabulary.
    pub max_share: f64,
    /// The most words of a vocabulary; those in the most training documents are kept, of equals the alphabetically first.
    pub max_words: usize,
}

impl Default for TextRules {
    fn default() -> Self {
        Self { lower_case: true, min_letters: 3, stop_words: true, min_documents: 3, max_share: 0.5, max_words: 10_000 }
    }
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
        self.runs(text).filter(|word| self.keep(word))
    }

    /// Every run of letters, spelt as these rules want it.
    pub(super) fn runs<'t>(&self, text: &'t str) -> impl Iterator<Item = Cow<'t, str>> + use<'t> {
        let lower_case = self.lower_case;
        let mut rest = text;
        std::iter::from_fn(move || {
            let tail = &rest[rest.find(char::is_alphabetic)?..];
            let (word, after) = tail.split_at(end_of_word(tail));
            rest = after;
            Some(spell(without_possessive(word), lower_case))
        })
    }

    /// Whether a run of letters is long enough, short enough and no stop word.
    pub(super) fn keep(&self, word: &str) -> bool {
        let letters = word.chars().filter(|c| c.is_alphabetic()).take(LONGEST + 1).count();
        let is_stop_word = || if self.lower_case { is_stop_word(word) } else { is_stop_word(&word.to_lowercase()) };
        (self.min_letters..=LONGEST).contains(&letters) && !(self.stop_words && is_stop_word())
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Where the word that a text starts with ends.
fn end_of_word(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let mut is_joined = || is_apostrophe(c) && characters.peek().is_some_and(|(_, next)| next.is_alphabetic());
        if !(c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}') || is_joined()) {
            return at;
        }
    }
    text.len()
}

fn without_possessive(mut word: &str) -> &str {
    while let Some(owner) = word.strip_suffix(['s', 'S']).and_then(|word| word.strip_suffix(is_apostrophe)) {
        word = owner;
    }
    word
}

fn spell(word: &str, lower_case: bool) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii() && !(lower_case && byte.is_ascii_uppercase());
    if word.bytes().all(is_plain) {
        return Cow::Borrowed(word);
    }
    let straight = word.replace('\u{2019}', "'");
    Cow::Owned(if lower_case { straight.to_lowercase() } else { straight })
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
    fn words_are_runs_of_letters() {
        let rules = every_word();
        check(
            &rules,
            "Poisson-Gamma belief_networks, 2nd ed. (1996)!",
            &["poisson", "gamma", "belief", "networks", "nd", "ed"],
        );
        check(&rules, "", &[]);
        check(&rules, " 12 34 \u{feff}\0\n", &[]);
        check(&rules, "Straße ÉCOLE ΣΟΦΟΣ привет 日本語", &["straße", "école", "σοφος", "привет", "日本語"]);
        check(&rules, "e\u{301}cole \u{301}x", &["e\u{301}cole", "x"]);
    }

    #[test]
    fn apostrophes_join_letters_and_possessives_go() {
        let rules = every_word();
        check(
            &rules,
            "Don't 'quote' O’Brien's rock'n'roll dogs' x''y",
            &["don't", "quote", "o'brien", "rock'n'roll", "dogs", "x", "y"],
        );
        check(&rules, "a's's 's 'S it’S", &["a", "s", "s", "it"]);
    }

    #[test]
    fn every_rule_leaves_out_what_it_says() {
        let text = "The THE cat is on a mat isn't it";
        check(&every_word(), text, &["the", "the", "cat", "is", "on", "a", "mat", "isn't", "it"]);
        check(&TextRules::default(), text, &["cat", "mat"]);
        check(&TextRules { min_letters: 4, ..every_word() }, text, &["isn't"]);
        check(&TextRules { lower_case: false, ..every_word() }, "The the", &["The", "the"]);
        check(&TextRules { lower_case: false, ..TextRules::default() }, "The Cat", &["Cat"]);
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
