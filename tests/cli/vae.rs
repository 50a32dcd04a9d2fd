//! The binary as a user meets it.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn vae(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-vae").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

/// Settings of a run of a second or two on the built-in digits, at one thread, where sums do not depend on scheduling.
const SMALL: [&str; 11] =
    ["--hidden", "32", "--latents", "8", "--threads", "1", "--device", "cpu", "--quiet", "--inference", "implicit"];

fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = vae(&["train"]);
    command.args(SMALL).arg("--out").arg(out).args(more);
    command
}

fn stderr(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn train_eval_and_sample() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = train(&out, &["--epochs", "2", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(records.as_array().unwrap().len(), 2);
    assert!(output.stderr.is_empty(), "quiet is quiet: {output:?}");

    let run = out.to_str().unwrap();
    let output = vae(&["eval", "--run", run, "--importance-samples", "5", "--json"]).output().unwrap();
    let found: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let names = [
        "neg_elbo",
        "reconstruction",
        "kl",
        "neg_iwae",
        "importance_samples",
        "active_units",
        "neg_elbo_relaxed",
        "examples",
    ];
    assert!(names.iter().all(|name| found[*name].as_f64().is_some_and(f64::is_finite)), "{found:?}");
    assert_eq!(found.len(), names.len() + 1);
    assert_eq!(found["drawn_by"], "one-pass");
    assert_eq!(found["examples"], 500);

    let png = folder.path().join("grid.png");
    vae(&["sample", "--run", run, "--png", png.to_str().unwrap(), "--quiet"]).assert().success();
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&png).unwrap()));
    let reader = decoder.read_info().unwrap();
    // Ten images of 28 pixels and eleven gaps of two.
    assert_eq!((reader.info().width, reader.info().height), (302, 302));
    assert!(folder.path().join("grid-reconstructions.png").exists());
}

#[test]
fn flags_win_over_the_settings_file_and_unknown_keys_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, "epochs = 7\nbatch_size = 500\ntemperature = \"0.8..0.5\"\n").unwrap();
    let out = folder.path().join("run");
    train(&out, &["--config", settings.to_str().unwrap(), "--epochs", "1"]).assert().success();
    let written = std::fs::read_to_string(out.join("config.toml")).unwrap();
    for line in ["epochs = 1\n", "batch_size = 500\n", "temperature = \"0.8..0.5\"", "latents = 8\n"] {
        assert!(written.contains(line), "{line} is not in\n{written}");
    }
    std::fs::write(&settings, "epoch = 7\n").unwrap();
    let message = stderr(&mut train(&folder.path().join("other"), &["--config", settings.to_str().unwrap()]), 1);
    assert!(message.contains("unknown field `epoch`") && message.contains("settings.toml"), "{message}");
}

