//! Words as runs of letters: the segmentation of runs whose settings name none, kept so that they read text unchanged.
//!
//! A word is a run of alphabetic characters, with the accents U+0300..U+036F that follow them. Digits, hyphens,
//! underscores, and the vowel signs of most Indian scripts end a word. An apostrophe between two letters belongs to the
//! word.

use super::spelling::{is_apostrophe, without_possessive};
use std::borrow::Cow;

/// Iterates over the runs of letters of a text.
pub(super) fn runs(text: &str, lower_case: bool) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let tail = &rest[rest.find(char::is_alphabetic)?..];
        let (word, after) = tail.split_at(end_of_word(tail));
        rest = after;
        Some(spell(without_possessive(word), lower_case))
    })
}

/// Returns the length in bytes of the word at the start of a text.
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

/// Returns the spelling of a word in the vocabulary.
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

    #[test]
    fn letter_runs_are_cut_as_documented() {
        let words = |text: &'static str| runs(text, true).collect::<Vec<_>>();
        assert_eq!(
            words("Poisson-Gamma belief_networks, 2nd ed. (1996)!"),
            ["poisson", "gamma", "belief", "networks", "nd", "ed"]
        );
        assert_eq!(words("e\u{301}cole \u{301}x don’t a's's"), ["e\u{301}cole", "x", "don't", "a"]);
        assert_eq!(words("शिक्षा"), ["शिक", "षा"]);
    }
}
