//! `gengs-gradients` as a user meets it.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use serde_json::Value;

fn gradients(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-gradients").unwrap();
    command.args(arguments).args(["--threads", "1"]);
    command
}

fn stderr(arguments: &[&str], code: i32) -> String {
    let output = gradients(arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn certificates_are_one_json_document() {
    let asked = ["certify", "--family", "poisson", "--parameter", "5", "--estimator", "gengs,go", "--draws", "20000"];
    let output = gradients(&[asked.as_slice(), &["--json"]].concat()).output().unwrap();
    assert!(output.status.success());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found.as_array().unwrap();
    // GenGS at two temperatures, GO which has none.
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert!((row["exact"].as_f64().unwrap() - 3.0).abs() < 1e-6, "{row}");
        assert_eq!(row["draws"], 20000);
        assert_eq!(row["parameter"], "rate");
        let (mean, bias) = (row["mean"].as_f64().unwrap(), row["bias"].as_f64().unwrap());
        assert!((mean - 3.0 - bias).abs() < 1e-6, "{row}");
        for name in ["z", "std", "seconds"] {
            assert!(row[name].as_f64().unwrap().is_finite(), "{row}");
        }
    }
    assert_eq!((&rows[0]["temperature"], &rows[2]["temperature"]), (&Value::from(0.5), &Value::Null));
    assert_eq!((&rows[0]["claims_unbiased"], &rows[2]["claims_unbiased"]), (&Value::from(false), &Value::from(true)));
    // The same seed, the same numbers.
    let again = gradients(&[asked.as_slice(), &["--json"]].concat()).output().unwrap();
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again[2]["mean"], rows[2]["mean"]);
}

#[test]
fn the_experiment_leaves_a_page_numbers_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("curves");
    let arguments = ["--law", "multinomial,held", "--steps", "6", "--seeds", "2", "--quiet", "--json", "--out"];
    let output = gradients(&[arguments.as_slice(), &[out.to_str().unwrap()]].concat()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let panels: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (panels[0]["curves"].as_array().unwrap().len(), panels[1]["curves"].as_array().unwrap().len()),
        (16, 21)
    );
    let curve = &panels[1]["curves"][1];
    assert_eq!(curve["variance"]["median"].as_array().unwrap().len(), panels[1]["steps"].as_array().unwrap().len());
    // The law that is held keeps its loss.
    let losses = curve["excess_loss"]["median"].as_array().unwrap();
    assert_eq!(losses.first(), losses.last());
    for name in ["report.html", "curves.json", "multinomial.svg", "held.svg"] {
        assert!(out.join(name).metadata().unwrap().len() > 1000, "{name}");
    }
}

#[test]
fn wrong_usage_is_told_in_one_sentence() {
    assert!(stderr(&["certify", "--family", "poison"], 1).contains("'poison', but must be one of poisson, geometric"));
    assert!(stderr(&["certify", "--estimator", "gumbel"], 1).contains("must be all, or of exact, gengs"));
    assert!(stderr(&["certify", "--family", "binomial", "--parameter", "3"], 1).contains("total_count, probs"));
    assert!(stderr(&["certify", "--parameter", "-1"], 1).contains("rate"));
    assert!(stderr(&["certify", "--parameter", "nan"], 1).contains("rate"));
    assert!(stderr(&["certify", "--draws", "1"], 2).contains("--draws"));
    assert!(stderr(&["certify", "--latents", "0"], 2).contains("--latents"));
    assert!(stderr(&["certify", "--estimator", "gengs", "--temperature", "0"], 2).contains("positive"));
    assert!(stderr(&["certify", "--family", "geometric", "--estimator", "eat-cubic"], 1).contains("made for"));
    assert!(stderr(&["certify", "--latents", "40", "--estimator", "reinforce"], 1).contains("to enumerate"));
    assert!(stderr(&["--steps", "0", "--quiet"], 2).contains("--steps"));
    stderr(&["--law", "normal"], 2);
}
