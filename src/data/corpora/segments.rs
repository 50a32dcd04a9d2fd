//! Splits text of any script into words, by Unicode's rules for word boundaries (UAX 29), with two changes:
//!
//! - Thai, Lao, Khmer, Burmese, Chinese and Japanese have no spaces between words. The rules would split them after
//!   every character; here, a run of such letters stays together. So segmented text is split at its spaces, and other
//!   text gives words so long that the reading report warns of them.
//! - Connectors such as the underscore end a word.
//!
//! A segment without a letter, such as a number, is not a word.

use super::scripts::is_unspaced;
use super::spelling::{is_letter, is_turkic, spell};
use std::borrow::Cow;
use std::iter::Peekable;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::{UWordBoundIndices, UnicodeSegmentation};

/// Iterates over the words of a text.
pub(super) fn words(text: &str, lower_case: bool) -> impl Iterator<Item = Cow<'_, str>> {
    let turkic = lower_case && is_turkic(text);
    let runs = Runs { text, segments: text.split_word_bound_indices().peekable() };
    let parts = runs.flat_map(|run| run.split(is_connector)).filter(|part| part.contains(is_letter));
    parts.map(move |part| spell(part, lower_case, turkic))
}

/// Iterates over the segments of UAX 29, with adjacent segments of scripts without spaces joined.
struct Runs<'t> {
    text: &'t str,
    segments: Peekable<UWordBoundIndices<'t>>,
}

impl<'t> Iterator for Runs<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let (start, segment) = self.segments.next()?;
        let mut end = start + segment.len();
        while ends_unspaced(&self.text[start..end])
            && let Some((_, next)) = self.segments.next_if(|(_, next)| next.chars().next().is_some_and(is_unspaced))
        {
            end += next.len();
        }
        Some(&self.text[start..end])
    }
}

/// Returns whether a text ends with a letter of a script without spaces.
fn ends_unspaced(text: &str) -> bool {
    !text.ends_with(|c: char| c.is_ascii())
        && text.chars().rev().find(|&c| !is_combining_mark(c) || is_unspaced(c)).is_some_and(is_unspaced)
}

/// Returns whether a character is an underscore, or joins words as an underscore does.
fn is_connector(c: char) -> bool {
    matches!(
        c,
        '_' | '\u{203f}' | '\u{2040}' | '\u{2054}' | '\u{fe33}' | '\u{fe34}' | '\u{fe4d}'..='\u{fe4f}' | '\u{ff3f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text, true).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn words_have_a_letter_and_end_at_connectors() {
        check(
            "Poisson-Gamma belief_networks, 2nd ed. (1996)!",
            &["poisson", "gamma", "belief", "networks", "2nd", "ed"],
        );
        check("", &[]);
        check(" 12 3.5 \u{feff}\0\n __ ÷ 😀", &[]);
        check("_emphasis_ Straße ÉCOLE привет", &["emphasis", "straße", "école", "привет"]);
        check("e\u{301}cole \u{301}x", &["école", "x"]);
        check("Don't 'quote' O’Brien's rock'n'roll dogs'", &["don't", "quote", "o'brien", "rock'n'roll", "dogs"]);
    }

    #[test]
    fn scripts_without_spaces_stay_as_they_are_segmented() {
        check("中文 学习 课程。投资者", &["中文", "学习", "课程", "投资者"]);
        check("使用Python编程", &["使用", "python", "编程"]);
        check("ภาษา ไทย สวัสดี น้ำ", &["ภาษา", "ไทย", "สวัสดี", "น้ำ"]);
        check("ພາສາ ລາວ", &["ພາສາ", "ລາວ"]);
        check("ភាសា\u{200b}ខ្មែរ", &["ភាសា", "ខ្មែរ"]);
        check("မြန်မာ စာ", &["မြန်မာ", "စာ"]);
        check("学校 で らーめん を 食べる 人々", &["学校", "で", "らーめん", "を", "食べる", "人々"]);
    }
}
