//! Reads JSON lines: one object per line.

use super::columns::{Columns, id_and_title};
use super::lines::{Lines, Origin};
use super::names::{TITLE_NAME, quoted_list};
use crate::error::{Error, Result};
use crate::markup::{shell_quoted, shell_word};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// The field of the text, if the user names none.
const TEXT: &str = "text";

/// Calls `each` with the text of every line, and what its document is called. Blank lines are skipped, other fields are
/// left alone. `a.b` is the field `a.b`, or where there is none the field `b` of the object in the field `a`. Returns
/// what a user should know of how the lines were read.
///
/// # Errors
/// Fails if a line is no object or has no text, and as `each` does.
pub(super) fn visit(
    origin: Origin<'_>,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Option<String>> {
    let mut lines = origin.lines()?;
    while lines.advance()? {
        let line = lines.text()?;
        if !line.trim().is_empty() {
            let (text, label) = parse(&lines, line, columns)?;
            each(&text, label.as_deref())?;
        }
    }
    Ok(lines.note())
}

/// Returns a command that converts a JSON list to lines, as the end of a sentence; empty if the file's name cannot be
/// shell_quoted for a shell.
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
        if let Some(likely) = texts(line).into_iter().find(|name| rest(name, fields.text).is_some()) {
            return without_text(lines, &format!("has an object in the field '{}'", fields.text), vec![likely]);
        }
        let problem = error.to_string();
        let problem = problem.split(" at line ").next().unwrap_or_default();
        lines.wrong(&format!(
            "is not a JSON object with a string `{}`: {} at byte {}",
            fields.text,
            problem.chars().take(200).collect::<String>(),
            error.column()
        ))
    })?;
    let Found { text, title, id, inner_text, inner_id } = found;
    let Some(text) = text.or(inner_text.map(Cow::Owned)) else {
        return Err(without_text(lines, &format!("has no field '{}'", fields.text), texts(line)));
    };
    Ok((text, id_and_title(id.or(inner_id).and_then(as_label), title.and_then(as_label))))
}

/// That a line has no text where it is expected, with the fields that hold some, the likeliest first.
fn without_text(lines: &Lines<'_>, problem: &str, texts: Vec<String>) -> Error {
    let Some(likely) = texts.first() else { return lines.wrong("is an object without a field of text") };
    lines.without_text(
        &format!("{problem}, but {}", quoted_list(&texts)),
        shell_quoted(&likely.escape_debug().to_string()),
    )
}

/// The fields of a line that hold text, those of objects in it as `a.b`, that of the longest text first.
fn texts(line: &str) -> Vec<String> {
    fn add(before: &str, value: &Value, found: &mut Vec<(usize, String)>) {
        match value {
            Value::String(text) => found.push((text.chars().count(), before.to_string())),
            Value::Object(fields) => {
                let name = |name: &str| if before.is_empty() { name.into() } else { format!("{before}.{name}") };
                fields.iter().for_each(|(field, value)| add(&name(field), value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(line) {
        add("", &value, &mut found);
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, name)| name).collect()
}

/// What is left of a name of the form `a.b` where it is looked for in the object `a`.
fn rest<'n>(name: &'n str, object: &str) -> Option<&'n str> {
    name.strip_prefix(object)?.strip_prefix('.')
}

/// The field of this name in an object, or in one of those in it.
fn inside(value: &Value, name: &str) -> Option<Value> {
    let fields = value.as_object()?;
    let inner = || fields.iter().find_map(|(object, value)| inside(value, rest(name, object)?));
    fields.get(name).cloned().or_else(inner)
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
    /// From objects in the object, for where it has no such field itself.
    inner_text: Option<String>,
    inner_id: Option<Value>,
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
                let (text, id) = (rest(self.text, &name), self.id.and_then(|id| rest(id, &name)));
                if text.is_none() && id.is_none() {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                let value: Value = map.next_value()?;
                if let Some(Value::String(text)) = text.and_then(|text| inside(&value, text)) {
                    found.inner_text = Some(text);
                }
                found.inner_id = id.and_then(|id| inside(&value, id)).or(found.inner_id);
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