#[test]
fn every_setting_has_a_flag_that_reaches_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/digits/images-idx3-ubyte.gz");
    let values = [
        ("dataset", digits.to_str().unwrap()),
        ("data_dir", folder.path().to_str().unwrap()),
        ("family", "geometric"),
        ("inference", "explicit"),
        ("prior", "1.5"),
        ("truncation", "tail:1e-3"),
        ("estimator", "reinforce-loo"),
        ("samples", "3"),
        ("diagnose_every", "4"),
        ("diagnose", "gengs,go-one"),
        ("temperature", "0.9..0.4"),
        ("latents", "3"),
        ("hidden", "7,6"),
        ("epochs", "1"),
        ("batch_size", "450"),
        ("lr", "0.002"),
        ("kl_warmup", "0.5"),
        ("checkpoint_every", "3.5"),
        ("on_nan", "skip"),
        ("seed", "9"),
    ];
    let mut command = vae(&["train", "--quiet", "--out"]);
    command.arg(&out);
    for (name, value) in values {
        command.arg(format!("--{}", name.replace('_', "-"))).arg(value);
    }
    command.assert().success();
    let written: toml::Table = std::fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap();
    assert_eq!(written.len(), values.len(), "{written:?}");
    for (name, value) in values {
        let found = match &written[name] {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(values) => {
                let texts = values.iter().map(|value| value.to_string().trim_matches('"').to_string());
                texts.collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        assert_eq!(found, value, "{name}");
    }
}

#[test]
fn wrong_usage_is_2_and_failure_is_1_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for wrong in [
        vec!["--famly", "poisson"],
        vec!["--family", "gauss"],
        vec!["--temperature", "0"],
        vec!["--truncation", "x"],
        vec!["--epochs", "-1"],
        vec!["--threads", "0"],
    ] {
        stderr(&mut train(&path("a"), &wrong), 2);
    }
    let data = folder.path().to_str().unwrap();
    std::fs::write(path("short.npz"), b"PK").unwrap();
    std::fs::write(path("short-idx"), [0, 0, 8, 3, 0, 0]).unwrap();
    std::fs::write(path("static_binarized_mnist_bits.npz"), b"PK\x03\x04 but no more").unwrap();
    let short = |name: &str| path(name).display().to_string();
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec!["--dataset".into(), "mnist".into()], "--data-dir or GENGS_DATA"),
        (vec!["--dataset".into(), "omniglot".into(), "--data-dir".into(), data.into()], "omniglot28.npz"),
        (
            vec!["--dataset".into(), "static-mnist".into(), "--data-dir".into(), data.into()],
            "static_binarized_mnist_bits.npz",
        ),
        (vec!["--dataset".into(), short("short.npz")], "short.npz"),
        (vec!["--dataset".into(), short("short-idx")], "short-idx"),
        (vec!["--device".into(), "tpu".into()], "auto, cpu, cuda"),
        (vec!["--prior".into(), "100".into()], "mass"),
        (vec!["--epochs".into(), "0".into()], "epochs is 0"),
        (vec!["--resume".into(), "--lr".into(), "0.1".into()], "--lr cannot be given with --resume"),
        (vec!["--resume".into(), "--epochs".into(), "3".into(), "--out".into(), short("nothing")], "holds no run"),
    ];
    for (arguments, expected) in cases {
        let mut command = vae(&["train", "--out"]);
        command.arg(path("b")).args(&arguments);
        if arguments.contains(&"--out".to_string()) {
            command = vae(&["train"]);
            command.args(&arguments);
        }
        let message = stderr(&mut command, 1);
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
        assert!(!path("b").exists(), "{arguments:?} left a folder");
    }
}

#[cfg(unix)]
mod interruption {
    use super::*;

