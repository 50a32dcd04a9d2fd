//! Links, anchors and names of files.

use super::markdown::{anchors, code, documents, folder_of, links, root, text};
use std::path::Path;

#[test]
fn links_and_anchors_are_there() {
    let mut broken = Vec::new();
    for document in documents() {
        let own = text(&document);
        for target in links(&own) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = folder_of(&document).join(file);
            if !file.is_empty() && !path.exists() {
                broken.push(format!("{document}: {target}: no such file"));
                continue;
            }
            let linked = if file.is_empty() { own.clone() } else { std::fs::read_to_string(&path).unwrap_or_default() };
            if !anchor.is_empty() && !anchors(&linked).iter().any(|found| found == anchor) {
                broken.push(format!("{document}: {target}: no such heading; there are {:?}", anchors(&linked)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Names of files that a program or a script makes, which are no files of the repository.
const MADE: [&str; 2] = ["tree.html", "results.md"];

/// Code that ends as a file of the repository does is the path of one: from the root, from the document, or in `src/`; a name alone may lie
/// anywhere.
#[test]
fn files_that_are_named_are_there() {
    let names = all_names(root());
    let mut missing = Vec::new();
    for document in documents() {
        for span in code(&text(&document)) {
            let is_path = !span.contains(' ') && !span.contains(['*', '<', '(', '$', '{']) && !span.contains("...");
            let of_repository =
                [".rs", ".py", ".sh", ".md", ".svg", ".png", ".cff"].iter().any(|end| span.ends_with(end));
            let span = span.trim_start_matches("./");
            if !is_path
                || !of_repository
                || MADE.contains(&span)
                || span.starts_with(char::is_uppercase)
                || span.starts_with("runs/")
            {
                continue;
            }
            let places = [root().join(span), folder_of(&document).join(span), root().join("src").join(span)];
            let is_there = places.iter().any(|place| place.exists()) || names.iter().any(|name| name == span);
            if !is_there && !span.ends_with(".png") {
                missing.push(format!("{document}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Names of the files in a folder and those below it that hold sources.
fn all_names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap_or_default();
        let skipped = ["target", "runs"].contains(&name.as_str()) || name.starts_with('.') && name != ".ci";
        if entry.path().is_dir() && !skipped {
            names.extend(all_names(&entry.path()));
        } else {
            names.push(name);
        }
    }
    names
}

#[test]
fn examples_are_listed() {
    let listed = text("examples/README.md");
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || listed.contains(&format!("| `{name}` |")), "examples/README.md lacks {name}");
    }
}
