//! The commands that documents name: programs, their flags, and names of tests.

use super::markdown::{code, documents, root, text};
use assert_cmd::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

const PROGRAMS: [(&str, &[&str]); 3] = [
    ("gengs-vae", &["train", "eval", "sample", "export"]),
    ("gengs-topics", &["train", "eval", "export", "topics", "tree", "infer"]),
    ("gengs-gradients", &["certify"]),
];

/// Flags of cargo, of the tests' runner, of pip, and of the scripts.
const OTHERS: [&str; 26] = [
    "--release",
    "--bin",
    "--example",
    "--test",
    "--lib",
    "--bench",
    "--ignored",
    "--nocapture",
    "--open",
    "--features",
    "--no-deps",
    "--no-default-features",
    "--version",
    "--help",
    "--require-hashes",
    "--only-binary",
    "--cuda",
    "--bundle",
    "--out",
    "--roots",
    "--children",
    "--until",
    "--rows",
    "--columns",
    "--check",
    "--all-targets",
];

/// The help of each command, by program and command.
fn helps() -> &'static BTreeMap<(&'static str, &'static str), String> {
    static HELPS: OnceLock<BTreeMap<(&'static str, &'static str), String>> = OnceLock::new();
    HELPS.get_or_init(|| {
        let asked = PROGRAMS.iter().flat_map(|(program, commands)| {
            std::iter::once("").chain(commands.iter().copied()).map(|command| (*program, command))
        });
        let asked: Vec<(&str, &str)> = asked.collect();
        std::thread::scope(|scope| {
            let helps: Vec<_> = asked.iter().map(|&key| scope.spawn(move || help(key))).collect();
            asked.iter().copied().zip(helps.into_iter().map(|help| help.join().unwrap())).collect()
        })
    })
}

fn help((program, command): (&str, &str)) -> String {
    let mut help = Command::cargo_bin(program).unwrap();
    help.args((!command.is_empty()).then_some(command)).arg("--help");
    let output = help.output().unwrap();
    assert!(output.status.success(), "{program} {command} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The flags that a help lists.
fn flags(help: &str) -> BTreeSet<&str> {
    let named = help.lines().filter_map(|line| {
        let line = line.trim_start();
        line.starts_with('-').then(|| line.split([' ', ',']).find(|word| word.starts_with("--")).unwrap_or_default())
    });
    named.collect()
}

/// The flag in a word of code, without what follows it and without what surrounds it.
fn flag(word: &str) -> Option<&str> {
    let word = word.trim_start_matches(['(', '[', '`']);
    let end = word.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(word.len());
    let is_flag = word.starts_with("--") && word[2..].starts_with(|letter: char| letter.is_ascii_lowercase());
    is_flag.then(|| &word[..end])
}

/// The words of a line of code before its comment.
pub fn command_words(line: &str) -> Vec<&str> {
    let end = line.find(" #").unwrap_or(line.len());
    line[..end].split_whitespace().collect()
}

/// The program that a command starts, by its own name or through cargo, and its arguments.
pub fn program<'a>(words: &'a [&'a str]) -> Option<(&'static str, &'a [&'a str])> {
    if let ["cargo", "run", options @ ..] = words {
        let end = options.iter().position(|word| *word == "--").unwrap_or(options.len());
        if options[..end].contains(&"--example") {
            return None;
        }
        let named = options[..end].iter().skip_while(|word| **word != "--bin").nth(1).copied().unwrap_or("gengs-vae");
        let (name, _) = PROGRAMS.iter().find(|(name, _)| *name == named)?;
        return Some((name, options.get(end + 1..).unwrap_or_default()));
    }
    let (name, _) = PROGRAMS.iter().find(|(name, _)| words.first() == Some(name))?;
    Some((name, &words[1..]))
}

#[test]
fn flags_are_those_of_the_programs() {
    let listed: BTreeMap<_, _> = helps().iter().map(|(&key, help)| (key, flags(help))).collect();
    let known: BTreeSet<&str> = listed.values().flatten().copied().chain(OTHERS).collect();
    let mut unknown = Vec::new();
    for document in documents() {
        for line in code(&text(&document)) {
            for part in line.split(" && ").flat_map(|part| part.split(" | ")) {
                let words = command_words(part);
                let of_program = program(&words).map(|(name, arguments)| {
                    let of_command =
                        |word: &&str| listed.iter().find(|((program, command), _)| *program == name && command == word);
                    let (_, flags) = arguments.first().and_then(of_command).or_else(|| of_command(&"")).unwrap();
                    flags
                });
                for flag in words.iter().filter_map(|word| flag(word)) {
                    // Flags of cargo stand before the program's own.
                    let fits = match of_program {
                        Some(of_program) => of_program.contains(flag) || words[0] == "cargo" && OTHERS.contains(&flag),
                        None => known.contains(flag),
                    };
                    if !fits {
                        unknown.push(format!("{document}: {flag} in '{}'", part.trim()));
                    }
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// The tests of each binary, and of the library, with their modules: `module::name`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let tests = found.entry(name).or_insert_with(BTreeSet::new);
        if path.is_dir() { of_folder(&path, "", tests) } else { of_file(&path, "", tests) }
    }
    of_folder(&root().join("src"), "", found.entry("lib".into()).or_default());
    found
}

fn of_folder(folder: &Path, module: &str, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let own = if ["main", "mod", "lib"].contains(&stem.as_str()) {
            module.to_string()
        } else {
            format!("{module}{stem}::")
        };
        if path.is_dir() {
            of_folder(&path, &own, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            of_file(&path, &own, tests);
        }
    }
}

fn of_file(path: &Path, module: &str, tests: &mut BTreeSet<String>) {
    let source = std::fs::read_to_string(path).unwrap();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            tests.insert(format!("{module}{name}"));
            is_test = false;
        }
    }
}

/// What a command asks of cargo's tests: the binary, and the parts of names.
fn asked<'a>(words: &[&'a str]) -> Option<(&'a str, Vec<&'a str>)> {
    let from = match words {
        ["cargo", "test", rest @ ..] => rest,
        ["--test" | "--lib", ..] => words,
        _ => return None,
    };
    let (mut binary, mut parts, mut words) = ("", Vec::new(), from.iter());
    while let Some(word) = words.next() {
        match *word {
            "--test" => binary = words.next()?,
            "--lib" => binary = "lib",
            word if word.starts_with('-') => {}
            word => parts.push(word),
        }
    }
    Some((binary, parts))
}

