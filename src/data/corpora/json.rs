//! Reads JSON lines: one object per line.

use super::columns::{Columns, id_and_title};
use super::lines::{Lines, Origin};
use super::names::{TITLE_NAME, quoted_list};
use crate::error::Result;
use crate::markup::{shell_quoted, shell_word};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// The field of the text, if the user names none.
const TEXT: &str = "text";

/// Calls `each` with the text and the label of every line. Skips blank lines and ignores other fields.
///
/// # Errors
/// Fails if a line is no object or has no text, and as `each` does.
pub(super) fn visit(
    origin: Origin<'_>,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<()> {
    let mut lines = origin.lines()?;
    while lines.advance()? {
        let line = lines.text()?;
        if !line.trim().is_empty() {
            let (text, label) = parse(&lines, line, columns)?;
            each(&text, label.as_deref())?;
        }
    }
    Ok(())
}

/// Returns a command that converts a JSON list to lines, as the end of a sentence; empty if the file's name cannot be
/// quoted for a shell.
pub(super) fn conversion_command(path: &Path) -> String {
    const PROGRAM: &str = concat!(
        "import json, sys; ",
        r#"[print(json.dumps(x if isinstance(x, dict) else {"text": x})) for x in json.load(sys.stdin)]"#
    );
    let mut lines = path.as_os_str().to_os_string();
    lines.push(".jsonl");
    let words = shell_word(path).zip(shell_word(Path::new(&lines)));
    words.map_or(String::new(), |(file, lines)| {
        format!(", for example with `python3 -c '{PROGRAM}' < {file} > {lines}`")
    })
}

/// Parses a line. Returns the text and the label of its document.
fn parse<'a>(lines: &Lines<'_>, line: &'a str, columns: &Columns) -> Result<(Cow<'a, str>, Option<String>)> {
    // serde would read a list as the fields in their order.
    if line.trim_start().starts_with('[') {
        let advice = conversion_command(lines.path());
        return Err(lines.wrong(&format!(
            "is a JSON list, not an object; write each of its entries into a line of its own{advice}"
        )));
    }
    if !line.trim_start().starts_with('{') {
        return Err(lines.wrong("is not a JSON object"));
    }
    let fields = Fields { text: columns.text.as_deref().unwrap_or(TEXT), id: columns.id.as_deref() };
    let mut json = serde_json::Deserializer::from_str(line);
    let parsed = fields.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    let found = parsed.map_err(|error| {
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        lines.wrong(&format!(
            "is not a JSON object with a string `{}`: {} at byte {}",
            fields.text,
            problem.chars().take(200).collect::<String>(),
            error.column()
        ))
    })?;
    let Found { text, title, id, others } = found;
    let Some(text) = text else {
        let Some(other) = others.first() else { return Err(lines.wrong("is an object without a text field")) };
        let likely = others.iter().find(|name| *name != "id").unwrap_or(other);
        let likely = shell_quoted(&likely.escape_debug().to_string());
        let problem = format!("has no field '{}', but {}", fields.text, quoted_list(&others));
        return Err(lines.without_text(&problem, likely));
    };
    Ok((text, id_and_title(id.and_then(as_label), title.and_then(as_label))))
}

/// Returns a title or a name as text, if it is a string, a number or a boolean, and not blank.
fn as_label(value: Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(whether) => whether.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// The names of the fields to read.
#[derive(Clone, Copy)]
struct Fields<'f> {
    text: &'f str,
    id: Option<&'f str>,
}

/// The values that were read from a line.
#[derive(Default)]
struct Found<'a> {
    text: Option<Cow<'a, str>>,
    title: Option<Value>,
    id: Option<Value>,
    /// Names of other fields.
    others: Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Found<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Found<'de>, M::Error> {
        let mut found = Found::default();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let name = name.0;
            if name == self.text {
                if found.text.replace(map.next_value::<Text<'de>>()?.0).is_some() {
                    return Err(M::Error::custom(format!("duplicate field `{name}`")));
                }
            } else if Some(&*name) == self.id {
                found.id = Some(map.next_value()?);
            } else if name == TITLE_NAME {
                found.title = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                found.others.push(name.into_owned());
            }
        }
        Ok(found)
    }
}

/// A string, borrowed from the line if it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OfText;
        impl<'de> Visitor<'de> for OfText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(OfText)
    }
}
