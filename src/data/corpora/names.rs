//! Column names: the usual ones, and what a name looks like.

/// Usual names of text columns, the most likely first.
pub(super) const TEXT_NAMES: [&str; 12] = [
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

/// The name of the title column.
pub(super) const TITLE_NAME: &str = "title";

/// Returns whether a name is a usual name of a text column.
pub(super) fn is_text_name(name: &str) -> bool {
    TEXT_NAMES.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// Returns whether fields look like the header of a table with a text column.
pub(super) fn are_names(names: &[String]) -> bool {
    looks_like_names(names) && names.iter().any(|name| is_text_name(name))
}

/// Returns whether fields look like a header: none is long, blank, repeated, or a number.
pub(super) fn looks_like_names(names: &[String]) -> bool {
    let is_name = |name: &String| !name.trim().is_empty() && name.chars().count() <= 64 && name.parse::<f64>().is_err();
    names.iter().all(is_name) && (1..names.len()).all(|at| !names[..at].contains(&names[at]))
}

/// Returns the index of a name, compared exactly if possible, else without case and outer blanks.
pub(super) fn find(names: &[String], wanted: &str) -> Option<usize> {
    let exactly = names.iter().position(|name| name == wanted);
    exactly.or_else(|| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)))
}

/// Returns the first names of a list, as errors show them.
pub(super) fn quoted_list(names: &[String]) -> String {
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
