//! Every number that is typed has a stated range: whatever is typed, the program ends with a sentence, never with a panic.
#![cfg(feature = "cli")]

use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// Integers that no setting allows, or just so; numbers too, where a flag takes them.
const VALUES: [&str; 11] =
    ["-1", "-0.1", "-1,-2", "0", "1", "2147483648", "9223372036854775807", "4611686018427387904", "nan", "inf", ""];

/// The numeric flags of a command, with arguments that end it once they are checked: data or a run that is not there, or a name that is none.
const COMMANDS: [(&str, &[&str], &[&str]); 9] = [
    (
        "gengs-vae",
        &["train", "--quiet", "--device", "cpu", "--dataset", "no-such-file.npz"],
        &[
            "latents",
            "hidden",
            "truncation",
            "batch-size",
            "epochs",
            "samples",
            "seed",
            "prior",
            "lr",
            "temperature",
            "kl-warmup",
            "diagnose-every",
            "checkpoint-every",
            "threads",
        ],
    ),
    (
        "gengs-topics",
        &["train", "--quiet", "--device", "cpu", "--corpus", "no-such-file.txt"],
        &[
            "topics",
            "hidden",
            "truncation",
            "batch-size",
            "epochs",
            "seed",
            "prior",
            "lr",
            "temperature",
            "kl-warmup",
            "decay",
            "separation",
            "gain",
            "dropout",
            "word-dropout",
            "upper-warmup",
            "vocabulary-sample",
            "min-letters",
            "min-documents",
            "max-share",
            "max-words",
            "test-share",
            "validation-share",
            "checkpoint-every",
            "threads",
        ],
    ),
    ("gengs-vae", &["eval", "--run", "no-such-run"], &["importance-samples", "batch-size", "seed", "threads"]),
    ("gengs-vae", &["sample", "--run", "no-such-run"], &["seed", "threads"]),
    ("gengs-topics", &["eval", "--run", "no-such-run"], &["importance-samples", "batch-size", "seed", "threads"]),
    ("gengs-topics", &["topics", "--run", "no-such-run"], &["top", "threads"]),
    ("gengs-topics", &["infer", "--run", "no-such-run", "--input", "no-such-file.txt"], &["threads"]),
    (
        "gengs-gradients",
        &["certify", "--family", "no-such-family"],
        &[
            "parameter",
            "target",
            "temperature",
            "latents",
            "samples",
            "draws",
            "warm-up",
            "truncation",
            "seed",
            "threads",
        ],
    ),
    ("gengs-gradients", &["--estimator", "no-such-estimator"], &["steps", "seeds", "temperature", "lr", "threads"]),
];

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
    command.env_remove("GENGS_DATA").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn in_one_sentence(output: &Output, what: &str) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0..=2)), "{what}: {output:?}");
    assert!(!text.contains("panicked"), "{what}: {text}");
    if output.status.code() == Some(1) {
        assert_eq!(text.trim_end().lines().count(), 1, "{what}: {text}");
    }
    text
}

/// Starts each command with each of its numeric flags at each of these values.
fn start_with(values: &(dyn Fn(&str) -> Vec<&'static str> + Sync)) {
    let jobs = COMMANDS.iter().flat_map(|(program, end, flags)| flags.iter().map(move |flag| (program, end, flag)));
    let jobs = Mutex::new(jobs.collect::<Vec<_>>().into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((program, end, flag)) = { jobs.lock().unwrap().next() } {
                    for value in values(flag) {
                        // A negative number as most people type it, which looks like an option.
                        let typed = match value.starts_with('-') {
                            true => vec![format!("--{flag}"), value.to_string()],
                            false => vec![format!("--{flag}={value}")],
                        };
                        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
                        let output = run(program, &[*end, &typed].concat());
                        let text = in_one_sentence(&output, &format!("{program} {typed:?}"));
                        assert_ne!(output.status.code(), Some(0), "{program} {typed:?}");
                        assert!(text.contains(flag) || text.contains("no-such-"), "{program} {typed:?}: {text}");
                        assert!(!text.contains("unexpected argument"), "{program} {typed:?}: {text}");
                    }
                }
            });
        }
    });
}

