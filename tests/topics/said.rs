//! What the program says of a run, in its report, its help and its numbers, is what the run is.
#![cfg(feature = "cli")]

use crate::common::forget_settings;
use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const THEMES: [&str; 4] = [
    "wave ship anchor voyage ocean captain sailor harbour",
    "bank loan share bond market credit interest money",
    "nurse doctor hospital virus patient clinic disease medicine",
    "league football match coach player goal stadium team",
];

fn topics(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-topics").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

fn said(arguments: &[&str]) -> (String, String) {
    let output = topics(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).into()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(arguments).0).unwrap()
}

/// Texts of ten words of one theme, in an order of their own.
fn texts(count: usize) -> Vec<String> {
    let text = |number: usize| {
        let words: Vec<&str> = THEMES[number % 4].split(' ').collect();
        (0..10).map(|place| words[(number / 4 * 3 + place * (1 + number % 7)) % 8]).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(|number| format!("{} {}", text(number), text(number + 40))).collect()
}

fn corpus(folder: &Path) -> PathBuf {
    let path = folder.join("texts.txt");
    fs::write(&path, texts(300).join("\n")).unwrap();
    path
}

/// What is said on the way.
fn train(corpus: &Path, out: &Path, more: &[&str]) -> String {
    let (corpus, out) = (corpus.to_str().unwrap(), out.to_str().unwrap());
    let small =
        ["train", "--topics", "4", "--hidden", "16", "--threads", "1", "--max-share", "1", "--batch-size", "50"];
    said(&[&small[..], &["--corpus", corpus, "--out", out], more].concat()).1
}

/// Documents of 20 tokens of 8 words each: a perplexity is that of a word, whatever the law of words.
#[test]
fn perplexities_of_all_laws_of_words_have_one_unit() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    for likelihood in ["log-linear", "multinomial", "poisson"] {
        let run = folder.path().join(likelihood);
        let told = train(&corpus, &run, &["--epochs", "15", "--likelihood", likelihood]);
        let found = json(&["eval", "--run", run.to_str().unwrap(), "--threads", "1", "--json"]);
        let number = |name: &str| found[name].as_f64().unwrap();
        let completion = number("completion_perplexity");
        for name in
            ["elbo_perplexity_document", "elbo_perplexity_word", "iwae_perplexity_document", "iwae_perplexity_word"]
        {
            let ratio = number(name) / completion;
            assert!((0.5..2.0).contains(&ratio), "{likelihood}, {name}: {} beside {completion}", number(name));
        }
        let best: f64 =
            told.split("best validation perplexity ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!((0.5..2.0).contains(&(best / completion)), "{likelihood}: {best} beside {completion}");
    }
}

/// A Poisson run of before goes on by the number that its best epoch is known by, which is not called a perplexity.
#[test]
fn poisson_runs_of_before_go_on_in_their_own_unit() {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, run) = (corpus(folder.path()), folder.path().join("run"));
    train(&corpus, &run, &["--epochs", "1", "--likelihood", "poisson"]);
    let path = run.join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let is_new = |line: &&str| line.starts_with("header") || line.starts_with("quotes");
    fs::write(&path, config.lines().filter(|line| !is_new(line)).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    for name in ["best.safetensors", "last.safetensors"] {
        forget_settings(&run.join(name));
    }
    let resume = |epochs: &str| said(&["train", "--resume", "--out", run.to_str().unwrap(), "--epochs", epochs]).1;
    for epochs in ["2", "3"] {
        let told = resume(epochs);
        assert!(told.contains("exp(bound on the counts, per word)") && !told.contains("perplexity"), "{told}");
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept.contains("header = \"short\"")
            && kept.contains("quotes = \"any\"")
            && kept.contains("selects_by_counts = true"),
        "{kept}"
    );
}

#[test]
fn documents_that_choose_the_best_epoch_are_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let count = |told: &str, before: &str| -> u64 {
        told.split(before).next().unwrap().split_whitespace().last().unwrap().parse().unwrap()
    };
    let run = folder.path().join("some");
    let told = train(&corpus, &run, &["--epochs", "1", "--validation-share", "0.2"]);
    let counts = [" to train on", " for validation", " for testing"].map(|part| count(&told, part));
    assert!(counts.iter().sum::<u64>() == 300 && counts[1] > 30, "{told}");
    assert!(told.contains("(hard, validation)") && told.contains("best validation perplexity"), "{told}");
    let reading: Value = serde_json::from_str(&fs::read_to_string(run.join("reading.json")).unwrap()).unwrap();
    assert_eq!((&reading["validation"], &reading["held_out"]), (&Value::from(counts[1]), &Value::from(counts[2])));

    let told = train(&corpus, &folder.path().join("none"), &["--epochs", "1", "--validation-share", "0"]);
    assert!(told.contains("(hard, training)") && told.contains("best training perplexity"), "{told}");
    assert!(!told.contains("validation") && told.contains("documents that are trained on choose it"), "{told}");
}

