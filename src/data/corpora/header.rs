//! Whether the first line of a table holds names.

use super::names::{TITLE, are_names, is_text_name, looks_like_names};
use crate::choice::choices;

choices! {
    "header";
    /// Whether the first line of a table holds the names of its columns.
    #[derive(Default)]
    pub enum Header {
        /// Where a column is asked for by name, one is called as texts are, or the line is unlike those below it
        #[default]
        Auto = "auto",
        /// It does
        Yes = "yes",
        /// It is a document
        No = "no",
        /// Where it could be one: all short, none empty, repeated or a number; the rule of old runs
        Short = "short",
    }
}

/// Names that headers have, beside those of texts.
const OTHERS: [&str; 3] = [TITLE, "id", "label"];

/// The most characters of a name, where nothing else tells names from texts.
const LONGEST: usize = 64;

impl Header {
    /// By the first rows of a table, and the columns that a user asks for.
    pub(super) fn is_there<'a>(self, rows: &[Vec<String>], wanted: impl IntoIterator<Item = &'a String>) -> bool {
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

/// Whether what a user asks for is a name and not the number of a column.
fn is_name(first: &[String], wanted: &str) -> bool {
    !wanted.parse().is_ok_and(|number: usize| (1..=first.len()).contains(&number))
}

/// Whether a column is called as columns of tables of texts are, and has no such word below: a label may be one. Beside
/// what could be a text, one is not enough.
fn has_known_name(first: &[String], below: &[Vec<String>]) -> bool {
    let is_known = |(at, name): &(usize, &String)| {
        let is_known = is_text_name(name) || OTHERS.iter().any(|other| name.trim().eq_ignore_ascii_case(other));
        is_known && below.iter().all(|row| row.get(*at) != Some(*name))
    };
    first.iter().enumerate().filter(is_known).count() >= if are_short(first) { 1 } else { 2 }
}

fn are_short(first: &[String]) -> bool {
    first.iter().all(|name| name.chars().count() <= LONGEST)
}

/// Whether a column of numbers has a name, or one that counts the rows has none, as where a program writes its index.
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

    fn is_there(header: Header, text: Option<&str>, rows: &[&str]) -> bool {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.split(',').map(String::from).collect()).collect();
        header.is_there(&rows, text.map(String::from).as_ref())
    }

    #[test]
    fn headers_of_other_programs_are_known() {
        let long = "How satisfied are you with the service of our company all in all from 1 to 5?";
        for first in [",text,label", "id,text,", "id,text,2020", "id,text,text", &format!("id,text,{long}"), "a,b c,d"]
        {
            assert!(is_there(Header::Auto, None, &[first, "0,some words,7", "1,others,8"]), "{first}");
        }
        assert!(is_there(Header::Auto, None, &[",words,kind", "0,some words,a", "1,others,b"]));
        assert!(is_there(Header::Auto, None, &["day,words,2020", "7,some words,1", "8,others,1"]));
        for (first, second) in
            [("1,some words", "2,others"), ("comment,some words", "comment,others"), (",some words", "7,others")]
        {
            let found = is_there(Header::Auto, None, &[first, second]);
            assert_eq!(found, first.starts_with("comment"), "{first}");
        }
        let review = format!("review,{}", "words ".repeat(20));
        assert!(!is_there(Header::Auto, None, &[&review, "news,others"]));
        assert!(!is_there(Header::Auto, Some("1"), &["1,some words", "2,others"]));
        assert!(!is_there(Header::Auto, Some("2"), &["1,some words", "2,others"]));
        assert!(is_there(Header::Auto, Some("2020"), &["1,2020", "2,others"]));
        assert!(is_there(Header::Auto, Some("text"), &["1,2", "2,others"]));
        assert!(!is_there(Header::Short, None, &[",text,label", "0,some words,a"]));
        assert!(is_there(Header::Yes, None, &["1,2", "3,4"]) && !is_there(Header::No, None, &["id,text", "3,4"]));
        assert!(!is_there(Header::Yes, None, &[]));
    }
}
