//! `gengs-topics` as a user meets it, on the built-in documents.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;

fn topics(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-topics").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

/// A run of a second or two, in two layers.
fn train(out: &Path, more: &[&str]) {
    let small = ["train", "--topics", "8,3", "--hidden", "32", "--threads", "1", "--device", "cpu", "--quiet"];
    topics(&small).arg("--out").arg(out).args(more).assert().success();
}

/// Test documents of the built-in ones by seed 0.
const REUTERS_TEST: u64 = 36;

fn json(arguments: &[&str]) -> Value {
    let output = topics(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn train_eval_topics_tree_and_infer() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--epochs", "8", "--batch-size", "20"]);
    let run = out.to_str().unwrap();

    let found = json(&["eval", "--run", run, "--importance-samples", "3", "--json"]);
    for name in ["completion_perplexity", "elbo_perplexity_document", "elbo_perplexity_word"] {
        let perplexity = found[name].as_f64().unwrap();
        // That of a uniform guess is the size of the vocabulary.
        assert!((1.0..4258.0).contains(&perplexity), "{name}: {perplexity}");
    }
    for name in ["npmi", "diversity", "active_topics"] {
        assert_eq!(found[name].as_array().unwrap().len(), 2, "{found}");
    }
    assert_eq!(found["documents"], REUTERS_TEST);

    // A document's samples are its own: neither batches nor other measures change them.
    let close = |one: &Value, other: &Value| {
        let [one, other] = [one, other].map(|value| value.as_f64().unwrap());
        assert!((one / other - 1.0).abs() < 1e-4, "{one} and {other}");
    };
    let measures =
        ["completion_perplexity", "elbo_perplexity_document", "elbo_perplexity_word", "iwae_perplexity_word", "kl"];
    let single = json(&["eval", "--run", run, "--importance-samples", "3", "--batch-size", "1", "--json"]);
    measures.iter().for_each(|name| close(&single[name], &found[name]));
    let fewer = json(&["eval", "--run", run, "--importance-samples", "1", "--json"]);
    assert_eq!(fewer["completion_perplexity"], found["completion_perplexity"]);
    // Other samples change less than other documents would.
    let other = json(&["eval", "--run", run, "--importance-samples", "3", "--seed", "1", "--json"]);
    for name in measures {
        let [found, other, error] =
            [&found[name], &other[name], &found["standard_errors"][name]].map(|value| value.as_f64().unwrap());
        assert!(found != other && error > 0.0 && (found - other).abs() < 2.0 * error, "{name}: {found}, {other}");
    }
    let shown = topics(&["eval", "--run", run]).output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap().matches(" +- ").count(), 6);

    let listed = json(&["topics", "--run", run, "--top", "5", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 11);
    assert!(listed.as_array().unwrap().iter().all(|topic| topic["words"].as_array().unwrap().len() == 5));

    let page = folder.path().join("tree.html");
    topics(&["tree", "--run", run, "--html", page.to_str().unwrap(), "--quiet"]).assert().success();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Topics of reuters-395") && page.contains("class=\"branch depth1\""));

    let texts = folder.path().join("new.txt");
    std::fs::write(&texts, "The church and the pope\n\nzzzunknown church\n").unwrap();
    let output = topics(&["infer", "--run", run, "--input", texts.to_str().unwrap(), "--quiet"]).output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tokens: Vec<u64> = lines.iter().map(|line| line["tokens"].as_u64().unwrap()).collect();
    assert_eq!((tokens.as_slice(), &lines[2]["unknown"]), ([2, 0, 1].as_slice(), &Value::from(1)));
    for line in &lines {
        let sizes: Vec<usize> =
            line["counts"].as_array().unwrap().iter().map(|counts| counts.as_array().unwrap().len()).collect();
        assert_eq!(sizes, [8, 3]);
    }
}

