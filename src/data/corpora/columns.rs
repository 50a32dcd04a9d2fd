//! Which column of a table, or field of a line of JSON, holds what.

use super::header::Header;
use super::names::{TEXT, TITLE, find, is_text_name, listed};
use super::quotes::Quotes;
use crate::error::{Error, Result};
use crate::markup::quoted;
use std::path::Path;

/// Columns by name, or in a table by number, counted from 1; and how a table is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// Where the text is; found by its name where none is given.
    pub text: Option<String>,
    /// What documents are called by, beside their titles.
    pub id: Option<String>,
    /// Whether the first line of a table holds names.
    pub header: Header,
    /// What double quotes of a table are.
    pub quotes: Quotes,
}

/// The numbers of the columns that are wanted, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub text: usize,
    pub title: Option<usize>,
    pub id: Option<usize>,
}

impl Columns {
    /// Finds the columns among those of a file, or says which there are.
    pub(super) fn places(&self, path: &Path, names: &[String], rows: &[Vec<String>]) -> Result<Places> {
        let title = find(names, TITLE).filter(|_| names.len() > 1);
        let id = self.id.as_deref().map(|wanted| numbered(path, names, wanted, "names")).transpose()?;
        let likely: Vec<usize> = TEXT.iter().filter_map(|name| find(names, name)).collect();
        let text = match (&self.text, likely.as_slice()) {
            (Some(wanted), _) => numbered(path, names, wanted, "texts")?,
            (None, _) if names.len() == 1 => 0,
            (None, [text]) => *text,
            (None, [text, ..]) if names[*text].eq_ignore_ascii_case(TEXT[0]) => *text,
            _ => return Err(which(path, format!("has the columns {}", listed(names)), names, rows)),
        };
        let by_name = self.text.as_ref().is_none_or(|wanted| find(names, wanted) == Some(text));
        let same = names.iter().filter(|name| **name == names[text]).count();
        if by_name && same > 1 {
            return Err(which(path, format!("has {same} columns {}", listed(&names[text..=text])), names, rows));
        }
        Ok(Places { text, title, id })
    }

    /// What is asked for of a table, where the texts are in none: it has no effect. The rules of old runs, which nobody
    /// asked for, are not told of.
    pub(super) fn without_table(&self) -> Option<String> {
        let header = matches!(self.header, Header::Yes | Header::No).then(|| format!("header '{}'", self.header));
        let quotes = (self.quotes == Quotes::Text).then(|| format!("quotes '{}'", self.quotes));
        let asked: Vec<String> = header.into_iter().chain(quotes).collect();
        (!asked.is_empty()).then(|| {
            format!(
                "{} {} no effect: the texts are read from no table; for one, name the format, as in csv:PATH",
                asked.join(" and "),
                if asked.len() == 1 { "has" } else { "have" }
            )
        })
    }

    /// Whether the first row of a table holds names.
    pub(super) fn are_named(&self, rows: &[Vec<String>]) -> bool {
        self.header.is_there(rows, [&self.text, &self.id].into_iter().flatten())
    }

    /// The other columns that the text could be in, by their names.
    pub(super) fn others<'n>(&self, names: &'n [String], text: usize) -> Vec<&'n String> {
        let is_other = |(at, name): &(usize, &String)| {
            let is_meant = match &self.text {
                Some(wanted) => name.trim().eq_ignore_ascii_case(wanted.trim()),
                None => is_text_name(name),
            };
            *at != text && is_meant
        };
        names.iter().enumerate().filter(is_other).map(|(_, name)| name).collect()
    }
}

/// The column of the text is not known, with the likeliest.
fn which(path: &Path, problem: String, names: &[String], rows: &[Vec<String>]) -> Error {
    Error::TextColumn { path: path.into(), problem, likely: typed(names, longest(names.len(), rows)) }
}

/// The column of the most text in these rows: the likeliest, and no column of labels.
pub(super) fn longest(columns: usize, rows: &[Vec<String>]) -> usize {
    let letters = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).sum::<usize>();
    (0..columns).rev().max_by_key(|&at| letters(at)).unwrap_or(0)
}

/// By name, or by number.
fn numbered(path: &Path, names: &[String], wanted: &str, held: &str) -> Result<usize> {
    let by_number =
        || wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|&at| at < names.len());
    let missing = || Error::file(path, format!("has no column '{wanted}' of {held}; there are {}", listed(names)));
    find(names, wanted).or_else(by_number).ok_or_else(missing)
}

/// A column as a user can type it: by its name, or by its number where that is long, odd, or another's, too.
pub(super) fn typed(names: &[String], at: usize) -> String {
    let easy = |name: &&String| {
        let is_short = name.chars().count() <= 40 && !name.contains(char::is_control);
        let is_only = names.iter().filter(|other| other == name).count() == 1;
        is_short && is_only && !name.trim().is_empty()
    };
    names.get(at).filter(easy).map_or_else(|| (at + 1).to_string(), |name| quoted(name))
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
            Columns { text: text.map(String::from), id: id.map(String::from), ..Columns::default() }.places(
                Path::new("f"),
                names,
                &[],
            )
        };
        let found = places(None, None, &table).unwrap();
        assert_eq!(found, Places { text: 2, title: Some(1), id: None });
        assert_eq!(places(Some("4"), Some("id"), &table).unwrap(), Places { text: 3, title: Some(1), id: Some(0) });
        assert_eq!(places(None, None, &names(&["anything"])).unwrap().text, 0);
        let error = Columns::default()
            .places(Path::new("f"), &names(&["a", "free text"]), &[names(&["1", "a long one"])])
            .unwrap_err();
        assert_eq!(error.to_string(), "f: has the columns 'a', 'free text'; say which holds the text");
        assert!(matches!(error, Error::TextColumn { likely, .. } if likely == "'free text'"));
        assert!(places(Some("5"), None, &table).unwrap_err().to_string().contains("no column '5'"));
        assert!(places(None, Some("x"), &table).unwrap_err().to_string().contains("'x' of names"));
        use crate::data::corpora::names::{are_names, looks_like_names};
        assert!(are_names(&table) && !are_names(&names(&["a", "b"])) && !looks_like_names(&names(&["1", "text"])));
    }
}
