//! Escaping of text for XML, terminals and shells, and the HTML skeleton of a page.

use std::borrow::Cow;
use std::path::Path;

/// Escapes text for XML. Characters that XML forbids become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            _ if letter.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Escapes characters that could control a terminal, as JSON would (`\u001b`): those that move the cursor, change
/// colours or titles, ring the bell, or reverse the text direction. JSON stays valid and keeps its value. Line breaks
/// and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe = |letter: char| match letter {
        '\n' | '\t' => false,
        // Embeddings, overrides and isolates of bidirectional text, and Unicode's line breaks.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => true,
        // Invisible marks of text direction.
        '\u{200e}' | '\u{200f}' | '\u{61c}' => true,
        letter => letter.is_control(),
    };
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_unsafe(letter) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// The most characters of one quoted text in a message; a file could hold a line of any length.
const MAX_QUOTED_CHARACTERS: usize = 2000;

/// Makes text fit in a message: [`printable`], on one line, cut after [`MAX_QUOTED_CHARACTERS`] characters.
pub(crate) fn in_one_line(text: &str) -> String {
    let mut line = printable(text).replace(['\n', '\t'], " ");
    if let Some((end, _)) = line.char_indices().nth(MAX_QUOTED_CHARACTERS) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Quotes a path as one word for a shell. Returns `None` if the path has control characters or is not UTF-8; the
/// message then suggests no command.
pub(crate) fn shell_word(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|text| !text.contains('\n') && printable(text) == *text)?;
    // A name that begins with a dash would be read as a flag.
    Some(if text.starts_with('-') { shell_quoted(&format!("./{text}")) } else { shell_quoted(text) })
}

/// Quotes text as one word for a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+=:@%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Builds a whole HTML page in one file, with style and script inside: the title as heading, the settings under it,
/// then the body.
///
/// `title` and `settings` are plain text, which is escaped here; the other arguments are markup.
pub(crate) fn page(title: &str, settings: &str, style: &str, body: &str, script: &str) -> String {
    let (title, settings) = (escape(title), escape(settings));
    format!(
        r#"<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1 dir="auto">{title}</h1>
<p class="settings" dir="auto">{settings}</p>
{body}<script>
{script}</script>
</body>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_no_control_characters() {
        let hostile = "\u{1b}[2Jred\u{7}\u{9b}31m\r\u{202e}txt\u{2028}\0\u{7f}";
        assert_eq!(printable(hostile), r"\u001b[2Jred\u0007\u009b31m\u000d\u202etxt\u2028\u0000\u007f");
        assert_eq!(printable("naïve\tتجربة 文\n👩‍👩‍👧"), "naïve\tتجربة 文\n👩‍👩‍👧");
        assert_eq!(printable("a\u{200e}b\u{200f}c\u{61c}"), r"a\u200eb\u200fc\u061c");
        assert_eq!(in_one_line("two\nlines"), "two lines");
        assert_eq!(in_one_line(&"é".repeat(3000)).chars().count(), 2001);
        let json = serde_json::to_string(hostile).unwrap();
        assert_eq!(serde_json::from_str::<String>(&printable(&json)).unwrap(), hostile);
    }

    #[test]
    fn a_path_is_one_word_or_is_not_offered() {
        let word = |path: &str| shell_word(Path::new(path));
        assert_eq!(word("runs/a-1.pt").unwrap(), "runs/a-1.pt");
        assert_eq!(word("it's $HOME").unwrap(), r"'it'\''s $HOME'");
        assert_eq!(word("-rf").unwrap(), "./-rf");
        assert_eq!(word("").unwrap(), "''");
        for hidden in ["a\nb", "a\u{1b}b", "a\u{202e}b"] {
            assert_eq!(word(hidden), None);
        }
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b & \"c\" > 'd'\0\n"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;\u{fffd}\n");
    }
}
