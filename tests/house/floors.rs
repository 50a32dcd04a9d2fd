//! The floors of `src/`: every file imports from its own floor or one below, and no files import each other in a circle.
//!
//! An import is a `use`, or a path in the code, followed through re-exports to the file that defines the item. What `lib.rs` names, module declarations,
//! re-exports that a file does not use itself, and tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The floors from the ground up: folders and files of `src/`, the longest fitting one counts. CONTRIBUTING.md shows the same list.
const FLOORS: [(usize, &[&str]); 11] = [
    (1, &["error.rs", "error/", "markup.rs", "choice.rs", "autograd.rs", "math/"]),
    (2, &["checks.rs", "platform/", "random/", "topic_metrics/"]),
    (3, &["recurrences/", "nn/", "formats/"]),
    (4, &["distributions/", "data/"]),
    (5, &["truncation/"]),
    (6, &["relaxation/"]),
    (7, &["estimators/", "sampler/"]),
    (8, &["models/", "laboratory/"]),
    (9, &["training/"]),
    (10, &["export/", "cli/"]),
    (11, &["lib.rs", "bin/"]),
];

fn floor(file: &str) -> Option<usize> {
    let fits = |place: &&str| file == *place || place.ends_with('/') && file.starts_with(*place);
    FLOORS.iter().find(|(_, places)| places.iter().any(fits)).map(|&(floor, _)| floor)
}

/// A name that a module brings in: the path behind it, and whether others may see it.
#[derive(Debug, Clone)]
struct Import {
    path: Vec<String>,
    line: usize,
    is_reexport: bool,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    /// Names of items that it defines.
    items: BTreeSet<String>,
    imports: BTreeMap<String, Import>,
    globs: Vec<Import>,
    /// Paths of more than one part in its code, and single names.
    paths: Vec<(Vec<String>, usize)>,
    names: BTreeSet<String>,
}

/// Modules by path; that of a program starts with its folder instead of `crate`.
type Modules = BTreeMap<Vec<String>, Module>;

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

/// Reads one file and those of its submodules.
fn read(source: &Path, file: &str, module: Vec<String>, modules: &mut Modules) {
    let text = std::fs::read_to_string(source.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}")).items;
    collect(source, file, module, &items, modules);
}

fn collect(source: &Path, file: &str, module: Vec<String>, items: &[syn::Item], modules: &mut Modules) {
    let mut found = Module { file: file.into(), ..Module::default() };
    for item in items {
        match item {
            syn::Item::Mod(inner) if is_test(&inner.attrs) => {}
            syn::Item::Mod(inner) => {
                let child = [module.as_slice(), &[inner.ident.to_string()]].concat();
                match &inner.content {
                    Some((_, items)) => collect(source, file, child, items, modules),
                    None => read(source, &file_of(source, file, &inner.ident.to_string()), child, modules),
                }
            }
            syn::Item::Use(import) => {
                let is_reexport = !matches!(import.vis, syn::Visibility::Inherited);
                flatten(&import.tree, Vec::new(), import.span().start().line, is_reexport, &mut found);
            }
            _ => {
                found.items.extend(name_of(item));
                Paths(&mut found).visit_item(item);
            }
        }
    }
    modules.insert(module, found);
}

/// The file of a module that another file declares.
fn file_of(source: &Path, file: &str, name: &str) -> String {
    let (folder, stem) = file.rsplit_once('/').map_or(("", file), |(folder, stem)| (folder, stem));
    let own = stem.trim_end_matches(".rs");
    let inside = [folder, if matches!(own, "lib" | "main" | "mod") { "" } else { own }];
    let folder: String = inside.iter().filter(|part| !part.is_empty()).map(|part| format!("{part}/")).collect();
    let flat = format!("{folder}{name}.rs");
    if source.join(&flat).exists() { flat } else { format!("{folder}{name}/mod.rs") }
}

fn name_of(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Const(item) => Some(&item.ident),
        syn::Item::Enum(item) => Some(&item.ident),
        syn::Item::Fn(item) => Some(&item.sig.ident),
        syn::Item::Static(item) => Some(&item.ident),
        syn::Item::Struct(item) => Some(&item.ident),
        syn::Item::Trait(item) => Some(&item.ident),
        syn::Item::Type(item) => Some(&item.ident),
        syn::Item::Macro(item) => item.ident.as_ref(),
        _ => None,
    }
    .map(ToString::to_string)
}

