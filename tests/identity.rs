//! A run knows what it was trained on, and shows it without that: whatever happens to the files of the data, no number is silently of others.
#![cfg(feature = "cli")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A command of a program, run in a folder.
fn run(program: &str, folder: &Path, line: &str) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
    command.env_remove("GENGS_DATA").current_dir(folder).args(line.split(' '));
    command.output().unwrap()
}

fn topics(folder: &Path, line: &str) -> Output {
    run("gengs-topics", folder, line)
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a program says, but for the paths outside of a run's folder, which it names before it opens them.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| !line.contains("have these opened, to read: ")).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn refused(output: &Output, parts: &[&str]) {
    let message = said(output);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
}

/// Documents of two themes, each with a word of its own pair.
fn lines() -> Vec<String> {
    let themes = ["ship harbour sailor anchor", "nurse hospital patient medicine"];
    (0..40).map(|i| format!("{} word{}", themes[i % 2], ["one", "two"][i / 2 % 2])).collect()
}

const RULES: &str = "--min-letters 3 --min-documents 1 --max-share 1";

/// A finished run on a corpus beside it, both in a folder; the corpus is `news.txt`, named as a user in that folder would.
fn trained(more: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("news.txt"), lines().join("\n") + "\n").unwrap();
    let line = format!(
        "train --corpus news.txt --topics 2 --hidden 8 --epochs 2 --batch-size 50 --threads 1 --quiet --out run {RULES} {more}"
    );
    let output = topics(home.path(), line.trim_end());
    assert!(output.status.success(), "{output:?}");
    let path = home.path().to_path_buf();
    (home, path)
}

/// The same lines after an accident, with what `eval` and `--resume` say of them.
fn accidents() -> Vec<(&'static str, Vec<String>, &'static str)> {
    let whole = lines();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        lines
    };
    vec![
        ("a line more at the end", with(&|lines| lines.push("ship sailor".into())), "41"),
        ("a line more at the start", with(&|lines| lines.insert(0, "ship sailor".into())), "41"),
        ("a line less", with(&|lines| drop(lines.remove(3))), "39"),
        ("another order", with(&|lines| lines.swap(0, 1)), "as many documents, but other content"),
        ("another word", with(&|lines| lines.iter_mut().for_each(|l| *l = l.replace("ship", "zhip"))), "as many words"),
        ("a word moved", with(&|lines| lines[0] = lines[0].replace("anchor", "nurse")), "as many"),
    ]
}

#[test]
fn a_corpus_that_is_another_one_is_refused_and_the_run_keeps_its_own_words() {
    // With all words, and with a vocabulary that is full.
    for more in ["", "--max-words 9"] {
        let (_home, home) = trained(more);
        let shown = json(&topics(&home, "topics --run run --json"));
        let measured = json(&topics(&home, "eval --run run --json"));
        for (what, lines, difference) in accidents() {
            std::fs::write(home.join("news.txt"), lines.join("\n") + "\n").unwrap();
            let counted = lines.len();
            // Documents are counted by part; a number of lines stands for the sum of these.
            let part = if difference.parse() == Ok(counted) { "training and test documents, not" } else { difference };
            let resume = "train --resume --out run --epochs 3";
            let both = ["eval --run run", resume];
            for line in if what == "another order" { &both[..] } else { &both[..1] } {
                refused(&topics(&home, line), &["news.txt", "is not what the run was trained on", part, "--corpus"]);
            }
        }
        assert_eq!(json(&topics(&home, "topics --run run --json")), shown);
        std::fs::write(home.join("news.txt"), self::lines().join("\n")).unwrap();
        assert_eq!(json(&topics(&home, "eval --run run --json")), measured);
        assert!(topics(&home, "train --resume --out run --epochs 3 --quiet").status.success());
    }
}

#[test]
fn other_documents_are_evaluated_in_the_words_of_the_run_when_asked_for() {
    let (_home, home) = trained("");
    let own = json(&topics(&home, "eval --run run --json"));
    // Three new documents, before and behind all of the run's own, of which those for testing were never seen.
    let new = ["ship ship nurse zebra", "patient anchor anchor", "sailor medicine hospital harbour yak"];
    let lines = [&[new[0].to_string()], &lines()[..], &new.map(String::from)[1..]].concat();
    std::fs::write(home.join("other.txt"), lines.join("\n")).unwrap();
    let output = topics(&home, "eval --run run --corpus other.txt --json");
    let said = said(&output);
    assert!(
        said.contains("counted by the run's own vocabulary and rules, which do not have 2 of their words"),
        "{said}"
    );
    let others = json(&output);
    // Of this corpus, every test document has the words of a training document.
    assert_eq!((&others["documents"], &others["tokens"]), (&3.into(), &10.into()), "{said}");
    assert!(said.contains("40 with the words of a document that it was trained on are left out"), "{said}");
    assert_eq!(others["npmi"], own["npmi"]);

    // Counts find their words by name; the run's own corpus is recognised wherever it lies.
    std::fs::write(home.join("counts.ldac"), "2 0:3 1:1\n1 2:5\n").unwrap();
    std::fs::write(home.join("counts.vocab"), "nurse\nzebra\nanchor\n").unwrap();
    let counts = json(&topics(&home, "eval --run run --corpus counts.ldac --json"));
    assert_eq!((&counts["documents"], &counts["tokens"]), (&2.into(), &8.into()));
    std::fs::rename(home.join("news.txt"), home.join("moved.txt")).unwrap();
    assert_eq!(json(&topics(&home, "eval --run run --corpus moved.txt --json")), own);
    std::fs::write(home.join("strange.txt"), "quite another thing\n").unwrap();
    let none = topics(&home, "eval --run run --corpus strange.txt");
    refused(&none, &["none of its 1 documents has a word of the run's vocabulary"]);
}