/// Settings are checked before data is read. Two starts a flag, with another value for the next, keep this short.
#[test]
fn every_flag_with_some_value_ends_with_a_sentence() {
    start_with(&|flag| vec![["9223372036854775807", "nan"][flag.len() % 2], "-1"]);
}

#[test]
#[ignore = "a minute or more: every flag with every value"]
fn every_flag_with_every_value_ends_with_a_sentence_at_length() {
    start_with(&|_| VALUES.to_vec());
}

/// In a file, numbers may be written as such, and those that a flag takes as a text too.
#[test]
fn numbers_in_a_file_are_numbers() {
    use gengs::training::TrainConfig;
    let read = |text: &str| toml::from_str::<TrainConfig>(text).unwrap();
    for (number, text) in [("temperature = 0.5", "temperature = \"0.5\""), ("truncation = 12", "truncation = \"12\"")] {
        assert_eq!(format!("{:?}", read(number)), format!("{:?}", read(text)));
    }
    for wrong in ["temperature = nan", "temperature = 0", "truncation = -1", "truncation = 1.5", "temperature = true"] {
        assert!(toml::from_str::<TrainConfig>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn settings_of_a_file_are_checked_as_flags_are() {
    use gengs::training::{Settings, TopicsTrainConfig, TrainConfig};
    fn checked<S: Settings>(text: &str) -> Result<(), String> {
        let settings: S = toml::from_str(text).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())
    }
    let (integers, numbers) =
        (["latents", "hidden", "batch_size", "epochs", "samples", "diagnose_every"], ["prior", "lr", "kl_warmup"]);
    for name in integers.iter().chain(&numbers) {
        for value in VALUES.iter().filter(|value| !value.is_empty()) {
            let value = if *name == "hidden" { format!("[{value}, 1]") } else { (*value).to_string() };
            let found = checked::<TrainConfig>(&format!("{name} = {value}"));
            if value.contains("9223372036854775807") || value.contains("nan") || value.contains("-1") {
                assert!(found.is_err(), "{name} = {value}");
            }
        }
    }
    let more = ["topics", "hidden", "truncation", "batch_size", "epochs", "vocabulary_sample"];
    let shares = ["prior", "lr", "decay", "separation", "gain", "dropout", "word_dropout", "upper_warmup", "kl_warmup"];
    for name in more.iter().chain(&shares) {
        for value in ["9223372036854775807", "-1", "nan", "inf"] {
            let value = if *name == "topics" { format!("[{value}]") } else { value.to_string() };
            assert!(checked::<TopicsTrainConfig>(&format!("{name} = {value}")).is_err(), "{name} = {value}");
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused_at_the_start() {
    for (program, arguments, expected) in [
        ("gengs-topics", &["--separation=nan"][..], "separation is NaN"),
        ("gengs-topics", &["--gain=inf"], "gain is inf"),
        ("gengs-topics", &["--decay=-1"], "decay is -1"),
        ("gengs-vae", &["--lr=1e10", "--on-nan=skip"], "lr is 10000000000"),
        ("gengs-vae", &["--family=bernoulli", "--truncation=12"], "2 for a Bernoulli latent"),
        ("gengs-vae", &["--latents=1000000", "--hidden=1000000"], "at most 2^30"),
        ("gengs-topics", &["--topics=100000,100000"], "at most 2^30"),
        (
            "gengs-topics",
            &["--topics=100", "--truncation=10000", "--hidden=4"],
            "[200, 100, 10000] of Double, and one tensor may take at most 1073741824 bytes; take a lower --batch-size, \
             --topics or --truncation",
        ),
        (
            "gengs-vae",
            &["--inference=explicit", "--estimator=reinforce", "--latents=1000", "--truncation=2000", "--hidden=4"],
            "a step of training is too large",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let fixed = ["train", "--device", "cpu", "--out", out.to_str().unwrap()];
        let output = run(program, &[&fixed[..], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let text = in_one_sentence(&output, program);
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(!out.exists());
    }
}

/// A run of each program, and what its commands say and write.
#[test]
#[cfg(unix)]
fn runs_name_their_metric_answer_in_one_document_and_end_with_their_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (vae, topics) = (path("vae"), path("topics"));
    let small = ["train", "--device", "cpu", "--threads", "1", "--epochs", "1", "--hidden", "16"];
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let output = run("gengs-vae", &[&small[..], &["--latents", "4", "--out", &vae]].concat());
    assert!(
        text(&output).contains("best hard validation -ELBO ") && text(&output).contains(" nats at epoch 1"),
        "{output:?}"
    );
    let output = run("gengs-topics", &[&small[..], &["--topics", "4", "--out", &topics]].concat());
    assert!(
        text(&output).contains("best validation perplexity ") && !text(&output).contains("nats at epoch"),
        "{output:?}"
    );

    let output = run("gengs-vae", &["eval", "--run", &topics]);
    assert!(output.status.code() == Some(1) && text(&output).contains("is a run of gengs-topics"), "{output:?}");
    let output = run("gengs-topics", &["topics", "--run", &vae]);
    assert!(output.status.code() == Some(1) && text(&output).contains("is a run of gengs-vae"), "{output:?}");

    std::fs::write(path("texts.txt"), "ship oil trade\nbank rate market\n").unwrap();
    let infer = ["infer", "--run", &topics, "--input", &path("texts.txt")];
    let lines = run("gengs-topics", &infer).stdout;
    assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 2);
    let all: serde_json::Value =
        serde_json::from_slice(&run("gengs-topics", &[&infer[..], &["--json"]].concat()).stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 2);

    let weights = |name: &str, value: f32| {
        let mut store = tch::nn::VarStore::new(tch::Device::Cpu);
        let (_, config) = gengs::training::RunFolder::open::<gengs::training::TrainConfig>(vae.as_ref()).unwrap();
        let _ = gengs::models::Vae::new(&store.root(), &config.vae(784)).unwrap();
        store.freeze();
        let _ = tch::no_grad(|| store.variables()["decoder.0.bias"].get(1).fill_(f64::from(value)));
        gengs::training::weights::write_safetensors(path(name).as_ref(), &store).unwrap();
        path(name)
    };
    for broken in [f32::NAN, f32::INFINITY] {
        let file = weights("broken.safetensors", broken);
        let other = path("other");
        for arguments in [
            vec!["eval", "--run", &vae, "--weights", &file, "--json"],
            [&small[..], &["--latents", "4", "--out", &other, "--init-from", &file]].concat(),
        ] {
            let output = run("gengs-vae", &arguments);
            assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{output:?}");
            assert!(text(&output).contains("not finite: decoder.0.bias"), "{output:?}");
        }
    }

    let shell = |program: &str, line: &str| {
        let mut command = Command::new("bash");
        let program = assert_cmd::cargo::cargo_bin(program);
        command.env_remove("GENGS_DATA").args(["-c", line]).arg(program).output().unwrap()
    };
    for (program, arguments) in [
        ("gengs-topics", format!("topics --run {topics}")),
        ("gengs-topics", format!("eval --run {topics}")),
        ("gengs-topics", infer.join(" ")),
        ("gengs-vae", format!("eval --run {vae} --importance-samples 2")),
        ("gengs-vae", format!("sample --run {vae} --png {} --json", path("grid.png"))),
        ("gengs-vae", format!("train --resume --out {vae} --json")),
    ] {
        let closed = shell(program, &format!("set -o pipefail; \"$0\" {arguments} --quiet | true"));
        assert!(closed.status.success() && closed.stderr.is_empty(), "{arguments}: {closed:?}");
        let full = shell(program, &format!("\"$0\" {arguments} --quiet > /dev/full"));
        assert_eq!(full.status.code(), Some(1), "{arguments}: {full:?}");
        assert!(in_one_sentence(&full, &arguments).contains("standard output cannot be written"), "{full:?}");
    }
}
