//! The spelling of words in a vocabulary: one normal form, without characters that only concern typesetting.
//!
//! ```text
//! dropped   soft hyphens, marks of text direction, variation selectors, the Arabic stretching bar, Armenian marks of
//!           emphasis and question
//! joiners   U+200C and U+200D stay where UAX 31 allows them in identifiers: after a virama, and U+200C between letters
//!           of a script that joins them
//! form      Unicode's normal form C: an accent after its letter and an accented letter are equal
//! case      lower, by Unicode's full mapping; in Turkic text, I becomes a dotless i; a dotted capital I becomes an i
//!           in every text
//! ```

use std::borrow::Cow;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_script::{Script, UnicodeScript};

/// The combining class of viramas, which suppress the vowel of the consonant before them.
const VIRAMA: u8 = 9;

/// A text is Turkic if at least one of so many words has a letter that only Turkic languages have.
const TURKIC: usize = 20;

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Returns whether a character is alphabetic and not a mark.
pub(super) fn is_letter(c: char) -> bool {
    c.is_alphabetic() && (c.is_ascii() || !is_combining_mark(c))
}

/// Removes the English possessive endings of a word.
pub(super) fn without_possessive(mut word: &str) -> &str {
    while let Some(owner) = word.strip_suffix(['s', 'S']).and_then(|word| word.strip_suffix(is_apostrophe)) {
        word = owner;
    }
    word
}

/// Returns whether a text is in Turkish, or in another language with dotless i and dotted capital I. An English text
/// that spells İstanbul as in Turkish is not.
pub(super) fn is_turkic(text: &str) -> bool {
    const OWN: [char; 2] = ['ı', 'İ'];
    if !text.contains(OWN) && !text.contains("I\u{307}") {
        return false;
    }
    let (mut words, mut own) = (0, 0);
    for word in text.split(|c: char| !(c.is_alphabetic() || is_combining_mark(c))).filter(|word| !word.is_empty()) {
        words += 1;
        own += usize::from(word.contains(OWN) || word.contains("I\u{307}"));
    }
    own * TURKIC >= words
}

/// Returns the spelling of a word by which words are compared.
pub(super) fn spell(word: &str, lower_case: bool, turkic: bool) -> Cow<'_, str> {
    if word.is_ascii() {
        let word = without_possessive(trimmed(word));
        return match (lower_case && word.bytes().any(|byte| byte.is_ascii_uppercase()), turkic) {
            (false, _) => Cow::Borrowed(word),
            (true, false) => Cow::Owned(word.to_ascii_lowercase()),
            (true, true) => Cow::Owned(word.replace('I', "ı").to_lowercase()),
        };
    }
    let mut spelled = String::with_capacity(word.len());
    let mut characters = word.chars().peekable();
    while let Some(c) = characters.next() {
        let keeps = match c {
            '\u{200c}' | '\u{200d}' => is_significant_joiner(&spelled, c, characters.peek().copied()),
            c => !is_ignored(c),
        };
        if keeps {
            spelled.push(if c == '\u{2019}' { '\'' } else { c });
        }
    }
    let spelled = composed(without_possessive(trimmed(&spelled)).to_string());
    if !lower_case {
        return Cow::Owned(spelled);
    }
    let spelled = spelled.replace('İ', "i");
    let spelled = if turkic { spelled.replace('I', "ı") } else { spelled };
    Cow::Owned(composed(spelled.to_lowercase().replace("i\u{307}", "i")))
}

/// Converts a text to normal form C.
fn composed(text: String) -> String {
    if is_nfc(&text) { text } else { text.nfc().collect() }
}

/// Trims a word: it starts with a letter or digit, and ends with a letter, a digit, or a mark or joiner on them.
fn trimmed(word: &str) -> &str {
    let starts = |c: char| c.is_alphanumeric() && !is_combining_mark(c);
    let ends = |c: char| c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}');
    word.trim_start_matches(|c| !starts(c)).trim_end_matches(|c| !ends(c))
}

/// Returns whether a character only concerns typesetting, line breaks or stress.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{640}' | '\u{61c}' | '\u{55b}' | '\u{55c}' | '\u{55e}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}

/// Returns whether a joiner between `before` and `after` distinguishes words.
fn is_significant_joiner(before: &str, joiner: char, after: Option<char>) -> bool {
    let Some(last) = before.chars().next_back() else { return false };
    if canonical_combining_class(last) == VIRAMA {
        return true;
    }
    let letter = before.chars().rev().find(|&c| !is_combining_mark(c));
    let joined = |c: Option<char>| c.is_some_and(|c| is_letter(c) && is_cursive(c));
    joiner == '\u{200c}' && joined(letter) && joined(after)
}

/// Returns whether the letters of a character's script are joined in print.
fn is_cursive(c: char) -> bool {
    matches!(
        c.script(),
        Script::Arabic | Script::Syriac | Script::Mongolian | Script::Nko | Script::Mandaic | Script::Adlam
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: &str) {
        assert_eq!(spell(word, true, false), expected, "{}", word.escape_unicode());
        assert_eq!(spell(expected, true, false), expected, "{}", expected.escape_unicode());
    }

    #[test]
    fn typesetting_characters_are_dropped() {
        check("Donau\u{ad}dampf\u{ad}schiff", "donaudampfschiff");
        check("\u{200f}שלום\u{200e}", "שלום");
        check("كتـــاب", "كتاب");
        check("ինչո՞ւ", "ինչու");
        check("Auf\u{200c}lage", "auflage");
        check("O’Brien’s", "o'brien");
        check("'שלום'", "שלום");
    }

    #[test]
    fn joiners_stay_where_they_distinguish_words() {
        check("می\u{200c}خواهم", "می\u{200c}خواهم");
        check("ශ්\u{200d}රී", "ශ්\u{200d}රී");
        check("അവന്\u{200d}", "അവന്\u{200d}");
        check("कमल\u{200d}", "कमल");
    }

    #[test]
    fn forms_and_cases_are_one() {
        check("Käse", "käse");
        check("Ka\u{308}se", "käse");
        check("Vie\u{323}\u{302}t", "việt");
        check("한국", "한국");
        check("ΣΟΦΟΣ", "σοφος");
        check("İstanbul", "istanbul");
        check("i\u{307}stanbul", "istanbul");
        check("I\u{307}stanbul", "istanbul");
        check("ՀԱՅԱՍՏԱՆ", "հայաստան");
        check("ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ", "საქართველო");
        assert_eq!(spell("IŞIK", true, true), "ışık");
        assert_eq!(spell("Irmak", true, true), "ırmak");
        assert_eq!(spell("I\u{307}nce", true, true), "ince");
        assert_eq!(spell("Cafe\u{301}", false, false), "Café");
        assert!(is_turkic("Irmak kıyısında bir ev") && is_turkic("İstanbul"));
        assert!(!is_turkic(
            "In the old days, it took a traveller who was bound for the city that the Turks call İstanbul weeks to \
             get there by land"
        ));
    }
}