#[test]
fn a_run_is_shown_from_its_folder_alone_wherever_it_lies() {
    let (_home, home) = trained("");
    let elsewhere = tempfile::tempdir().unwrap();
    let away = elsewhere.path();
    let before = json(&topics(&home, "topics --run run --top 3 --json"));
    // Paths are kept absolute: another working folder changes nothing.
    let from = |line: &str| topics(away, &line.replace("RUN", home.join("run").to_str().unwrap()));
    assert_eq!(json(&from("topics --run RUN --top 3 --json")), before);
    assert!(from("train --resume --out RUN --epochs 3 --quiet").status.success());
    let before = json(&from("topics --run RUN --top 3 --json"));
    let last = json(&from("topics --run RUN --top 3 --checkpoint last --json"));

    std::fs::rename(home.join("run"), away.join("moved")).unwrap();
    std::fs::remove_file(home.join("news.txt")).unwrap();
    assert_eq!(json(&topics(away, "topics --run moved --top 3 --json")), before);
    assert_eq!(json(&topics(away, "topics --run moved --top 3 --checkpoint last --json")), last);
    let tree = json(&topics(away, "tree --run moved --html tree.html --json"));
    let page = std::fs::read_to_string(away.join("tree.html")).unwrap();
    assert_eq!(tree["layers"][0]["topics"], 2);
    assert!(page.contains("Topics of news.txt") && page.contains("ship harbour sailor anchor word"), "{page}");
    assert!(!page.contains(home.to_str().unwrap()));
    json(&topics(away, "tree --run moved --html tree.html --no-text --json"));
    assert!(!std::fs::read_to_string(away.join("tree.html")).unwrap().contains("sailor anchor word"));
    std::fs::write(away.join("new.txt"), "ship and sailor\n").unwrap();
    assert!(topics(away, "infer --run moved --input new.txt --quiet").status.success());
    assert!(topics(away, "export --run moved --safetensors x.safetensors --quiet").status.success());
    for line in ["eval --run moved", "train --resume --out moved --epochs 4"] {
        refused(&topics(away, line), &["news.txt", "is not there any more", "--corpus"]);
    }
}

#[test]
fn a_run_may_keep_no_text() {
    let (_home, home) = trained("--no-text");
    json(&topics(&home, "tree --run run --html tree.html --json"));
    assert!(!std::fs::read_to_string(home.join("tree.html")).unwrap().contains("sailor anchor word"));
    for entry in std::fs::read_dir(home.join("run")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("harbour sailor anchor"));
    }
}

#[test]
fn a_store_knows_its_hash_and_a_changed_one_is_refused() {
    let (_home, home) = trained("--store store");
    let own = json(&topics(&home, "eval --run run --json"));
    // The same documents from their source, and from the store by itself.
    for line in ["--corpus news.txt", "--corpus store:store"] {
        assert_eq!(json(&topics(&home, &format!("eval --run run --json {line}"))), own);
    }
    let hash = home.join("store").join("train.documents.hash");
    let kept = std::fs::read_to_string(&hash).unwrap();
    // A store of before has no hash: its documents are read. One that is not this file's counts for nothing.
    std::fs::remove_file(&hash).unwrap();
    assert_eq!(json(&topics(&home, "eval --run run --json")), own);
    std::fs::write(&hash, format!("00000000 {}", &kept[9..])).unwrap();
    assert_eq!(json(&topics(&home, "eval --run run --json")), own);
    std::fs::write(&hash, kept.replace("blake3:", "blake3:0")).unwrap();
    refused(&topics(&home, "eval --run run"), &["other content"]);
    // Another store of as many documents in its place.
    std::fs::remove_dir_all(home.join("store")).unwrap();
    let mut lines = lines();
    lines.swap(0, 1);
    std::fs::write(home.join("news.txt"), lines.join("\n")).unwrap();
    refused(&topics(&home, "train --resume --out run --epochs 3"), &["give --store DIR with --resume"]);
    refused(&topics(&home, "train --resume --out run --epochs 3 --store store"), &["other content"]);
}

