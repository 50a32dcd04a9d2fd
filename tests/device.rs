//! Everything that runs on a device, compared with the host: the paths that a GPU takes.
//!
//! Without a GPU the host itself stands for the device (`gengs::device::treat_host_as_device`, `GENGS_HOST_AS_DEVICE=1` for the programs): the
//! tensor graph in place of loops over numbers, and no look at numbers within a step. `GENGS_TEST_DEVICE=cuda` takes a real one, where random numbers of
//! libtorch's own generator differ; then trainings are compared by what they reach. `scripts/gpu-check.sh` does so on a machine without Rust: it names
//! the folder of the programs in `GENGS_TEST_PROGRAMS`, and in `GENGS_TEST_REPORT` a file for the largest differences, a JSON document a line.
#![cfg(feature = "cli")]

mod common;

use common::{FAMILIES, doubles, family, seeded};
use gengs::device::{device, treat_host_as_device};
use gengs::estimators::EstimatorKind;
use gengs::prelude::*;
use gengs::sampler::{Backend, NoiseKey, OnePass, OnePassDraw};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// The device's name, or `None` where the host stands for it.
fn real() -> Option<String> {
    std::env::var("GENGS_TEST_DEVICE").ok()
}

/// The device. As long as this lives, the host counts as one if there is no other.
struct OnDevice(Device);

impl OnDevice {
    fn new() -> Self {
        treat_host_as_device(real().is_none());
        Self(real().map_or(Device::Cpu, |name| device(&name).unwrap()))
    }
}

impl Drop for OnDevice {
    fn drop(&mut self) {
        treat_host_as_device(false);
    }
}

/// Writes a measured difference into the report, where one is asked for.
fn report(entry: &Value) {
    if let Ok(path) = std::env::var("GENGS_TEST_REPORT") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{entry}").unwrap();
    }
}

/// The largest difference of two tensors, in units of the last place of the larger of the expected number and one.
fn ulps(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!((found.size(), found.kind()), (expected.size(), expected.kind()));
    let epsilon = if found.kind() == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let pairs = doubles(found).into_iter().zip(doubles(expected));
    pairs.map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / (epsilon * b.abs().max(1.0)) }).fold(0.0, f64::max)
}

/// A draw, and the gradients of its parts in the leaves, on the host.
fn on_host(draw: &OnePassDraw, leaves: &[&Tensor]) -> Vec<(&'static str, Tensor)> {
    let host = |tensor: &Tensor| tensor.detach().to_device(Device::Cpu);
    let mut found = Vec::new();
    for (value, [name, slope]) in [(Some(&draw.z), ["z", "dz"]), (draw.kl.as_ref(), ["KL", "dKL"])] {
        let Some(value) = value else { continue };
        found.push((name, host(value)));
        let gradients = Tensor::run_backward(&[value.sum(value.kind())], leaves, true, false);
        found.extend(gradients.iter().filter(|gradient| gradient.defined()).map(|gradient| (slope, host(gradient))));
    }
    found
}

/// Ulps by which the device may differ: sums of some hundred terms in another order, and a slope divided by the temperature. A real device's
/// logarithms differ in their last digits too.
fn allowed(name: &str) -> f64 {
    let of_host = match name {
        "z" | "KL" => 100.0,
        _ => 4000.0,
    };
    if real().is_some() { 10.0 * of_host } else { of_host }
}

