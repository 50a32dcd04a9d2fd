//! A run is shown in the words that it was trained with, and in no others.
#![cfg(feature = "cli")]

use crate::common::npz::{Numbers, archive};
use assert_cmd::Command;
use gengs::data::{CorpusRules, CorpusSet};
use gengs::training::{Checkpoint, Progress};
use std::fs;
use std::path::Path;

fn topics(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-topics").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

fn train(corpus: &Path, out: &Path) -> std::process::Output {
    let small = ["train", "--epochs", "1", "--topics", "2", "--hidden", "8", "--threads", "1", "--max-share", "1"];
    topics(&small).arg("--corpus").arg(corpus).arg("--out").arg(out).output().unwrap()
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn corpus(folder: &Path, name: &str, words: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let line = |number: usize| format!("{words} {}\n", ["ship", "anchor"][number % 2]);
    fs::write(&path, (0..60).map(line).collect::<String>()).unwrap();
    path
}

/// A start that failed leaves files, but no settings; the next one in the same folder keeps none of them.
#[test]
fn a_start_keeps_nothing_of_one_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) =
        (corpus(folder.path(), "first.txt", "ocean sailor"), corpus(folder.path(), "second.txt", "market money"));
    let run = folder.path().join("run");
    assert!(train(&first, &run).status.success());
    for name in ["config.toml", "best.safetensors", "last.safetensors"] {
        fs::remove_file(run.join(name)).unwrap();
    }
    let again = train(&second, &run);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(fs::read_to_string(run.join("vocabulary.txt")).unwrap(), "anchor\nmarket\nmoney\nship\n");
    let reading = fs::read_to_string(run.join("reading.json")).unwrap();
    assert!(reading.contains("market") && !reading.contains("ocean"), "{reading}");
    let shown = topics(&["topics", "--run", run.to_str().unwrap()]).output().unwrap();
    assert!(shown.status.success() && !String::from_utf8_lossy(&shown.stdout).contains("ocean"), "{shown:?}");
}

/// A first checkpoint has none before it that could be kept.
#[test]
fn a_checkpoint_that_cannot_be_written_says_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &Path| Checkpoint::write(path, &[], &Progress::default()).unwrap_err().to_string();
    let first = write(&folder.path().join("no folder/last.safetensors"));
    assert!(first.contains("cannot be written, and there is none before it"), "{first}");
    let (file, link) = (folder.path().join("file"), folder.path().join("last.safetensors"));
    fs::write(&file, "before").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let second = write(&link);
    assert!(
        second.contains("cannot be written, and the one before it is kept") && fs::read(&file).unwrap() == b"before",
        "{second}"
    );
}

/// A file that a run would write, in a folder where none was begun, is somebody's own.
#[test]
fn a_start_writes_over_no_file_that_is_not_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let texts = corpus(folder.path(), "texts.txt", "ocean sailor");
    for name in ["vocabulary.txt", "reading.json", "data.safetensors", "last.safetensors", "metrics.jsonl"] {
        let run = folder.path().join(format!("with {name}"));
        fs::create_dir(&run).unwrap();
        fs::write(run.join(name), "mine\n").unwrap();
        let said = stderr(&train(&texts, &run));
        assert!(said.contains(name) && said.contains("is there already") && said.contains("--out"), "{said}");
        assert_eq!(said.trim_end().lines().filter(|line| line.starts_with("error")).count(), 1, "{said}");
        assert_eq!(fs::read_to_string(run.join(name)).unwrap(), "mine\n");
        assert_eq!(fs::read_dir(&run).unwrap().count(), 1);
    }
}

#[test]
fn every_command_refuses_other_words() {
    let folder = tempfile::tempdir().unwrap();
    let texts = corpus(folder.path(), "texts.txt", "ocean sailor");
    let run = folder.path().join("run");
    assert!(train(&texts, &run).status.success());
    let path = run.join("vocabulary.txt");
    let own = fs::read_to_string(&path).unwrap();
    let mut turned: Vec<&str> = own.lines().rev().collect();
    let page = folder.path().join("page.html");
    let (run, page, texts) = (run.to_str().unwrap(), page.to_str().unwrap(), texts.to_str().unwrap());
    let weights = folder.path().join("weights.safetensors");
    let weights = weights.to_str().unwrap();
    topics(&["export", "--run", run, "--safetensors", weights]).assert().success();
    let commands: [&[&str]; 8] = [
        &["topics", "--run", run],
        &["tree", "--run", run, "--html", page],
        &["infer", "--run", run, "--input", texts],
        &["eval", "--run", run],
        &["eval", "--run", run, "--weights", weights],
        &["export", "--run", run, "--safetensors", weights],
        &["export", "--run", run, "--torchscript", weights],
        &["train", "--resume", "--out", run, "--epochs", "2"],
    ];
    for words in [turned.join("\n") + "\n", {
        turned[0] = "other";
        turned.join("\n") + "\n"
    }] {
        fs::write(&path, words).unwrap();
        for command in commands {
            let output = topics(command).output().unwrap();
            let said = stderr(&output);
            assert!(
                !output.status.success() && said.contains("vocabulary.txt: holds other words"),
                "{command:?}: {said}"
            );
        }
    }
    fs::write(&path, own).unwrap();
    commands.iter().for_each(|command| drop(topics(command).assert().success()));
}

#[test]
fn a_vocabulary_that_repeats_a_word_is_refused_with_both_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, content) in [
        ("a.svm", "1 1:2 3:1\n".repeat(40)),
        ("b.ldac", "2 0:2 2:1\n".repeat(40)),
        ("docword.c.txt", "2\n3\n2\n1 1 2\n2 3 1\n".into()),
    ] {
        fs::write(path(name), content).unwrap();
        let words = match name {
            "docword.c.txt" => "vocab.c.txt".into(),
            name => format!("{}.vocab", &name[..1]),
        };
        fs::write(path(&words), "airline\nship\nairline\n").unwrap();
        let load = || CorpusSet::from_name(path(name).to_str().unwrap()).load(None, CorpusRules::default(), None);
        let message = load().unwrap_err().to_string();
        let said = [words.as_str(), "line 3 repeats the word of line 1"];
        assert!(said.iter().all(|part| message.contains(part)), "{message}");
        fs::write(path(&words), "airline\nship\nairline_2\n").unwrap();
        assert!(load().is_ok());
    }
    let packed = |words: &str| {
        let names = ["train_ptr", "train_words", "train_counts", "test_ptr", "test_words", "test_counts"];
        let numbers = |name: &str| {
            if name.ends_with("ptr") {
                &[0, 1][..]
            } else if name.ends_with("words") {
                &[0]
            } else {
                &[1]
            }
        };
        let mut arrays: Vec<(&str, Numbers<'_>)> = names.map(|name| (name, Numbers::I4(numbers(name)))).into();
        arrays.push(("vocab", Numbers::U1(words.as_bytes())));
        fs::write(path("d.npz"), archive(&arrays, false)).unwrap();
        CorpusSet::from_name(path("d.npz").to_str().unwrap()).load(None, CorpusRules::default(), None)
    };
    let message = packed("ship\nanchor\nship").unwrap_err().to_string();
    assert!(message.contains("array 'vocab': word 2 repeats the word of word 0"), "{message}");
    assert!(packed("ship\nanchor\n").unwrap_err().to_string().contains("word 2 is empty"));
    assert!(packed("ship\nanchor").is_ok());
}