#[test]
fn text_is_cut_by_the_rules_given_and_documents_may_stay_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lines: Vec<String> =
        (0..60).map(|i| format!("Ab alpha beta word{} THE only{i}\n", ["x", "y"][i % 2])).collect();
    std::fs::write(path("news.txt"), lines.concat()).unwrap();
    let (corpus, store) = (path("news.txt"), path("store"));
    let (corpus, store) = (corpus.to_str().unwrap(), store.to_str().unwrap());
    let rules = [
        "--min-letters",
        "2",
        "--max-share",
        "1",
        "--stop-words",
        "false",
        "--min-documents",
        "2",
        "--split",
        "every-tenth",
        "--segmentation",
        "letters",
    ];
    let more = [&["--corpus", corpus, "--store", store, "--epochs", "2", "--max-words", "5"], &rules[..]].concat();
    train(&path("run"), &more);
    // A digit ends a run of letters: "wordx" and "wordy" stay, and of "only0" the letters.
    let words = std::fs::read_to_string(path("run").join("vocabulary.txt")).unwrap();
    assert_eq!(words.lines().collect::<Vec<_>>(), ["ab", "alpha", "beta", "only", "the"]);
    // From here on the documents are those of the store.
    std::fs::remove_file(corpus).unwrap();
    let run = path("run");
    let run = run.to_str().unwrap();
    topics(&["train", "--resume", "--out", run, "--epochs", "3", "--quiet"]).assert().success();
    let found = json(&["eval", "--run", run, "--json"]);
    assert_eq!((&found["documents"], &found["tokens"]), (&Value::from(6), &Value::from(30)));
    let shown = topics(&["eval", "--run", run]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with("6 test documents of 30 words"));

    let weights = path("weights.safetensors");
    let weights = weights.to_str().unwrap();
    topics(&["export", "--run", run, "--safetensors", weights, "--quiet"]).assert().success();
    assert_eq!(json(&["eval", "--run", run, "--weights", weights, "--json"]), found);

    let other = topics(&["train", "--store", store, "--out", path("other").to_str().unwrap()]).output().unwrap();
    let message = String::from_utf8(other.stderr).unwrap();
    assert!(message.contains("holds other documents") && message.contains("not corpus: reuters-395"), "{message}");
    let refused = topics(&["train", "--resume", "--out", run, "--min-letters", "3"]).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--min-letters cannot be given with --resume"));
}

#[test]
fn the_same_seed_gives_the_same_topics() {
    let folder = tempfile::tempdir().unwrap();
    let values = ["one", "two"].map(|name| {
        let out = folder.path().join(name);
        train(&out, &["--epochs", "2"]);
        json(&["eval", "--run", out.to_str().unwrap(), "--checkpoint", "last", "--threads", "1", "--json"])
    });
    assert_eq!(values[0], values[1]);
}

const THEMES: [&str; 4] = [
    "wave ship anchor voyage ocean captain sailor harbour",
    "bank loan share bond market credit interest money",
    "nurse doctor hospital virus patient clinic disease medicine",
    "league football match coach player goal stadium team",
];