#[test]
fn runs_of_before_load_with_one_warning_and_know_their_data_from_then_on() {
    let (_home, home) = trained("");
    for name in ["data.safetensors", "topics-best.safetensors", "topics-last.safetensors"] {
        std::fs::remove_file(home.join("run").join(name)).unwrap();
    }
    // As such runs have it: a path as it was typed.
    let config = std::fs::read_to_string(home.join("run/config.toml")).unwrap();
    let config = config.replace(home.join("news.txt").to_str().unwrap(), "news.txt").replace("no_text = false\n", "");
    std::fs::write(home.join("run/config.toml"), config).unwrap();
    for line in ["eval --run run", "topics --run run", "tree --run run --html tree.html --quiet"] {
        let output = topics(&home, line);
        let said = said(&output);
        assert!(output.status.success() && said.lines().count() == 1, "{output:?}");
        assert!(
            said.starts_with("warning: ") && said.contains("news.txt is taken to be what it was trained on"),
            "{said}"
        );
    }
    // Their vocabulary is known.
    let edited = lines().join("\n").replace("ship", "zhip");
    std::fs::write(home.join("edited.txt"), edited).unwrap();
    let resumed = topics(&home, "train --resume --out run --epochs 3 --corpus edited.txt");
    refused(&resumed, &["but not the run's word 'ship'"]);
    assert!(topics(&home, "train --resume --out run --epochs 3 --quiet").status.success());
    let output = topics(&home, "eval --run run --json");
    assert!(said(&output).is_empty(), "{output:?}");
}

/// Sixty pictures of 36 pixels with a bar whose place depends on `turn`.
fn bars(turn: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 6, 0, 0, 0, 6];
    bytes.extend((0..60 * 36).map(|i| if i % 6 == (i / 36 + turn) % 6 { 255u8 } else { 0 }));
    bytes
}

#[test]
fn images_that_are_others_are_refused_and_pictures_need_none() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::write(home.join("bars"), bars(0)).unwrap();
    let vae = |line: &str| run("gengs-vae", home, line);
    let small = "train --dataset bars --latents 3 --hidden 8 --epochs 2 --batch-size 20 --threads 1 --out run --quiet";
    assert!(vae(small).status.success());
    let own = json(&vae("eval --run run --importance-samples 3 --json"));
    std::fs::rename(home.join("bars"), home.join("moved")).unwrap();
    assert_eq!(json(&vae("eval --run run --importance-samples 3 --dataset moved --json")), own);
    refused(&vae("eval --run run"), &["bars", "is not there any more", "--dataset"]);
    std::fs::write(home.join("bars"), bars(1)).unwrap();
    for line in ["eval --run run", "train --resume --out run --epochs 3"] {
        refused(&vae(line), &["bars is not what the run was trained on: it has as many images, but other content"]);
    }
    // Reconstructions of the images that the run keeps, bit for bit.
    assert!(vae("sample --run run --checkpoint last --png grid.png --quiet").status.success());
    let [drawn, kept] =
        ["grid-reconstructions.png", "run/reconstructions.png"].map(|name| std::fs::read(home.join(name)).unwrap());
    assert_eq!(drawn, kept);
    std::fs::remove_file(home.join("bars")).unwrap();
    assert!(vae("sample --run run --png grid.png --quiet").status.success());
    assert!(vae("train --resume --out run --epochs 3 --dataset moved --quiet").status.success());
    let config = std::fs::read_to_string(home.join("run/config.toml")).unwrap();
    assert!(config.contains(&format!("dataset = \"{}\"", home.join("moved").display())), "{config}");
}

#[test]
fn the_environment_does_not_overrule_the_folder_that_a_run_knows() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let command = |line: &str, folder: &str| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("gengs-topics"));
        command.env("GENGS_DATA", folder).current_dir(home).args(line.split(' '));
        command.output().unwrap()
    };
    let [a, b] = ["a", "b"].map(|name| home.join(name));
    [&a, &b].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    std::fs::write(a.join("rcv1_sample_V10000.npz"), archive()).unwrap();
    let small = "train --corpus rcv1-sample --topics 2 --hidden 8 --epochs 1 --threads 1 --out run --quiet";
    // New runs take it where nothing else says where data are; and keep it, absolute.
    assert!(command(small, "a").status.success());
    let own = json(&command("eval --run run --json", a.to_str().unwrap()));
    assert_eq!(json(&command("eval --run run --json", b.to_str().unwrap())), own);
    refused(&command("eval --run run --data-dir b", a.to_str().unwrap()), &["rcv1_sample_V10000.npz", "--data-dir"]);
}

/// A corpus as NumPy would write it: four documents to train on, two to test.
fn archive() -> Vec<u8> {
    use npz::Numbers::{I4, U1, U2};
    let arrays = [
        ("vocab", U1(b"ship\nnurse\nanchor")),
        ("train_ptr", I4(&[0, 2, 4, 5, 6])),
        ("train_words", U2(&[0, 2, 1, 2, 0, 1])),
        ("train_counts", U2(&[1, 2, 3, 1, 1, 4])),
        ("test_ptr", I4(&[0, 2, 3])),
        ("test_words", U2(&[0, 1, 2])),
        ("test_counts", U2(&[2, 2, 3])),
    ];
    npz::archive(&arrays, true)
}

#[path = "common/npz.rs"]
mod npz;
