//! Which column of a table, or field of a line of JSON, holds what.

use crate::error::{Error, Result};
use crate::markup::quoted;
use std::path::Path;

/// Columns by name, or in a table by number, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// Where the text is; found by its name where none is given.
    pub text: Option<String>,
    /// What documents are called by, beside their titles.
    pub id: Option<String>,
}

/// Names of a column of texts, the likeliest first.
const TEXT: [&str; 12] = [
    "text",
    "body",
    "content",
    "document",
    "message",
    "abstract",
    "article",
    "review",
    "tweet",
    "comment",
    "description",
    "sentence",
];

/// The name of a column of titles.
pub(super) const TITLE: &str = "title";

/// The numbers of the columns that are wanted, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub text: usize,
    pub title: Option<usize>,
    pub id: Option<usize>,
}

impl Columns {
    /// Finds the columns among those of a file, or says which there are.
    pub(super) fn places(&self, path: &Path, names: &[String], example: &[String]) -> Result<Places> {
        let title = find(names, TITLE);
        let id = self.id.as_deref().map(|wanted| numbered(path, names, wanted, "names")).transpose()?;
        if let Some(wanted) = &self.text {
            return Ok(Places { text: numbered(path, names, wanted, "texts")?, title, id });
        }
        if names.len() == 1 {
            return Ok(Places { text: 0, title: None, id });
        }
        let likely: Vec<usize> = TEXT.iter().filter_map(|name| find(names, name)).collect();
        match likely.as_slice() {
            [text] => Ok(Places { text: *text, title, id }),
            [text, ..] if names[*text].eq_ignore_ascii_case(TEXT[0]) => Ok(Places { text: *text, title, id }),
            _ => {
                // The column of the longest text is the likeliest.
                let longest = (0..names.len()).max_by_key(|&at| example.get(at).map_or(0, |text| text.chars().count()));
                Err(Error::TextColumn {
                    path: path.into(),
                    problem: format!("has the columns {}", listed(names)),
                    likely: longest.map_or("text".into(), |at| typed(names, at)),
                })
            }
        }
    }
}

/// Whether names look like those of a table with a column of texts.
pub(super) fn are_names(names: &[String]) -> bool {
    looks_like_names(names) && TEXT.iter().any(|name| find(names, name).is_some())
}

/// Whether the first line of a table can be its header: short names, none twice, none a number.
pub(super) fn looks_like_names(names: &[String]) -> bool {
    let is_name = |name: &String| !name.trim().is_empty() && name.chars().count() <= 64 && name.parse::<f64>().is_err();
    names.iter().all(is_name) && (1..names.len()).all(|at| !names[..at].contains(&names[at]))
}

fn find(names: &[String], wanted: &str) -> Option<usize> {
    let exactly = names.iter().position(|name| name == wanted);
    exactly.or_else(|| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)))
}

/// By name, or by number.
fn numbered(path: &Path, names: &[String], wanted: &str, held: &str) -> Result<usize> {
    let by_number =
        || wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|&at| at < names.len());
    let missing = || Error::file(path, format!("has no column '{wanted}' of {held}; there are {}", listed(names)));
    find(names, wanted).or_else(by_number).ok_or_else(missing)
}

/// A column as a user can type it: by its name, or by its number where that is long or odd.
pub(super) fn typed(names: &[String], at: usize) -> String {
    let easy = |name: &&String| name.chars().count() <= 40 && !name.contains(char::is_control);
    names.get(at).filter(easy).map_or_else(|| (at + 1).to_string(), |name| quoted(name))
}

/// The start of a list of names.
pub(super) fn listed(names: &[String]) -> String {
    let shown = |name: &String| {
        let start: String = name.chars().filter(|c| !c.is_control()).take(30).collect();
        if start.chars().count() < name.chars().count() { format!("'{start}…'") } else { format!("'{start}'") }
    };
    let mut list = names.iter().take(12).map(shown).collect::<Vec<_>>().join(", ");
    if names.len() > 12 {
        list.push_str(&format!(" and {} more", names.len() - 12));
    }
    list
}

/// What a document is called by, from its name and its title.
pub(super) fn label(id: Option<String>, title: Option<String>) -> Option<String> {
    match (id, title) {
        (Some(id), Some(title)) => Some(format!("{id}: {title}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_by_number_or_listed() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let table = names(&["id", "Title", "Text", "body"]);
        let places = |text: Option<&str>, id: Option<&str>, names: &[String]| {
            Columns { text: text.map(String::from), id: id.map(String::from) }.places(Path::new("f"), names, &[])
        };
        let found = places(None, None, &table).unwrap();
        assert_eq!(found, Places { text: 2, title: Some(1), id: None });
        assert_eq!(places(Some("4"), Some("id"), &table).unwrap(), Places { text: 3, title: Some(1), id: Some(0) });
        assert_eq!(places(None, None, &names(&["anything"])).unwrap().text, 0);
        let error = Columns::default()
            .places(Path::new("f"), &names(&["a", "free text"]), &names(&["1", "a long one"]))
            .unwrap_err();
        assert_eq!(error.to_string(), "f: has the columns 'a', 'free text'; say which holds the text");
        assert!(matches!(error, Error::TextColumn { likely, .. } if likely == "'free text'"));
        assert!(places(Some("5"), None, &table).unwrap_err().to_string().contains("no column '5'"));
        assert!(places(None, Some("x"), &table).unwrap_err().to_string().contains("'x' of names"));
        assert!(are_names(&table) && !are_names(&names(&["a", "b"])) && !looks_like_names(&names(&["1", "text"])));
    }
}
