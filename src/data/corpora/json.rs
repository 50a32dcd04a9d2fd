//! JSON lines: an object a line.

use super::columns::{Columns, label};
use super::lines::{Lines, Origin};
use super::names::{TITLE, listed};
use crate::error::Result;
use crate::markup::{quoted, shell_word};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// The field of the text, where none is named.
const TEXT: &str = "text";

/// Calls `each` with the text of every line, and what its document is called. Blank lines are skipped, other fields are
/// left alone.
///
/// # Errors
/// When a line is no object, or has no text; and those of `each`.
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

/// A command that makes lines of a JSON list of texts or of objects, as a sentence goes on; nothing where the file's
/// name cannot be part of one.
pub(super) fn one_a_line(path: &Path) -> String {
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

/// The text of a line, and what its document is called.
fn parse<'a>(lines: &Lines<'_>, line: &'a str, columns: &Columns) -> Result<(Cow<'a, str>, Option<String>)> {
    // An array would be taken for the fields in their order.
    if line.trim_start().starts_with('[') {
        let advice = one_a_line(lines.path());
        return Err(lines.wrong(&format!(
            "is no JSON object but a list; write each of its entries into a line of its own{advice}"
        )));
    }
    if !line.trim_start().starts_with('{') {
        return Err(lines.wrong("is no JSON object"));
    }
    let fields = Fields { text: columns.text.as_deref().unwrap_or(TEXT), id: columns.id.as_deref() };
    let mut json = serde_json::Deserializer::from_str(line);
    let parsed = fields.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    let found = parsed.map_err(|error| {
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        lines.wrong(&format!(
            "is no JSON object with a string `{}`: {} at byte {}",
            fields.text,
            problem.chars().take(200).collect::<String>(),
            error.column()
        ))
    })?;
    let Found { text, title, id, others } = found;
    let Some(text) = text else {
        let Some(other) = others.first() else { return Err(lines.wrong("is an object without a field of text")) };
        let likely = others.iter().find(|name| *name != "id").unwrap_or(other);
        let likely = quoted(&likely.escape_debug().to_string());
        let problem = format!("has no field '{}', but {}", fields.text, listed(&others));
        return Err(lines.without_text(&problem, likely));
    };
    Ok((text, label(id.and_then(shown), title.and_then(shown))))
}

/// A title or a name: text, a number, or true or false.
fn shown(value: Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(whether) => whether.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// The fields that are wanted.
#[derive(Clone, Copy)]
struct Fields<'f> {
    text: &'f str,
    id: Option<&'f str>,
}

#[derive(Default)]
struct Found<'a> {
    text: Option<Cow<'a, str>>,
    title: Option<Value>,
    id: Option<Value>,
    /// Names of other fields that hold text.
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
            } else if name == TITLE {
                found.title = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                found.others.push(name.into_owned());
            }
        }
        Ok(found)
    }
}

/// A string, borrowed where it has no escapes.
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
