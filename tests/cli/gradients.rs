//! `gengs-gradients` as a user meets it.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use gengs::laboratory::{ObjectiveKind, Problem, ProblemConfig};
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
        (17, 24)
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
    assert!(stderr(&["certify", "--family", "poison"], 1).contains("poison, but must be all, multinomial, or"));
    assert!(stderr(&["certify", "--estimator", "gumbel"], 1).contains("must be all, or names out of exact, gengs"));
    assert!(stderr(&["certify", "--family", "binomial", "--parameter", "3"], 1).contains("total_count, probs"));
    assert!(stderr(&["certify", "--parameter", "-1"], 1).contains("rate"));
    assert!(stderr(&["certify", "--parameter", "nan"], 1).contains("rate"));
    assert!(stderr(&["certify", "--draws", "1"], 2).contains("--draws"));
    assert!(stderr(&["certify", "--latents", "0"], 2).contains("--latents"));
    assert!(stderr(&["certify", "--estimator", "gengs", "--temperature", "0"], 2).contains("from 0.0001"));
    assert!(stderr(&["certify", "--family", "geometric", "--estimator", "eat-cubic"], 1).contains("made for"));
    assert!(stderr(&["certify", "--latents", "40", "--estimator", "reinforce"], 1).contains("to enumerate"));
    assert!(stderr(&["--steps", "0", "--quiet"], 2).contains("--steps"));
    stderr(&["--law", "normal"], 2);
}

fn config() -> ProblemConfig {
    ProblemConfig {
        family: "poisson".into(),
        parameters: Vec::new(),
        truncation: None,
        latents: 1,
        objective: ObjectiveKind::Quadratic,
        target: 4.0,
        kind: tch::Kind::Double,
    }
}

#[test]
fn parameters_that_are_whole_numbers_are_checked() {
    let others = [
        ("binomial", "total_count", "0.3"),
        ("beta-binomial", "total_count", "2,3"),
        ("hypergeometric", "draws", "20,9"),
        ("zipf", "size", "1.4"),
        ("multinomial", "draws", "0.5,0.5"),
    ];
    for ((family, parameter, rest), number) in others.into_iter().zip(["10.9", "nan", "inf", "1e300", "-3"]) {
        let text = stderr(&["certify", "--family", family, "--parameter", &format!("{number},{rest}")], 1);
        assert!(text.contains(&format!("{parameter} of {family}")) && text.contains("whole number"), "{text}");
        for number in ["10.9", "nan", "inf", "1e300", "-3"] {
            let parameters = [number, rest].join(",");
            let parameters = parameters.split(',').map(|number| number.parse().unwrap()).collect();
            let config = ProblemConfig { family: family.into(), parameters, ..config() };
            let text = Problem::new(&config).unwrap_err().to_string();
            assert!(text.contains(&format!("{parameter} of {family}")) && text.contains("whole number"), "{text}");
        }
    }
}

#[test]
fn flags_out_of_range_are_refused_by_name() {
    let flags = ["latents", "draws", "samples", "warm-up", "truncation", "temperature", "target", "seed"];
    for (i, flag) in flags.into_iter().enumerate() {
        for value in [["nan", "inf", ""][i % 3], ["-1", "2147483648", "9223372036854775807"][i / 2 % 3]] {
            if value == "-1" && flag == "target" {
                continue;
            }
            let text = stderr(&["certify", &format!("--{flag}"), value], 2);
            assert!(text.contains(&format!("--{flag}")), "{flag} {value}: {text}");
        }
    }
    for window in ["3..-3", "..4", "0..99999999", "1..2..3"] {
        assert!(stderr(&["certify", "--truncation", window], 2).contains("--truncation"), "{window}");
    }
    for (flag, value) in [("steps", "2147483648"), ("seeds", "0"), ("lr", "nan"), ("lr", "-1"), ("temperature", "0")] {
        assert!(stderr(&[&format!("--{flag}"), value], 2).contains(&format!("--{flag}")), "{flag} {value}");
    }
}