    fn start(out: &Path, more: &[&str]) -> Child {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
        command.arg("train").args(SMALL).arg("--out").arg(out).args(more);
        command.env_remove("GENGS_DATA").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn signal(child: &Child, name: &str) {
        let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the run has made some steps beyond its first checkpoint, by the optimiser's count in the newest one.
    fn wait_for_updates(out: &Path, child: &mut Child) -> i64 {
        let start = Instant::now();
        loop {
            let updates = updates(out).unwrap_or(0);
            if updates > 0 {
                return updates;
            }
            assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be interrupted");
            assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn updates(out: &Path) -> Option<i64> {
        let checkpoint = gengs::training::Checkpoint::read(&out.join("last.safetensors")).ok()?;
        Some(checkpoint.progress().updates)
    }

    fn parameters(out: &Path) -> Vec<(String, Vec<u8>)> {
        let bytes = std::fs::read(out.join("last.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        // What a look at gradients learned is no part of the model.
        let of_model = file.iter().filter(|(name, _)| !name.starts_with("diagnosed."));
        let mut tensors: Vec<_> = of_model.map(|(name, view)| (name.to_string(), view.data().to_vec())).collect();
        tensors.sort();
        tensors
    }

    fn losses(out: &Path) -> Vec<(usize, f64, f64)> {
        let (folder, _) = gengs::training::RunFolder::open::<gengs::training::TrainConfig>(out).unwrap();
        let metrics: Vec<gengs::training::EpochRecord> = folder.records(gengs::training::METRICS).unwrap();
        metrics.iter().map(|r| (r.epoch, r.train_neg_elbo_relaxed, r.validation_neg_elbo)).collect()
    }

    #[test]
    fn stopped_and_killed_runs_end_as_the_uninterrupted_one_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // 45 steps an epoch.
        let long = ["--epochs", "12", "--checkpoint-every", "50 steps"];
        train(&path("whole"), &long).assert().success();

        // Ctrl-C: the step is finished, saved, and the way on is told.
        let mut child = start(&path("stopped"), &long);
        let seen = wait_for_updates(&path("stopped"), &mut child);
        signal(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let at = updates(&path("stopped")).unwrap();
        assert!((seen..540).contains(&at), "{at} updates of 540");

        // Pulling the plug.
        let mut child = start(&path("killed"), &long);
        wait_for_updates(&path("killed"), &mut child);
        child.kill().unwrap();
        child.wait().unwrap();

        for name in ["stopped", "killed"] {
            let mut command = vae(&["train", "--resume", "--threads", "1", "--quiet", "--out"]);
            command.arg(path(name)).assert().success();
            assert_eq!(parameters(&path(name)), parameters(&path("whole")), "{name}");
            assert_eq!(losses(&path(name)), losses(&path("whole")), "{name}");
        }
    }

    /// An estimator that learns takes up where it was, and looking at gradients changes nothing.
    #[test]
    fn what_an_estimator_learned_survives_and_a_look_at_gradients_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let relax = ["--estimator", "relax", "--epochs", "3", "--checkpoint-every", "30 steps"];
        train(&path("whole"), &relax).assert().success();
        let looking =
            [relax.as_slice(), &["--diagnose-every", "40", "--diagnose", "relax,reinforce-loo,go,rebar"]].concat();
        train(&path("looked-at"), &looking).assert().success();
        assert_eq!(parameters(&path("looked-at")), parameters(&path("whole")));
        assert!(parameters(&path("whole")).iter().any(|(name, _)| name == "adam.exp_avg.estimator.critic.0.weight"));

        let mut child = start(&path("killed"), &looking);
        wait_for_updates(&path("killed"), &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        vae(&["train", "--resume", "--threads", "1", "--quiet", "--out"]).arg(path("killed")).assert().success();
        assert_eq!(parameters(&path("killed")), parameters(&path("whole")));

        let (run, _) = gengs::training::RunFolder::open::<gengs::training::TrainConfig>(&path("looked-at")).unwrap();
        let records: Vec<gengs::training::GradientRecord> = run.records(gengs::training::GRADIENTS).unwrap();
        // 45 steps an epoch: steps 1, 41, 81 and 121 of 135, four estimators each.
        let steps: Vec<usize> = records.iter().step_by(4).map(|r| (r.epoch - 1) * 45 + r.step).collect();
        assert_eq!((records.len(), steps.as_slice()), (16, [1, 41, 81, 121].as_slice()));
        for record in &records {
            assert!(record.variance > 0.0 && record.reference_cosine > 0.2, "{record:?}");
            assert!((-1.0..=1.0).contains(&record.cosine) && record.reference_square > 0.0, "{record:?}");
        }
        // Records of the uninterrupted run are those of the interrupted one, whose estimators were restored.
        let (run, _) = gengs::training::RunFolder::open::<gengs::training::TrainConfig>(&path("killed")).unwrap();
        let again: Vec<gengs::training::GradientRecord> = run.records(gengs::training::GRADIENTS).unwrap();
        assert_eq!(again, records);
    }

    #[test]
    fn a_stopped_run_says_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
        command
            .args(["train", "--hidden", "32", "--epochs", "200", "--checkpoint-every", "20 steps", "--out"])
            .arg(&out);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_updates(&out, &mut child);
        signal(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(143), "{text}");
        assert!(text.contains("go on with: gengs-vae train --resume --out"), "{text}");
    }
}