/// Names and globs of a `use`.
fn flatten(tree: &syn::UseTree, mut path: Vec<String>, line: usize, is_reexport: bool, module: &mut Module) {
    match tree {
        syn::UseTree::Path(part) => {
            path.push(part.ident.to_string());
            flatten(&part.tree, path, line, is_reexport, module);
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, path.clone(), line, is_reexport, module));
        }
        syn::UseTree::Glob(_) => module.globs.push(Import { path, line, is_reexport }),
        syn::UseTree::Name(_) | syn::UseTree::Rename(_) => {
            let (name, alias) = match tree {
                syn::UseTree::Rename(renamed) => (renamed.ident.to_string(), renamed.rename.to_string()),
                syn::UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
                _ => unreachable!("a name"),
            };
            let alias = if alias == "self" { path.last().cloned().unwrap_or_default() } else { alias };
            if name != "self" {
                path.push(name);
            }
            // Two traits may be brought in as `_`.
            let alias = if alias == "_" { path.join("::") } else { alias };
            module.imports.insert(alias, Import { path, line, is_reexport });
        }
    }
}

/// Collects the paths of an item.
struct Paths<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if parts.len() > 1 {
            self.0.paths.push((parts.clone(), path.span().start().line));
        }
        self.0.names.insert(parts[0].clone());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        flatten(&import.tree, Vec::new(), import.span().start().line, false, self.0);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let arguments =
            call.parse_body_with(syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated);
        arguments.iter().flatten().for_each(|argument| {
            // What a macro's arguments refer to lives as long as the visit.
            Paths(self.0).visit_expr(&argument.clone());
        });
        visit::visit_macro(self, call);
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
}

/// The file that defines what a path means in a module; nothing for other crates and for local names.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<String> {
    let (first, rest) = path.split_first()?;
    if depth > 20 {
        return None;
    }
    let at = |module: Vec<String>| inside(modules, &module, rest, depth);
    match first.as_str() {
        "crate" => at(vec![from[0].clone()]),
        "gengs" if from[0] != "crate" => at(vec!["crate".into()]),
        "self" => at(from.to_vec()),
        "super" => {
            let parent = &from[..from.len() - 1];
            match rest.first().map(String::as_str) {
                Some("super") => resolve(modules, parent, rest, depth),
                _ => at(parent.to_vec()),
            }
        }
        _ => inside(modules, from, path, depth),
    }
}

/// The file that defines what a path means, whose first part is a name in this module.
fn inside(modules: &Modules, module: &[String], path: &[String], depth: usize) -> Option<String> {
    let here = modules.get(module)?;
    let Some((first, rest)) = path.split_first() else { return Some(here.file.clone()) };
    let child = [module, std::slice::from_ref(first)].concat();
    if modules.contains_key(&child) {
        return inside(modules, &child, rest, depth);
    }
    if here.items.contains(first) {
        return Some(here.file.clone());
    }
    if let Some(import) = here.imports.get(first) {
        let path = [import.path.as_slice(), rest].concat();
        // `use name::...` of another crate with the name of an import goes round in circles, and means nothing here.
        return if path.first() == Some(first) { None } else { resolve(modules, module, &path, depth + 1) };
    }
    here.globs.iter().find_map(|glob| resolve(modules, module, &[glob.path.as_slice(), path].concat(), depth + 1))
}

/// Every import of one file from another, with its line and path.
fn edges(modules: &Modules) -> BTreeMap<(String, String), (usize, String)> {
    let mut edges = BTreeMap::new();
    for (module, found) in modules {
        let named = found.imports.iter().map(|(alias, import)| (alias.as_str(), import));
        let used = named.filter(|(alias, import)| !import.is_reexport || found.names.contains(*alias));
        let globs = found.globs.iter().filter(|glob| !glob.is_reexport);
        let imports = used.map(|(_, import)| import).chain(globs).map(|import| (&import.path, import.line));
        for (path, line) in imports.chain(found.paths.iter().map(|(path, line)| (path, *line))) {
            if let Some(file) = resolve(modules, module, path, 0)
                && file != found.file
                && found.file != "lib.rs"
                && file != "lib.rs"
            {
                edges.entry((found.file.clone(), file)).or_insert((line, path.join("::")));
            }
        }
    }
    edges
}

