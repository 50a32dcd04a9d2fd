//! Determines the script of a word.

use super::spelling::is_letter;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// Scripts without spaces between words, and programs that insert spaces.
pub(super) const SEGMENTERS: [(Script, &str); 7] = [
    (Script::Han, "jieba or MeCab"),
    (Script::Hiragana, "MeCab"),
    (Script::Katakana, "MeCab"),
    (Script::Thai, "PyThaiNLP"),
    (Script::Lao, "LaoNLP"),
    (Script::Khmer, "khmer-nltk"),
    (Script::Myanmar, "pyidaungsu"),
];

/// Further scripts without spaces, for which no segmenter is widely used.
const UNSPACED: [Script; 5] = [Script::Tai_Le, Script::New_Tai_Lue, Script::Tai_Tham, Script::Tai_Viet, Script::Ahom];

/// Returns whether a character is a letter, or a mark on a letter, of a script without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    if c < '\u{e00}' || !(c.is_alphabetic() || is_combining_mark(c)) {
        return false;
    }
    let script = c.script();
    // The mark of long vowels in Japanese belongs to two scripts.
    matches!(c, '\u{30fc}' | '\u{ff70}')
        || SEGMENTERS.iter().any(|(unspaced, _)| *unspaced == script)
        || UNSPACED.contains(&script)
}

/// Returns the script of a word: that of its first letter whose script is specific.
pub(super) fn script(word: &str) -> Script {
    if word.is_ascii() {
        return Script::Latin;
    }
    let scripts = word.chars().filter(|&c| is_letter(c)).map(|c| c.script());
    let own = |script: &Script| !matches!(script, Script::Common | Script::Inherited | Script::Unknown);
    scripts.into_iter().find(own).unwrap_or(Script::Common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_the_script_of_its_first_letter() {
        for (word, expected) in [
            ("word", Script::Latin),
            ("2день", Script::Cyrillic),
            ("हिन्दी", Script::Devanagari),
            ("食べる", Script::Han),
            ("ーーラ", Script::Katakana),
        ] {
            assert_eq!(script(word), expected, "{word}");
        }
        assert!(is_unspaced('ก') && is_unspaced('ー') && is_unspaced('々') && !is_unspaced('한') && !is_unspaced('。'));
    }
}