/// Every family, soft and straight-through, with a KL, in float32 and float64: the device's draws are the host's, with their gradients.
#[test]
fn samples_gradients_and_kl_are_those_of_the_host() {
    let _guard = seeded(0);
    let key = NoiseKey::new(5, 1);
    for (name, typical, first) in FAMILIES {
        let typical_law = family(name, &typical.iter().map(|&value| Tensor::from(value)).collect::<Vec<_>>());
        let support = typical_law.support();
        let (lo, hi) = (support.lowest.unwrap_or(-8), support.highest.unwrap_or(30).min(30));
        for kind in [Kind::Float, Kind::Double] {
            for forward in [Forward::Soft, Forward::StraightThrough] {
                let draw = |on: Device| {
                    let leaf = |(i, &value): (usize, &f64)| match i < first {
                        true => Tensor::from(value).to_device(on),
                        false => (Tensor::linspace(0.95, 1.05, 40, (kind, on)) * value)
                            .reshape([5, 8])
                            .set_requires_grad(true),
                    };
                    let leaves: Vec<Tensor> = typical.iter().enumerate().map(leaf).collect();
                    let prior =
                        DiscretizedLogistic::new(&Tensor::from(2.0).to_device(on), &Tensor::from(2.5).to_device(on))
                            .unwrap();
                    let sampler = OnePass::new(lo, hi, 0.5).unwrap().forward(forward).allow_low_mass();
                    let draw = sampler.kl_to_law(&prior).unwrap().rsample(family(name, &leaves).as_ref(), key).unwrap();
                    let found = on_host(&draw, &leaves[first..].iter().collect::<Vec<_>>());
                    (found, draw.drawn_by)
                };
                let (host, _) = draw(Device::Cpu);
                let (found, drawn_by) = {
                    let on = OnDevice::new();
                    draw(on.0)
                };
                assert_ne!(drawn_by, Backend::OnePass, "{name}: the device has no loops over numbers");
                assert_eq!(found.len(), host.len(), "{name}");
                for ((part, found), (_, expected)) in found.iter().zip(&host) {
                    let ulps = ulps(found, expected);
                    report(
                        &json!({"quantity": part, "law": name, "kind": format!("{kind:?}"), "forward": format!("{forward:?}"), "ulps": ulps}),
                    );
                    assert!(ulps <= allowed(part), "{part} of {name}, {kind:?}, {forward:?}: {ulps} ulps");
                    if *part == "z" && forward == Forward::StraightThrough {
                        assert_eq!(doubles(found), doubles(expected), "{name}: integers");
                    }
                }
            }
        }
    }
}

/// Half precision: parameters in 16 bits, laws in float32.
#[test]
fn half_precision_is_float32_inside() {
    let _guard = seeded(0);
    let draw = |on: Device, kind: Kind| {
        let rate = Tensor::linspace(0.5, 4.0, 64, (Kind::Float, on))
            .to_kind(Kind::BFloat16)
            .to_kind(kind)
            .set_requires_grad(true);
        let draw =
            OnePass::new(0, 20, 0.5).unwrap().rsample(&Poisson::new(&rate).unwrap(), NoiseKey::new(1, 1)).unwrap();
        on_host(&draw, &[&rate])
    };
    let host = draw(Device::Cpu, Kind::Float);
    let on = OnDevice::new();
    for ((part, found), (_, expected)) in draw(on.0, Kind::BFloat16).iter().zip(&host) {
        // Gradients come back in the parameter's 16 bits.
        let bound = if *part == "z" { 1e-4 } else { 1e-2 };
        for (a, b) in doubles(found).into_iter().zip(doubles(expected)) {
            assert!((a - b).abs() <= bound * b.abs().max(1.0), "{part}: {a}, not {b}");
        }
    }
}

/// Free logits, some of which are left out.
#[test]
fn free_logits_are_drawn_as_on_the_host() {
    let _guard = seeded(0);
    let draw = |on: Device| {
        let values = (Tensor::arange(6 * 7 * 12, (Kind::Float, Device::Cpu)) * 0.7).sin().reshape([6, 7, 12]);
        let _ = values.select(-1, 5).fill_(f64::NEG_INFINITY);
        let logits = values.to_device(on).set_requires_grad(true);
        let prior = TruncatedDistribution::from_logits(&Tensor::zeros([12], (Kind::Float, on)), 0).unwrap();
        let sampler = OnePass::new(0, 11, 0.5).unwrap().kl_to(&prior).unwrap();
        on_host(&sampler.rsample(&logits, NoiseKey::new(2, 9)).unwrap(), &[&logits])
    };
    let host = draw(Device::Cpu);
    let on = OnDevice::new();
    for ((part, found), (_, expected)) in draw(on.0).iter().zip(&host) {
        let ulps = ulps(found, expected);
        report(&json!({"quantity": part, "law": "logits", "kind": "Float", "forward": "Soft", "ulps": ulps}));
        assert!(ulps <= allowed(part), "{part}: {ulps} ulps");
    }
}