/// A run of before says nothing of split and segmentation, and has those of before.
#[test]
fn runs_of_before_keep_their_split_and_their_words() {
    let folder = tempfile::tempdir().unwrap();
    let line = |number: usize| format!("{} abc1def snake_case cafe\u{301}\n", THEMES[number % 4]);
    let corpus = folder.path().join("old.txt");
    std::fs::write(&corpus, (0..97).map(line).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    let corpus = corpus.to_str().unwrap();
    let old = ["--split", "every-tenth", "--segmentation", "letters", "--max-share", "1", "--epochs", "1"];
    train(&run, &[&["--corpus", corpus], &old[..]].concat());
    let words = std::fs::read_to_string(run.join("vocabulary.txt")).unwrap();
    assert!(words.contains("abc\n") && words.contains("cafe\u{301}\n"), "{words}");
    let evaluate = || json(&["eval", "--run", run.to_str().unwrap(), "--json", "--threads", "1"]);
    let expected = evaluate();
    assert_eq!(expected["documents"], 9);
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let is_new = |line: &&str| {
        ["split", "test_share", "validation_share", "segmentation"].iter().any(|name| line.starts_with(name))
    };
    assert_eq!(config.lines().filter(is_new).count(), 4, "{config}");
    let old: String = config.lines().filter(|line| !is_new(line)).map(|line| format!("{line}\n")).collect();
    std::fs::write(run.join("config.toml"), old).unwrap();
    assert_eq!(evaluate(), expected);
    topics(&["train", "--resume", "--epochs", "2", "--quiet", "--out", run.to_str().unwrap()]).assert().success();
    let kept = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(kept.contains("split = \"every-tenth\"") && kept.contains("segmentation = \"letters\""), "{kept}");
    let mut infer = topics(&["infer", "--run", run.to_str().unwrap(), "--input", "-", "--json"]);
    let output = infer.write_stdin("abc9def").output().unwrap();
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers[0]["tokens"], 2);
}

/// Themes of 70, 20, 8 and 2 per cent.
#[test]
fn shares_say_how_much_of_the_corpus_a_topic_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let lines: String = (0..600)
        .map(|number| {
            let theme = match number % 50 {
                0..35 => 0,
                35..45 => 1,
                45..49 => 2,
                _ => 3,
            };
            let words: Vec<&str> = THEMES[theme].split(' ').collect();
            (0..30).map(|_| words[next(8) as usize]).collect::<Vec<_>>().join(" ") + "\n"
        })
        .collect();
    let corpus = folder.path().join("skew.txt");
    std::fs::write(&corpus, lines).unwrap();
    let run = folder.path().join("run");
    let more = ["--max-share", "1", "--epochs", "20", "--batch-size", "50"];
    let small =
        ["train", "--topics", "4", "--hidden", "16", "--threads", "1", "--quiet", "--corpus", corpus.to_str().unwrap()];
    topics(&small).arg("--out").arg(&run).args(more).assert().success();
    let output = topics(&["topics", "--run", run.to_str().unwrap(), "--threads", "1", "--json"]).output().unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for (topic, (theme, share)) in listed.iter().zip([(0, 0.70), (1, 0.20), (2, 0.08), (3, 0.02)]) {
        let first = topic["words"][0][0].as_str().unwrap();
        assert!(THEMES[theme].split(' ').any(|word| word == first), "{first} is not of theme {theme}");
        let [tokens, documents] = ["token_share", "document_share"].map(|name| topic[name].as_f64().unwrap());
        assert!(
            (documents - share).abs() < 0.03 && tokens < share + 0.03 && tokens > 0.5 * share,
            "{theme}: {tokens}, {documents}"
        );
    }
    // What `infer` says of the same documents agrees with that; their largest counts do not.
    let [run, corpus] = [&run, &corpus].map(|path| path.to_str().unwrap());
    let inferred = json(&["infer", "--run", run, "--input", corpus, "--threads", "1", "--json"]);
    let inferred = inferred.as_array().unwrap();
    for topic in &listed {
        let is_largest = |document: &&Value| document["largest"][0] == topic["topic"];
        let share = inferred.iter().filter(is_largest).count() as f64 / inferred.len() as f64;
        assert!((share - topic["document_share"].as_f64().unwrap()).abs() < 0.03, "{topic}: {share}");
        let tokens = |document: &Value| {
            document["shares"][0][topic["topic"].as_u64().unwrap() as usize].as_f64().unwrap()
                * document["tokens"].as_f64().unwrap()
        };
        let (part, all) = (
            inferred.iter().map(tokens).sum::<f64>(),
            inferred.iter().map(|document| document["tokens"].as_f64().unwrap()).sum::<f64>(),
        );
        assert!((part / all - topic["token_share"].as_f64().unwrap()).abs() < 0.03, "{topic}: {}", part / all);
    }
}
