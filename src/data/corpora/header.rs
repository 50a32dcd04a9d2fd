//! Detects whether the first line of a table is a header.

use super::names::{TITLE_NAME, are_names, is_text_name, looks_like_names};
use crate::choice::choices;

choices! {
    "header";
    /// Whether the first line of a table holds the names of its columns.
    #[derive(Default)]
    pub enum Header {
        /// Yes if an option names a column of it, a column has a usual name, or it differs from the lines below
        #[default]
        Auto = "auto",
        /// The first line is a header
        Yes = "yes",
        /// The first line is a document
        No = "no",
        /// Yes if all its fields are short, none empty, repeated or a number, as in runs without this setting
        Short = "short",
    }
}

/// Usual column names in headers, besides those of text columns.
const USUAL_NAMES: [&str; 3] = [TITLE_NAME, "id", "label"];

/// The most characters of a column name if only its length tells it from a text.
const MAX_NAME_CHARACTERS: usize = 64;

impl Header {
    /// Returns whether the first row is a header. `wanted` are the columns that a user names.
    pub(super) fn is_header<'a>(self, rows: &[Vec<String>], wanted: impl IntoIterator<Item = &'a String>) -> bool {
        let Some((first, below)) = rows.split_first() else { return false };
        let could_be = looks_like_names(first) && (first.len() > 1 || are_names(first));
        match self {
            Header::Yes => true,
            Header::No => false,
            Header::Short => could_be,
            Header::Auto => {
                let asked = wanted.into_iter().any(|wanted| is_name(first, wanted));
                asked || has_known_name(first, below) || could_be || first.len() > 1 && is_unlike(first, below)
            }
        }
    }
}

/// Returns whether a column that a user names is given by name, not by number.
fn is_name(first: &[String], wanted: &str) -> bool {
    !wanted.parse().is_ok_and(|number: usize| (1..=first.len()).contains(&number))
}

/// Returns whether a column has a usual name that does not occur again below it (there it would be a label). If a field
/// is as long as a text, two columns need such names.
fn has_known_name(first: &[String], below: &[Vec<String>]) -> bool {
    let is_known = |(at, name): &(usize, &String)| {
        let is_known = is_text_name(name) || USUAL_NAMES.iter().any(|other| name.trim().eq_ignore_ascii_case(other));
        is_known && below.iter().all(|row| row.get(*at) != Some(*name))
    };
    first.iter().enumerate().filter(is_known).count() >= if are_short(first) { 1 } else { 2 }
}

/// Returns whether all fields are short enough for names.
fn are_short(first: &[String]) -> bool {
    first.iter().all(|name| name.chars().count() <= MAX_NAME_CHARACTERS)
}

/// Returns whether a column of numbers begins with a name, or a column of row numbers begins with a blank, as in tables
/// with an index.
fn is_unlike(first: &[String], below: &[Vec<String>]) -> bool {
    let is_number = |field: &String| field.trim().parse::<f64>().is_ok();
    let of_column = |(at, name): (usize, &String)| {
        let mut fields = below.iter().map(|row| row.get(at));
        if name.trim().is_empty() {
            return (0..).zip(fields).all(|(number, field)| field.is_some_and(|field| field.parse() == Ok(number)));
        }
        !is_number(name) && fields.all(|field| field.is_some_and(is_number))
    };
    are_short(first) && !below.is_empty() && first.iter().enumerate().any(of_column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_header(header: Header, text: Option<&str>, rows: &[&str]) -> bool {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.split(',').map(String::from).collect()).collect();
        header.is_header(&rows, text.map(String::from).as_ref())
    }

    #[test]
    fn headers_of_other_programs_are_known() {
        let long = "How satisfied are you with the service of our company all in all from 1 to 5?";
        for first in [",text,label", "id,text,", "id,text,2020", "id,text,text", &format!("id,text,{long}"), "a,b c,d"]
        {
            assert!(is_header(Header::Auto, None, &[first, "0,some words,7", "1,others,8"]), "{first}");
        }
        assert!(is_header(Header::Auto, None, &[",words,kind", "0,some words,a", "1,others,b"]));
        assert!(is_header(Header::Auto, None, &["day,words,2020", "7,some words,1", "8,others,1"]));
        for (first, second) in
            [("1,some words", "2,others"), ("comment,some words", "comment,others"), (",some words", "7,others")]
        {
            let found = is_header(Header::Auto, None, &[first, second]);
            assert_eq!(found, first.starts_with("comment"), "{first}");
        }
        let review = format!("review,{}", "words ".repeat(20));
        assert!(!is_header(Header::Auto, None, &[&review, "news,others"]));
        assert!(!is_header(Header::Auto, Some("1"), &["1,some words", "2,others"]));
        assert!(!is_header(Header::Auto, Some("2"), &["1,some words", "2,others"]));
        assert!(is_header(Header::Auto, Some("2020"), &["1,2020", "2,others"]));
        assert!(is_header(Header::Auto, Some("text"), &["1,2", "2,others"]));
        assert!(!is_header(Header::Short, None, &[",text,label", "0,some words,a"]));
        assert!(is_header(Header::Yes, None, &["1,2", "3,4"]) && !is_header(Header::No, None, &["id,text", "3,4"]));
        assert!(!is_header(Header::Yes, None, &[]));
    }
}
