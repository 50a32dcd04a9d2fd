//! The spelling by which words are compared: one normal form, without what only says how a word is set.
//!
//! ```text
//! dropped   soft hyphens, marks of direction, variation selectors, the Arabic stretching bar, Armenian marks of
//!           emphasis and question
//! joiners   U+200C and U+200D stay where UAX 31 lets identifiers have them: after a virama, and U+200C between letters
//!           of a script that joins them
//! form      Unicode's normal form C: an accent that follows its letter and one that is part of it are the same
//! case      lower, by Unicode's full mapping; I is lowered to a dotless i in Turkic text; a dotted capital I is an i,
//!           whatever its text
//! ```

use std::borrow::Cow;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_script::{Script, UnicodeScript};

/// The class of viramas, which take the vowel from the consonant before them.
const VIRAMA: u8 = 9;

/// Of so many words with a letter, at least one has a letter that only Turkic languages have, where a text is in one.
const TURKIC: usize = 20;

pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

/// Alphabetic, and no mark.
pub(super) fn is_letter(c: char) -> bool {
    c.is_alphabetic() && (c.is_ascii() || !is_combining_mark(c))
}

/// A word without the English ending of possession.
pub(super) fn without_possessive(mut word: &str) -> &str {
    while let Some(owner) = word.strip_suffix(['s', 'S']).and_then(|word| word.strip_suffix(is_apostrophe)) {
        word = owner;
    }
    word
}

/// Whether a text is in Turkish or a language that shares its two letters i: an English text that names Istanbul as the
/// Turks do is not.
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

/// A word as it is compared with others.
pub(super) fn spell(word: &str, lower_case: bool, turkic: bool) -> Cow<'_, str> {
    if word.is_ascii() {
        let word = without_possessive(trimmed(word));
        return match (lower_case && word.bytes().any(|byte| byte.is_ascii_uppercase()), turkic) {
            (false, _) => Cow::Borrowed(word),
            (true, false) => Cow::Owned(word.to_ascii_lowercase()),
            (true, true) => Cow::Owned(word.replace('I', "ı").to_lowercase()),
        };
    }
    let mut plain = String::with_capacity(word.len());
    let mut characters = word.chars().peekable();
    while let Some(c) = characters.next() {
        let keeps = match c {
            '\u{200c}' | '\u{200d}' => joins(&plain, c, characters.peek().copied()),
            c => !is_ignored(c),
        };
        if keeps {
            plain.push(if c == '\u{2019}' { '\'' } else { c });
        }
    }
    let plain = composed(without_possessive(trimmed(&plain)).to_string());
    if !lower_case {
        return Cow::Owned(plain);
    }
    let plain = plain.replace('İ', "i");
    let plain = if turkic { plain.replace('I', "ı") } else { plain };
    Cow::Owned(composed(plain.to_lowercase().replace("i\u{307}", "i")))
}

/// In normal form C.
fn composed(text: String) -> String {
    if is_nfc(&text) { text } else { text.nfc().collect() }
}

/// From its first letter or digit, without what ends it that is neither of these, nor a mark or joiner of theirs.
fn trimmed(word: &str) -> &str {
    let starts = |c: char| c.is_alphanumeric() && !is_combining_mark(c);
    let ends = |c: char| c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}');
    word.trim_start_matches(|c| !starts(c)).trim_end_matches(|c| !ends(c))
}

/// Characters that say how a word is set, broken or stressed, and not which it is.
fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{640}' | '\u{61c}' | '\u{55b}' | '\u{55c}' | '\u{55e}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a joiner between `before` and `after` tells words apart.
fn joins(before: &str, joiner: char, after: Option<char>) -> bool {
    let Some(last) = before.chars().next_back() else { return false };
    if canonical_combining_class(last) == VIRAMA {
        return true;
    }
    let letter = before.chars().rev().find(|&c| !is_combining_mark(c));
    let joined = |c: Option<char>| c.is_some_and(|c| is_letter(c) && is_cursive(c));
    joiner == '\u{200c}' && joined(letter) && joined(after)
}

/// Whether letters of its script are joined in print, too.
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
    fn what_only_sets_a_word_is_no_part_of_it() {
        check("Donau\u{ad}dampf\u{ad}schiff", "donaudampfschiff");
        check("\u{200f}שלום\u{200e}", "שלום");
        check("كتـــاب", "كتاب");
        check("ինչո՞ւ", "ինչու");
        check("Auf\u{200c}lage", "auflage");
        check("O’Brien’s", "o'brien");
        check("'שלום'", "שלום");
    }

    #[test]
    fn joiners_stay_where_they_tell_words_apart() {
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