#[test]
fn the_help_names_the_parameters_of_families() {
    let help = gradients(&["certify", "--help"]).output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    for entry in gengs::distributions::FAMILIES {
        assert!(text.contains(&format!("{}: {}", entry.name, entry.signature())), "{text}");
    }
}

#[test]
fn the_cosine_of_estimates_is_a_cosine() {
    let asked = ["certify", "--parameter", "5", "--temperature", "0.02", "--estimator", "gengs", "--draws", "20000"];
    let output = gradients(&[asked.as_slice(), &["--json"]].concat()).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((-1.0..=1.0).contains(&rows[0]["cosine"].as_f64().unwrap()), "{rows}");
    assert_eq!(rows[0]["needs_of_f"], "slope-between");
    let asked =
        ["certify", "--objective", "constant", "--estimator", "rebar,reinforce", "--draws", "2000", "--warm-up", "2"];
    let output = gradients(&[asked.as_slice(), &["--json"]].concat()).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows[0]["cosine"].is_null() && rows[0]["exact"] == 0.0, "{rows}");
}

/// The learning rate throws the laws that move out of range; the law that is held, and the page, are there all the same.
#[test]
fn a_run_that_diverges_ends_its_own_curve_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let run = |laws: &str| {
        let arguments =
            ["--law", laws, "--estimator", "gengs,reinforce", "--steps", "6", "--seeds", "1", "--lr", "1e200"];
        gradients(&[arguments.as_slice(), &["--quiet", "--json", "--out", out]].concat()).output().unwrap()
    };
    let output = run("poisson,held");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let panels: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ended = &panels[0]["curves"][0];
    assert_eq!(ended["ended_at"], 1, "{ended}");
    assert!(panels[1]["curves"][0]["ended_at"].is_null(), "{panels}");
    assert!(!output.stdout.windows(3).any(|word| word == b"NaN"));
    for name in ["report.html", "poisson.svg"] {
        assert!(std::fs::read_to_string(folder.path().join(name)).unwrap().contains("ended at step 1"), "{name}");
    }
    assert_eq!(run("poisson").status.code(), Some(1));
}

/// The folder and its files are tried before any step is made; and a file that cannot be written loses nothing that was there.
#[test]
fn what_cannot_be_written_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("curves.json")).unwrap();
    let out = folder.path().to_str().unwrap();
    let text = stderr(&["--steps", "1000000", "--seeds", "1000", "--quiet", "--out", out], 1);
    assert!(text.contains("curves.json") && text.contains("cannot be written"), "{text}");
}

#[test]
fn all_families_are_measured_as_far_as_they_take_the_window() {
    let asked = ["certify", "--family", "all", "--truncation", "6", "--estimator", "exact,exact", "--json"];
    let output = gradients(&asked).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("skellam is left out: ") && text.contains("interval"), "{text}");
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |family: &str| rows.as_array().unwrap().iter().filter(|row| row["family"] == family).count();
    assert_eq!((of("poisson"), of("skellam")), (1, 0), "{rows}");
    let skellam = ["certify", "--family", "skellam", "--truncation", "-3..3", "--estimator", "exact", "--json"];
    let rows: Value = serde_json::from_slice(&gradients(&skellam).output().unwrap().stdout).unwrap();
    assert_eq!((&rows[0]["window"], &rows[0]["atoms"]), (&serde_json::json!([-3, 3]), &Value::from(7)), "{rows}");
    let text = stderr(&["certify", "--family", "all", "--parameter", "3"], 1);
    assert!(text.contains("--parameter cannot be given with --family all"), "{text}");
}

#[test]
#[cfg(unix)]
fn a_working_folder_that_is_gone_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    let line = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" certify --estimator exact";
    command.current_dir(folder.path()).args(["-c", line]).arg(assert_cmd::cargo::cargo_bin("gengs-gradients"));
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text == "error: the working folder is gone; change to a folder that exists\n", "{text}");
}