#[test]
fn tests_that_are_named_are_there() {
    let tests = tests();
    let all: BTreeSet<&String> = tests.values().flatten().collect();
    let (mut missing, mut count) = (Vec::new(), 0);
    for document in documents() {
        for line in code(&text(&document)) {
            let words: Vec<&str> =
                line.split("&&").flat_map(command_words).skip_while(|word| word.contains('=')).collect();
            if let Some((binary, parts)) = asked(&words) {
                count += 1;
                let known: BTreeSet<&String> = match tests.get(binary) {
                    Some(tests) => tests.iter().collect(),
                    None if binary.is_empty() => all.clone(),
                    None => BTreeSet::new(),
                };
                let fits = |part: &&str| known.iter().any(|test| test.contains(*part));
                if known.is_empty() || !parts.iter().all(fits) {
                    missing.push(format!("{document}: {line}"));
                }
            }
            // Names of tests by themselves, which are sentences and may be cut off: `module::the_start_...`.
            let name = line.trim_end_matches("...").trim_end_matches('_');
            let (module, sentence) = name.split_once("::").unwrap_or_default();
            let is_module = all.iter().any(|test| test.starts_with(&format!("{module}::")));
            let is_sentence = sentence.is_empty() || line.ends_with("...") || sentence.matches('_').count() > 1;
            if !module.is_empty()
                && is_module
                && is_sentence
                && line.chars().all(|letter| letter.is_ascii_lowercase() || matches!(letter, '_' | ':' | '.'))
            {
                count += 1;
                if !all.iter().any(|test| test.contains(name)) {
                    missing.push(format!("{document}: {line}"));
                }
            }
        }
    }
    assert!(count > 60, "only {count} names of tests found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Sentences of the help that users have looked for.
#[test]
fn help_says_how_programs_end_and_what_may_be_given() {
    let sentences = [
        ("gengs-vae", "", "Exit codes: 0 done; 1 failed"),
        ("gengs-topics", "", "130 stopped by Ctrl-C, 143 by kill, 129 by a closed terminal"),
        ("gengs-gradients", "", "3 certify refuted a claim"),
        ("gengs-gradients", "certify", "0.02 is recommended"),
        ("gengs-vae", "train", "--threads, --device, --quiet and --json hold for this call only"),
        ("gengs-vae", "eval", "or on the test images of mnist-5k"),
        ("gengs-topics", "train", "any file but .npz may be gzipped"),
        ("gengs-topics", "train", "which 'tree' shows for typical documents and the report for the longest one"),
        ("gengs-topics", "train", "Whether to leave out 295 common English words"),
    ];
    for (program, command, sentence) in sentences {
        let help = helps()[&(program, command)].split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(sentence), "{program} {command} --help does not say '{sentence}':\n{help}");
    }
}