/// The files of each circle: those that reach each other.
fn circles(edges: &BTreeMap<(String, String), (usize, String)>) -> Vec<BTreeSet<String>> {
    let files: BTreeSet<&String> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached = |start: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![start];
        while let Some(file) = next.pop() {
            for (_, to) in edges.keys().filter(|(from, _)| from == file) {
                if reached.insert(to) {
                    next.push(to);
                }
            }
        }
        reached
    };
    let reach: BTreeMap<&String, BTreeSet<&String>> = files.iter().map(|file| (*file, reached(file))).collect();
    let circle = |file: &&&String| -> BTreeSet<String> {
        let round = reach[**file].iter().filter(|other| reach[**other].contains(**file));
        round.map(|other| other.to_string()).collect()
    };
    let found: BTreeSet<BTreeSet<String>> = files.iter().map(|file| circle(&file)).collect();
    found.into_iter().filter(|circle| circle.len() > 1).collect()
}

#[test]
fn imports_go_down_and_never_round() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Modules::new();
    read(&source, "lib.rs", vec!["crate".into()], &mut modules);
    for entry in std::fs::read_dir(source.join("bin")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let file = if entry.path().is_dir() { format!("bin/{name}/main.rs") } else { format!("bin/{name}") };
        read(&source, &file, vec![format!("bin {name}")], &mut modules);
    }
    let mut wrong = Vec::new();
    for Module { file, .. } in modules.values() {
        if floor(file).is_none() {
            wrong.push(format!("src/{file} stands on no floor: put it into a folder of the list"));
        }
    }
    let edges = edges(&modules);
    for ((from, to), (line, path)) in &edges {
        if let (Some(own), Some(other)) = (floor(from), floor(to))
            && own < other
        {
            wrong.push(format!("src/{from}:{line} on floor {own} imports {path}, of src/{to} on floor {other}"));
        }
    }
    for circle in circles(&edges) {
        let inside = |(from, to): &(String, String)| circle.contains(from) && circle.contains(to);
        let arrows = edges.iter().filter(|(ends, _)| inside(ends));
        let arrows =
            arrows.map(|((from, to), (line, path))| format!("  src/{from}:{line} imports {path}, of src/{to}\n"));
        wrong.push(format!("a circle of {} files:\n{}", circle.len(), arrows.collect::<String>()));
    }
    wrong.sort();
    wrong.dedup();
    assert!(edges.len() > 400, "only {} imports found", edges.len());
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn contributing_shows_the_same_floors() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    for (floor, places) in FLOORS {
        let row = text.lines().find(|line| line.starts_with(&format!("| {floor} |"))).unwrap_or_default();
        let column = row.split('|').nth(2).unwrap_or_default();
        let mut shown: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
        let mut places = places.to_vec();
        shown.sort_unstable();
        places.sort_unstable();
        assert_eq!(shown, places, "floor {floor} of CONTRIBUTING.md");
    }
}

/// The string literals of tokens with their lines, and names; without attributes, which doc comments are.
fn literals(tokens: proc_macro2::TokenStream, each: &mut dyn FnMut(usize, &str)) {
    use proc_macro2::{Delimiter, TokenTree};
    let mut after_hash = false;
    for token in tokens {
        let is_attribute =
            after_hash && matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket);
        match &token {
            TokenTree::Group(group) if !is_attribute => literals(group.stream(), each),
            TokenTree::Literal(literal) => each(literal.span().start().line, &literal.to_string()),
            _ => {}
        }
        after_hash = match &token {
            TokenTree::Punct(punct) => punct.as_char() == '#' || after_hash && punct.as_char() == '!',
            _ => false,
        };
    }
}

/// The library knows no command line: no message names a flag, and no type is clap's.
#[test]
fn only_programs_name_flags() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut wrong) = (vec![source.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.strip_prefix(&source).unwrap().display().to_string();
            if ["cli", "bin"].contains(&file.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if file.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines = text.lines().enumerate().filter(|(_, line)| line.contains("clap::"));
                wrong.extend(lines.map(|(i, _)| format!("src/{file}:{} names clap", i + 1)));
                literals(text.parse().unwrap(), &mut |line, literal| {
                    let mut parts = literal.split("--").skip(1);
                    if literal.contains('"') && parts.any(|after| after.starts_with(|c: char| c.is_ascii_lowercase())) {
                        wrong.push(format!("src/{file}:{line} names a flag: {literal}"));
                    }
                });
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
