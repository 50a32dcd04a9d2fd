//! Files of at most 400 lines, functions of at most 60, lines of at most 120 characters; what is longer stands here, with the reason.

use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const MOST_LINES: usize = 400;
const MOST_LINES_OF_A_FUNCTION: usize = 60;
const MOST_CHARACTERS: usize = 120;

/// Files, and functions as `file::function`.
const LONGER: [(&str, &str); 2] = [
    ("formats/pickle.rs::step", "a table: one arm an opcode"),
    ("training/session.rs", "the loop, its start and its resumption change the same progress"),
];

/// Functions of a file, and their lines.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, from: proc_macro2::Span, to: &syn::Block) {
        let lines = to.span().end().line - from.start().line + 1;
        self.0.push((name.to_string(), lines));
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        self.add(&function.sig.ident, function.sig.span(), &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        self.add(&function.sig.ident, function.sig.span(), &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_is_longer_than_it_should_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut paths, mut too_long, mut excused) = (Vec::new(), Vec::new(), Vec::new());
    sources(&root, &mut paths);
    for path in paths {
        let file = path.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        let mut functions = Functions::default();
        functions.visit_file(&syn::parse_file(&text).unwrap());
        let longer = functions.0.into_iter().filter(|(_, lines)| *lines > MOST_LINES_OF_A_FUNCTION);
        let longer = longer.map(|(name, lines)| (format!("{file}::{name}"), lines));
        let longer = longer.chain((lines > MOST_LINES).then(|| (file.clone(), lines)));
        for (what, lines) in longer {
            if LONGER.iter().any(|(excused, _)| *excused == what) {
                excused.push(what);
            } else {
                too_long.push(format!("{what}: {lines} lines"));
            }
        }
        for (number, line) in text.lines().enumerate() {
            // A row of a table cannot be broken.
            let is_row = line.trim_start().starts_with("//! |") || line.trim_start().starts_with("/// |");
            if !is_row && line.chars().count() > MOST_CHARACTERS {
                too_long.push(format!("{file}:{}: {} characters", number + 1, line.chars().count()));
            }
        }
    }
    too_long.sort();
    assert!(too_long.is_empty(), "{} too long:\n{}", too_long.len(), too_long.join("\n"));
    assert_eq!(excused.len(), LONGER.len(), "only {excused:?} are longer");
}
