//! Just enough of Markdown: fenced blocks, code spans, tables, headings, links.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of the repository, by path from its root.
pub fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs", "examples", "benches"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        found.extend(names.filter(|name| name.ends_with(".md")).map(|name| join(folder, &name)));
    }
    found.sort();
    assert!(found.len() >= 14, "{found:?}");
    found
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}

/// The folder of a document.
pub fn folder_of(document: &str) -> PathBuf {
    root().join(document).parent().unwrap().to_path_buf()
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    pub language: String,
    pub lines: Vec<String>,
}

/// The fenced blocks of a document, and the rest of its lines; blocks that are indented by four spaces are fenced ones without a language.
pub fn blocks(text: &str) -> (Vec<Block>, Vec<&str>) {
    let (mut blocks, mut rest, mut open) = (Vec::new(), Vec::new(), None::<Block>);
    let mut blank = true;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some(Block { language: language.into(), lines: Vec::new() }),
            }
        } else if let Some(block) = &mut open {
            block.lines.push(line.into());
        } else if line.starts_with("    ") && blank {
            blocks.push(Block { language: String::new(), lines: vec![line.trim().into()] });
            continue;
        } else {
            rest.push(line);
        }
        blank = line.is_empty();
    }
    assert!(open.is_none(), "a fence is not closed");
    (blocks, rest)
}

/// All code of a document: lines of fenced blocks, and code spans, which may go on in the next line.
pub fn code(text: &str) -> Vec<String> {
    let (blocks, rest) = blocks(text);
    let rest = rest.join("\n");
    let spans = rest.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2).map(one_line));
    blocks.into_iter().flat_map(|block| block.lines).chain(spans.collect::<Vec<_>>()).collect()
}

fn one_line(span: &str) -> String {
    span.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Targets of links and pictures, without those on the web.
pub fn links(text: &str) -> Vec<String> {
    let rest = blocks(text).1.join("\n");
    let plain: String = rest.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let inline = plain.split("](").skip(1).map(|after| after.split(')').next().unwrap_or_default());
    let pictures = plain.split("src=\"").skip(1).map(|after| after.split('"').next().unwrap_or_default());
    let targets = inline.chain(pictures).filter(|target| !target.starts_with("http"));
    targets.map(String::from).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = blocks(text).1.into_iter().filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(kept).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

/// The cells of the rows of tables, without their heads' rulers.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = blocks(text).1.into_iter().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()).collect()
}

/// The part of a document under a heading, down to the next of its level or above.
pub fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")) + 1;
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let body = start + heading.len();
    let ends = |line: &str| (1..=level).any(|level| line.starts_with(&format!("{} ", "#".repeat(level))));
    let mut end = body;
    for line in text[body..].split_inclusive('\n') {
        if end > body && ends(line) {
            break;
        }
        end += line.len();
    }
    &text[start..end]
}