#[test]
fn a_family_has_an_effect_or_it_is_said_that_it_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    let told = train(&corpus, &run, &["--epochs", "1", "--inference", "implicit", "--family", "geometric"]);
    assert!(told.contains("--family geometric has no effect with --inference implicit"), "{told}");
    let page = folder.path().join("tree.html");
    let tree = json(&["tree", "--run", run.to_str().unwrap(), "--html", page.to_str().unwrap(), "--json"]);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("implicit posteriors of counts") && !page.contains("geometric"));
    assert!(page.contains("its share of the words of the training documents"));
    let word = &tree["roots"][0]["words"][0];
    assert!(word["weight"].as_f64().unwrap() > 0.0 && word["weight"] == word["probability"], "{word}");
    let told = train(&corpus, &folder.path().join("explicit"), &["--epochs", "1", "--family", "geometric"]);
    assert!(!told.contains("no effect"), "{told}");

    let help = said(&["train", "--help"]).0;
    let family = help.split("--family").nth(1).unwrap().split("--inference <").next().unwrap();
    assert!(family.contains("the prior is always Poisson") && family.contains("negative-binomial"), "{family}");
    assert!(
        ["categorical", "bernoulli", "binomial:\n", "total_count` 3"].iter().all(|part| !family.contains(part)),
        "{family}"
    );
    let refused = topics(&["train", "--family", "bernoulli"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let help = said(&["topics", "--help"]).0;
    assert!(
        help.contains("words with their weights") && help.contains("with log-linear, it measures how strongly"),
        "{help}"
    );
}

/// Of counts, rules of text are not applied: that is said.
#[test]
fn settings_of_text_are_not_ignored_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts.svm");
    let line = |number: usize| format!("1 {}:2 {}:1\n", 1 + number % 5, 6 + number % 3);
    fs::write(&counts, (0..100).map(line).collect::<String>()).unwrap();
    let words = ["AIRLINE", "SHIP", "HARBOUR", "BANK", "LOAN", "NURSE", "New York", "ship"];
    fs::write(folder.path().join("counts.vocab"), words.join("\n")).unwrap();
    let run = folder.path().join("run");
    let told = train(&counts, &run, &["--epochs", "1", "--min-documents", "50", "--text-column", "2"]);
    assert!(
        told.contains("--text-column, --min-documents, --max-share have no effect: the corpus is counts"),
        "{told}"
    );
    // Words of a vocabulary in capitals are found, and of two that differ by these alone, the one that is written so.
    let input = folder.path().join("new.txt");
    fs::write(&input, "Airline AIRLINE bank nurse unknown\nship SHIP\n").unwrap();
    let found = json(&["infer", "--run", run.to_str().unwrap(), "--input", input.to_str().unwrap(), "--json"]);
    assert_eq!([&found[0]["tokens"], &found[0]["unknown"], &found[1]["tokens"]], [4, 1, 2]);
}

#[test]
fn inferred_files_of_a_folder_have_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&corpus(folder.path()), &run, &["--epochs", "1"]);
    let input = folder.path().join("new");
    fs::create_dir_all(input.join("more")).unwrap();
    for name in [".hidden.txt", "b.txt", "more/a.txt", "LARGE.TXT"] {
        fs::write(input.join(name), "ship anchor\n").unwrap();
    }
    let arguments = ["infer", "--run", run.to_str().unwrap(), "--input", input.to_str().unwrap()];
    let (answers, told) = said(&arguments);
    let titles: Vec<String> = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["title"].as_str().unwrap().into())
        .collect();
    assert_eq!(titles, [".hidden.txt", "b.txt", "more/a.txt"]);
    assert!(told.contains("files left out because their ending is not in lower case: 1;"), "{told}");
    for name in [".hidden.txt", "b.txt", "more/a.txt"] {
        fs::remove_file(input.join(name)).unwrap();
    }
    let refused = topics(&arguments).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the ending of 'LARGE.TXT' is not in lower case"));
}

/// Until it saves after the end of an epoch, a run has no best checkpoint; its last one may be where it starts.
#[test]
fn a_run_that_has_hardly_begun_says_so() {
    use gengs::training::{Control, Interval, Session, TopicsTask, TopicsTrainConfig};
    let folder = tempfile::tempdir().unwrap();
    let config = TopicsTrainConfig {
        corpus: corpus(folder.path()).display().to_string(),
        topics: vec![2],
        hidden: 4,
        batch_size: 50,
        checkpoint_every: Interval::Steps(1000),
        text: gengs::data::TextRules { max_share: 1.0, ..Default::default() },
        ..TopicsTrainConfig::default()
    };
    let run = folder.path().join("run");
    let mut session = Session::<TopicsTask>::start(config, &run, tch::Device::Cpu).unwrap();
    let path = run.to_str().unwrap();
    let output = topics(&["topics", "--run", path]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("saves for the first time after the end of an epoch"), "{told}");
    let last = || said(&["topics", "--run", path, "--checkpoint", "last"]).1;
    assert!(last().contains("weights that the run starts from"), "{}", last());
    let stop = |report: &gengs::training::StepReport| if report.step == 2 { Control::Stop } else { Control::Continue };
    session.run(stop, |_| ()).unwrap();
    assert!(last().contains("weights of the first epoch's step 2"), "{}", last());
}
