//! The FAQ's messages are those of the sources, and what the project says of itself is one thing everywhere.

use super::markdown::{root, text};
use gengs::estimators::EstimatorKind;
use std::path::Path;

/// The text of sources, without the line breaks of literals that go on in the next line.
fn sources() -> String {
    let mut all = text("build.rs") + &text("libtorch-setup.sh");
    collect(&root().join("src"), &mut all);
    let joined: Vec<&str> = all.split("\\\n").map(str::trim_start).collect();
    joined.join("")
}

fn collect(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn messages_of_the_faq_are_those_of_the_sources() {
    let (faq, sources) = (text("docs/faq.md"), sources());
    let entries: Vec<&str> = faq.split("\n## ").skip(1).collect();
    assert!(entries.len() >= 10, "{} entries", entries.len());
    for entry in entries {
        let title = entry.lines().next().unwrap_or_default();
        let seen = entry.lines().find_map(|line| line.strip_prefix("You see: "));
        let seen = seen.unwrap_or_else(|| panic!("{title}: no line 'You see: '"));
        if seen.starts_with("no message") {
            continue;
        }
        let message = seen.trim_matches('`');
        let parts: Vec<&str> = message.split("...").map(str::trim).filter(|part| part.len() > 3).collect();
        assert!(!parts.is_empty(), "{title}: {seen}");
        for part in parts {
            assert!(sources.contains(part), "{title}: no source says '{part}'");
        }
    }
}

#[test]
fn versions_and_counts_agree() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(text("CITATION.cff").contains(&format!("\nversion: {version}\n")));
    let minor = version.rsplit_once('.').unwrap().0;
    assert!(text("README.md").contains(&format!("The crate is {minor}:")));
    let count = EstimatorKind::ALL.len();
    for (document, said) in [
        ("README.md", "The # estimators also train the VAE"),
        ("docs/results.md", "cost of # estimators"),
        ("CHANGELOG.md", "- # gradient estimators"),
    ] {
        assert!(text(document).contains(&said.replace('#', &count.to_string())), "{document}: {said}, of {count}");
    }
    let changes = text("CHANGELOG.md");
    assert!(changes.contains("## [Unreleased]") || changes.contains(&format!("## [{version}]")));
}
