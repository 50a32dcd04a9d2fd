//! Finds the columns of a table, or the fields of JSON lines, that hold the text, the title and the name of a document.

use super::header::Header;
use super::names::{TEXT_NAMES, TITLE_NAME, find, is_text_name, quoted_list};
use super::quotes::Quotes;
use crate::error::{Error, Result};
use crate::markup::shell_quoted;
use std::path::Path;

/// The columns with texts and names of documents, and how a table is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// The column of the text, by name, or in a table by number from 1. `None`: found by its usual names (`text`,
    /// `body`, ...).
    pub text: Option<String>,
    /// The column with the names of documents, by name, or in a table by number from 1; shown before the title.
    pub id: Option<String>,
    /// Whether the first line of a table holds the names of the columns.
    pub header: Header,
    /// How double quotes in a table are read.
    pub quotes: Quotes,
}

/// The indices of the columns that are read, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnIndices {
    pub text: usize,
    pub title: Option<usize>,
    pub id: Option<usize>,
}

impl Columns {
    /// Returns the indices of the columns. `names` are those of the header, `rows` are the first rows. Fails if a
    /// column does not exist, or if the text column is unknown; the error lists the columns.
    pub(super) fn find_indices(&self, path: &Path, names: &[String], rows: &[Vec<String>]) -> Result<ColumnIndices> {
        let title = find(names, TITLE_NAME).filter(|_| names.len() > 1);
        let id = self.id.as_deref().map(|wanted| find_column(path, names, wanted, "id")).transpose()?;
        let likely: Vec<usize> = TEXT_NAMES.iter().filter_map(|name| find(names, name)).collect();
        let text = match (&self.text, likely.as_slice()) {
            (Some(wanted), _) => find_column(path, names, wanted, "text")?,
            (None, _) if names.len() == 1 => 0,
            (None, [text]) => *text,
            // `text` takes precedence over the other usual names.
            (None, [text, ..]) if names[*text].eq_ignore_ascii_case(TEXT_NAMES[0]) => *text,
            _ => return Err(unknown_text_column(path, format!("has the columns {}", quoted_list(names)), names, rows)),
        };
        let by_name = self.text.as_ref().is_none_or(|wanted| find(names, wanted) == Some(text));
        let same = names.iter().filter(|name| **name == names[text]).count();
        if by_name && same > 1 {
            return Err(unknown_text_column(
                path,
                format!("has {same} columns {}", quoted_list(&names[text..=text])),
                names,
                rows,
            ));
        }
        Ok(ColumnIndices { text, title, id })
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
    pub(super) fn has_header(&self, rows: &[Vec<String>]) -> bool {
        self.header.is_header(rows, [&self.text, &self.id].into_iter().flatten())
    }

    /// Returns the names of other columns that could hold the text.
    pub(super) fn other_candidates<'n>(&self, names: &'n [String], text: usize) -> Vec<&'n String> {
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

/// Makes the error that the text column is unknown; it suggests the column with the most text.
fn unknown_text_column(path: &Path, problem: String, names: &[String], rows: &[Vec<String>]) -> Error {
    Error::TextColumn { path: path.into(), problem, likely: typeable_name(names, longest_column(names.len(), rows)) }
}

/// Returns the index of the column with the most characters in these rows: texts are longer than labels.
pub(super) fn longest_column(columns: usize, rows: &[Vec<String>]) -> usize {
    let letters = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).sum::<usize>();
    (0..columns).rev().max_by_key(|&at| letters(at)).unwrap_or(0)
}

/// Returns the index of the column that a user names, by name or by number from 1. `role` is for the error.
fn find_column(path: &Path, names: &[String], wanted: &str, role: &str) -> Result<usize> {
    let by_number =
        || wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|&at| at < names.len());
    let missing =
        || Error::file(path, format!("has no {role} column '{wanted}'; its columns are {}", quoted_list(names)));
    find(names, wanted).or_else(by_number).ok_or_else(missing)
}

/// Returns a column as a user can name it in a shell: by name, or by number from 1 if the name is long, repeated,
/// blank, or has control characters.
pub(super) fn typeable_name(names: &[String], at: usize) -> String {
    let is_easy_to_type = |name: &&String| {
        let is_short = name.chars().count() <= 40 && !name.contains(char::is_control);
        let is_only = names.iter().filter(|other| other == name).count() == 1;
        is_short && is_only && !name.trim().is_empty()
    };
    names.get(at).filter(is_easy_to_type).map_or_else(|| (at + 1).to_string(), |name| shell_quoted(name))
}

/// Joins the name and the title of a document to its label.
pub(super) fn id_and_title(id: Option<String>, title: Option<String>) -> Option<String> {
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
        let indices = |text: Option<&str>, id: Option<&str>, names: &[String]| {
            Columns { text: text.map(String::from), id: id.map(String::from), ..Columns::default() }.find_indices(
                Path::new("f"),
                names,
                &[],
            )
        };
        let found = indices(None, None, &table).unwrap();
        assert_eq!(found, ColumnIndices { text: 2, title: Some(1), id: None });
        assert_eq!(
            indices(Some("4"), Some("id"), &table).unwrap(),
            ColumnIndices { text: 3, title: Some(1), id: Some(0) }
        );
        assert_eq!(indices(None, None, &names(&["anything"])).unwrap().text, 0);
        let error = Columns::default()
            .find_indices(Path::new("f"), &names(&["a", "free text"]), &[names(&["1", "a long one"])])
            .unwrap_err();
        assert_eq!(error.to_string(), "f: has the columns 'a', 'free text'; say which holds the text");
        assert!(matches!(error, Error::TextColumn { likely, .. } if likely == "'free text'"));
        assert!(indices(Some("5"), None, &table).unwrap_err().to_string().contains("no text column '5'"));
        assert!(indices(None, Some("x"), &table).unwrap_err().to_string().contains("no id column 'x'"));
        use crate::data::corpora::names::{are_names, looks_like_names};
        assert!(are_names(&table) && !are_names(&names(&["a", "b"])) && !looks_like_names(&names(&["1", "text"])));
    }
}
