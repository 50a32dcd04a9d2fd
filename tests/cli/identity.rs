//! A run knows what it was trained on, and shows it without that: whatever happens to the files of the data, no number is silently of others.
#![cfg(feature = "cli")]

use crate::common::forget_settings;
use gengs::data::TextRules;
use gengs::training::{Control, Loaded, RunFolder, Session, TopicsShown, TopicsTask, TopicsTrainConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tch::Device;

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
    text.lines().filter(|line| !line.contains("make this command read: ")).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn refused(output: &Output, parts: &[&str]) {
    let message = said(output);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
}

/// Documents of two themes, each with a word of its own pair, no two of them alike.
fn lines() -> Vec<String> {
    let themes = ["ship harbour sailor anchor", "nurse hospital patient medicine"];
    let word = |i: usize| ["one", "two"][i / 2 % 2];
    (0..40).map(|i| format!("{}{}", themes[i % 2], format!(" word{}", word(i)).repeat(1 + i / 4))).collect()
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
        ("another order", with(&|lines| lines.reverse()), "as many documents, but other content"),
        // Which documents are for testing depends on their words, so that an edit may change the numbers too.
        ("another word", with(&|lines| lines.iter_mut().for_each(|l| *l = l.replace("ship", "zhip"))), "it has"),
        ("a word moved", with(&|lines| lines[0] = lines[0].replace("anchor", "nurse")), "as many"),
    ]
}

#[test]
fn a_corpus_that_is_another_one_is_refused_and_the_run_keeps_its_own_words() {
    let _guard = crate::common::seeded(0);
    let home = tempfile::tempdir().unwrap();
    let news = home.path().join("news.txt");
    let write = |lines: &[String]| std::fs::write(&news, lines.join("\n") + "\n").unwrap();
    // With all words, and with a vocabulary that is full.
    for max_words in [100, 9] {
        write(&lines());
        let out = home.path().join(max_words.to_string());
        let text = TextRules { min_documents: 1, max_share: 1.0, max_words, ..TextRules::default() };
        let corpus = news.display().to_string();
        let config = TopicsTrainConfig { corpus, text, topics: vec![2], hidden: 8, epochs: 2, ..Default::default() };
        let mut session = Session::<TopicsTask>::start(config, &out, Device::Cpu).unwrap();
        session.run(|_| Control::Continue, |_| ()).unwrap();
        drop(session);
        let (run, _) = RunFolder::open::<TopicsTrainConfig>(&out).unwrap();
        let shown = || TopicsShown::read(&run, "best").unwrap().unwrap();
        let words = shown().vocabulary;
        let read = || Loaded::<TopicsTask>::read(&out, "best", Device::Cpu, |_| ());
        for (what, lines, difference) in accidents() {
            write(&lines);
            let counted = difference.parse() == Ok(lines.len());
            let difference = if counted { "training and test documents, not" } else { difference };
            for error in
                [read().unwrap_err(), Session::<TopicsTask>::resume(&out, None, None, Device::Cpu).unwrap_err()]
            {
                assert!(matches!(error, gengs::Error::OtherData { setting: "corpus", .. }), "{what}: {error}");
                let message = error.to_string();
                let parts = ["news.txt", "is not what the run was trained on", difference];
                assert!(parts.iter().all(|part| message.contains(part)), "{what}: {message}");
            }
            assert_eq!(shown().vocabulary, words, "{what}");
        }
        write(&self::lines());
        assert!(read().unwrap().warnings.is_empty());
        Session::<TopicsTask>::resume(&out, Some(3), None, Device::Cpu).unwrap();
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
    // The run was not trained on its own test documents: they are among the others.
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let tests = number(&own, "documents");
    assert_eq!(number(&others, "documents"), tests + 3, "{said}");
    assert_eq!(number(&others, "tokens"), number(&own, "tokens") + 10, "{said}");
    let left_out = format!("{} with the words of a document that it was trained on are left out", 40 - tests);
    assert!(said.contains(&left_out), "{said}");

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
    assert_eq!(json(&topics(&home, "eval --run run --json --corpus news.txt")), own);
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
    lines.reverse();
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
        assert!(said.starts_with("warning: ") && said.contains("news.txt could not be compared"), "{said}");
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

#[test]
fn checkpoints_of_before_load_and_know_their_settings_from_the_next_save_on() {
    let (_home, home) = trained("");
    let own = json(&topics(&home, "eval --run run --json"));
    for name in ["best.safetensors", "last.safetensors"] {
        forget_settings(&home.join("run").join(name));
    }
    let output = topics(&home, "eval --run run --json");
    assert_eq!(json(&output), own);
    let warned = said(&output);
    let warning = "best.safetensors: was written before checkpoints knew their settings; those of config.toml";
    assert!(warned.lines().count() == 1 && warned.starts_with("warning: ") && warned.contains(warning), "{warned}");
    std::fs::write(home.join("new.txt"), "ship and sailor\n").unwrap();
    for line in ["infer --run run --input new.txt --quiet", "export --run run --safetensors x.safetensors --quiet"] {
        let output = topics(&home, line);
        assert!(output.status.success() && said(&output).is_empty(), "{output:?}");
    }
    assert!(said(&topics(&home, "train --resume --out run --epochs 3 --quiet")).contains("knew their settings"));
    assert!(said(&topics(&home, "eval --run run --checkpoint last --json")).is_empty());
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
    use crate::common::npz::Numbers::{I4, U1, U2};
    let arrays = [
        ("vocab", U1(b"ship\nnurse\nanchor")),
        ("train_ptr", I4(&[0, 2, 4, 5, 6])),
        ("train_words", U2(&[0, 2, 1, 2, 0, 1])),
        ("train_counts", U2(&[1, 2, 3, 1, 1, 4])),
        ("test_ptr", I4(&[0, 2, 3])),
        ("test_words", U2(&[0, 1, 2])),
        ("test_counts", U2(&[2, 2, 3])),
    ];
    crate::common::npz::archive(&arrays, true)
}
