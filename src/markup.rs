//! What the pages and pictures share: text as XML has it, and the frame of a page.

/// Text without what XML takes for its own, or does not allow.
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

/// A whole HTML page: its title as the heading, what it was made from below, then the body; all in one file, style and script too.
///
/// `title` and `settings` are text; the others are markup.
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
    fn text_is_escaped() {
        assert_eq!(escape("a<b & \"c\" > 'd'\0\n"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;\u{fffd}\n");
    }
}