/// A program on the device, or on the host.
fn program(name: &str, on_device: bool, arguments: &[&str]) -> Command {
    let path = match std::env::var_os("GENGS_TEST_PROGRAMS") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => assert_cmd::cargo::cargo_bin(name),
    };
    let mut command = Command::new(path);
    command.args(arguments).env_remove("GENGS_DATA").args(["--threads", "1"]);
    match real() {
        Some(device) if on_device => command.args(["--device", &device]),
        _ => command.args(["--device", "cpu"]).env("GENGS_HOST_AS_DEVICE", if on_device { "1" } else { "0" }),
    };
    command
}

/// What a program prints, which must end well.
fn printed(name: &str, on_device: bool, arguments: &[&str]) -> String {
    let output = program(name, on_device, arguments).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(name: &str, on_device: bool, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(name, on_device, &[arguments, &["--json"]].concat())).unwrap()
}

/// The record of a training's last epoch.
fn trained(name: &str, on_device: bool, out: &Path, more: &[&str]) -> Value {
    let records = json_of(name, on_device, &[&["train", "--quiet", "--out", out.to_str().unwrap()], more].concat());
    records.as_array().unwrap().last().unwrap().clone()
}

/// The same, of a training that is killed after an epoch and then resumed.
fn killed_and_resumed(name: &str, out: &Path, settings: &[&str]) -> Value {
    let run = out.to_str().unwrap();
    let every = ["train", "--quiet", "--out", run, "--checkpoint-every", "1 epoch"];
    let mut training = program(name, true, &[&every, settings].concat()).spawn().unwrap();
    let start = Instant::now();
    while !std::fs::read_to_string(out.join("metrics.jsonl")).is_ok_and(|text| text.lines().count() >= 1) {
        assert!(
            start.elapsed() < Duration::from_secs(60) && training.try_wait().unwrap().is_none(),
            "{name}: no epoch"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    training.kill().unwrap();
    training.wait().unwrap();
    trained(name, true, out, &["--resume"])
}

/// By how much a number of a training may differ from the host's, relatively: by rounding where the host stands for the device, by its
/// random numbers on a real one.
fn apart() -> f64 {
    if real().is_some() { 0.05 } else { 1e-4 }
}

fn agree(what: &str, fields: &[&str], found: &Value, expected: &Value) {
    for &field in fields {
        let number = |of: &Value| of[field].as_f64().or_else(|| of[field][0].as_f64()).unwrap();
        let (a, b) = (number(found), number(expected));
        report(&json!({"quantity": field, "training": what, "device": a, "host": b}));
        assert!((a - b).abs() <= apart() * b.abs().max(1.0), "{what}: {field} {a}, on the host {b}");
    }
}

/// The VAE, 200 steps, explicit and implicit: trained, evaluated, sampled, exported, killed and resumed.
#[test]
fn a_vae_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    for inference in ["explicit", "implicit"] {
        let settings = ["--inference", inference, "--hidden", "32", "--latents", "8", "--epochs", "2"];
        let at = |name: &str| folder.path().join(format!("{name}-{inference}"));
        let expected = trained("gengs-vae", false, &at("host"), &settings);
        let found = trained("gengs-vae", true, &at("device"), &settings);
        agree(
            inference,
            &["train_neg_elbo_relaxed", "train_kl", "validation_neg_elbo", "validation_kl"],
            &found,
            &expected,
        );
        let resumed = killed_and_resumed("gengs-vae", &at("killed"), &settings);
        agree(&format!("{inference}, resumed"), &["train_neg_elbo_relaxed", "validation_neg_elbo"], &resumed, &found);

        // One run, looked at from both.
        let run = at("host");
        let eval = ["eval", "--run", run.to_str().unwrap(), "--importance-samples", "5"];
        let fields = ["neg_elbo", "reconstruction", "kl", "neg_iwae", "neg_elbo_relaxed"];
        agree(
            &format!("{inference}, eval"),
            &fields,
            &json_of("gengs-vae", true, &eval),
            &json_of("gengs-vae", false, &eval),
        );
        let (picture, module) = (at("grid.png"), at("module.pt"));
        printed("gengs-vae", true, &["sample", "--run", eval[2], "--png", picture.to_str().unwrap()]);
        printed("gengs-vae", true, &["export", "--run", eval[2], "--torchscript", module.to_str().unwrap()]);
        assert!(picture.metadata().unwrap().len() > 0 && module.metadata().unwrap().len() > 0);
    }
}

/// Every estimator that trains a VAE.
#[test]
fn estimators_train_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    for kind in EstimatorKind::ALL.into_iter().filter(|kind| *kind != EstimatorKind::Exact) {
        let name = kind.to_string();
        let inference = if name.starts_with("eat-") { "explicit" } else { "implicit" };
        let small = ["--hidden", "8", "--latents", "3", "--epochs", "1", "--batch-size", "450"];
        let settings = [&["--estimator", name.as_str(), "--inference", inference][..], &small].concat();
        let expected = trained("gengs-vae", false, &folder.path().join(format!("{name}-host")), &settings);
        let found = trained("gengs-vae", true, &folder.path().join(format!("{name}-device")), &settings);
        agree(&name, &["train_neg_elbo_relaxed", "validation_neg_elbo"], &found, &expected);
    }
}

