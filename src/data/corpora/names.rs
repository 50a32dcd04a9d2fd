//! Names of columns: which are those of texts, and which could be names at all.

/// Names of a column of texts, the likeliest first.
pub(super) const TEXT: [&str; 12] = [
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

/// Whether a column of texts may be called so.
pub(super) fn is_text_name(name: &str) -> bool {
    TEXT.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// Whether names look like those of a table with a column of texts.
pub(super) fn are_names(names: &[String]) -> bool {
    looks_like_names(names) && names.iter().any(|name| is_text_name(name))
}

/// Whether the first line of a table can be its header: short names, none twice, none a number.
pub(super) fn looks_like_names(names: &[String]) -> bool {
    let is_name = |name: &String| !name.trim().is_empty() && name.chars().count() <= 64 && name.parse::<f64>().is_err();
    names.iter().all(is_name) && (1..names.len()).all(|at| !names[..at].contains(&names[at]))
}

pub(super) fn find(names: &[String], wanted: &str) -> Option<usize> {
    let exactly = names.iter().position(|name| name == wanted);
    exactly.or_else(|| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)))
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