/// The quality of gradients, looked at while training.
#[test]
fn diagnosis_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let look = |on_device: bool, name: &str| -> Vec<Value> {
        let out = folder.path().join(name);
        let settings = [
            "--hidden",
            "8",
            "--latents",
            "3",
            "--epochs",
            "1",
            "--diagnose-every",
            "30",
            "--diagnose",
            "gengs,reinforce-loo",
        ];
        trained("gengs-vae", on_device, &out, &settings);
        let text = std::fs::read_to_string(out.join("gradients.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (host, found) = (look(false, "host"), look(true, "device"));
    assert!(!host.is_empty() && host.len() == found.len());
    for (found, expected) in found.iter().zip(&host) {
        assert_eq!(found["estimator"], expected["estimator"]);
        let (a, b) = (found["variance"].as_f64().unwrap(), expected["variance"].as_f64().unwrap());
        let bound = if real().is_some() { 0.5 } else { 0.01 };
        assert!((a - b).abs() <= bound * b.abs(), "{}: variance {a}, on the host {b}", found["estimator"]);
    }
}

/// The topic model, two layers: trained, evaluated, shown, exported, killed and resumed.
#[test]
fn topics_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let settings = ["--topics", "8,3", "--hidden", "32", "--epochs", "20", "--batch-size", "40"];
    let expected = trained("gengs-topics", false, &at("host"), &settings);
    let found = trained("gengs-topics", true, &at("device"), &settings);
    agree(
        "topics",
        &["train_neg_elbo_relaxed", "train_kl", "validation_neg_elbo", "validation_perplexity"],
        &found,
        &expected,
    );
    let resumed = killed_and_resumed("gengs-topics", &at("killed"), &settings);
    agree("topics, resumed", &["train_neg_elbo_relaxed", "validation_perplexity"], &resumed, &found);

    let run = at("host");
    let run = run.to_str().unwrap();
    let eval = ["eval", "--run", run];
    let fields = ["completion_perplexity", "elbo_perplexity_document", "npmi", "diversity"];
    agree("topics, eval", &fields, &json_of("gengs-topics", true, &eval), &json_of("gengs-topics", false, &eval));
    let topics = ["topics", "--run", run];
    assert_eq!(json_of("gengs-topics", true, &topics), json_of("gengs-topics", false, &topics));
    let module = at("module.pt");
    printed("gengs-topics", true, &["export", "--run", run, "--torchscript", module.to_str().unwrap()]);
    assert!(module.metadata().unwrap().len() > 0);
}

/// Memory that a device lacks is one sentence, and exit code 1. Only a real device has little enough.
#[test]
fn too_little_memory_is_a_sentence() {
    if real().is_none() {
        eprintln!("skipped: the host has more memory than a test should ask for");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let wide = [
        "train",
        "--quiet",
        "--hidden",
        "200000,200000",
        "--latents",
        "8",
        "--epochs",
        "1",
        "--out",
        out.to_str().unwrap(),
    ];
    let output = program("gengs-vae", true, &wide).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.contains("memory"), "{said}");
}
