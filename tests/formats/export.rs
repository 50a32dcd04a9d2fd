//! Weights that go to PyTorch: as safetensors and as TorchScript, by the library and by the binary; and a part of a model that came from there.
//! Where `GENGS_PYTHON` names a Python with torch 2.11, what is written is read there.

#[allow(dead_code)]
#[path = "../../examples/torchscript_decoder.rs"]
mod decoder_example;

use crate::common::python::{ask, fixture, numbers, python};
use crate::common::{LATENT_FAMILIES, doubles, seeded};
use gengs::models::{Family, Inference, Vae};
use gengs::training::{Schedule, TrainConfig, weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tch::nn::VarStore;
use tch::{CModule, Device, Kind, Tensor};

/// A small model of every sort, with parameters that are far from their start.
fn model(family: Family, inference: Inference, prior: Option<f64>, truncation: &str) -> (VarStore, Vae, TrainConfig) {
    let config = TrainConfig {
        family,
        inference,
        prior,
        truncation: (!truncation.is_empty()).then(|| truncation.parse().unwrap()),
        latents: 3,
        hidden: vec![7, 5],
        temperature: Schedule { first: 1.0, last: 0.25 },
        ..TrainConfig::default()
    };
    let store = VarStore::new(Device::Cpu);
    let vae = Vae::new(&store.root(), &config.vae(6)).unwrap();
    let _guard = tch::no_grad_guard();
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    variables.iter_mut().for_each(|(_, variable)| *variable *= 3.0);
    (store, vae, config)
}

#[test]
fn written_safetensors_are_read_again_and_by_pytorch() {
    let _guard = seeded(2);
    let (store, vae, config) = model(Family::Geometric, Inference::Implicit, None, "");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    weights::write_safetensors(&path, &store).unwrap();
    assert_eq!(numbers(weights::read(&path, Device::Cpu).unwrap()), numbers(store.variables()));
    assert_eq!(numbers(vae.parameters()), numbers(store.variables()));

    let again = weights::read_vae(&config, &path, Device::Cpu).unwrap().model;
    let x = Tensor::rand([4, 6], (Kind::Float, Device::Cpu));
    let log_weights = |vae: &Vae| doubles(vae.posterior(&x).unwrap().log_weights());
    assert_eq!(log_weights(&again), log_weights(&vae));

    let Some(python) = python("loading written safetensors") else { return };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/load_in_pytorch.py");
    let z = Tensor::rand([2, 3], (Kind::Float, Device::Cpu));
    let given = serde_json::to_string(&Vec::<Vec<f32>>::try_from(&z).unwrap()).unwrap();
    let printed = ask(&python, &[example.to_str().unwrap(), path.to_str().unwrap(), &given]);
    let found: Vec<Vec<f64>> = serde_json::from_str(&printed).unwrap();
    let exact = doubles(&vae.decode(&z).unwrap().sigmoid());
    let error = found.concat().iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(found.concat().len() == exact.len() && error < 1e-6, "{error:e}");
}

/// Latents of every family, with windows that begin at zero and, by their tail mass, beyond it.
fn models() -> Vec<(Family, Inference, Option<f64>, &'static str)> {
    let mut models: Vec<_> = LATENT_FAMILIES
        .into_iter()
        .flat_map(|family| [Inference::Explicit, Inference::Implicit].map(|inference| (family, inference, None, "")))
        .collect();
    for family in [Family::Poisson, Family::Geometric, Family::NegativeBinomial] {
        models.push((family, Inference::Explicit, Some(40.0), "tail:0.05"));
        models.push((family, Inference::Explicit, Some(2.0), "60"));
    }
    models.push((Family::Poisson, Inference::Explicit, Some(900.0), "tail:1e-6"));
    models.push((Family::Geometric, Inference::Explicit, Some(0.3), "1"));
    models
}

#[test]
fn exported_modules_compute_what_the_model_does() {
    let _guard = seeded(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vae.pt");
    let x = Tensor::rand([5, 6], (Kind::Float, Device::Cpu));
    let python = python("running exported modules");
    for (family, inference, prior, truncation) in models() {
        let what = format!("{family} {inference} {prior:?} {truncation}");
        let (store, vae, config) = model(family, inference, prior, truncation);
        gengs::export::write_torchscript(&path, &vae, &config).unwrap();
        let module = CModule::load(&path).unwrap_or_else(|error| panic!("{what}: {error}"));

        let _guard = tch::no_grad_guard();
        let q = vae.posterior(&x).unwrap();
        let mean = q.mean();
        let exact = [q.log_weights().shallow_clone(), vae.decode(&mean).unwrap(), vae.decode(&mean).unwrap().sigmoid()];
        let found = [
            module.method_ts("encode", &[&x]).unwrap_or_else(|error| panic!("{what}: {error}")),
            module.method_ts("decode", &[&mean]).unwrap_or_else(|error| panic!("{what}: {error}")),
            module.forward_ts(&[&x]).unwrap_or_else(|error| panic!("{what}: {error}")),
        ];
        // Products of the decoder are rounded in units of what is multiplied.
        let size = mean.abs().max().double_value(&[]).max(1.0);
        for ((found, exact), size) in found.iter().zip(&exact).zip([1.0, size, size]) {
            assert_eq!((found.size(), found.kind()), (exact.size(), exact.kind()), "{what}");
            let scale = exact.abs().clamp_min(1.0);
            let error = ((found - exact) / scale).abs().max().double_value(&[]);
            assert!(error < 1e-6 * size, "{what}: {error:e}");
        }
        // The same parameters, under the same names, and nothing else.
        assert_eq!(numbers(weights::read(&path, Device::Cpu).unwrap()), numbers(store.variables()), "{what}");

        let Some(python) = &python else { continue };
        let code = "
import json, sys, torch
extra = {'gengs.json': ''}
m = torch.jit.load(sys.argv[1], _extra_files=extra)
m.eval()
x = torch.tensor(json.loads(sys.argv[2]))
described = json.loads(extra['gengs.json'])
assert all(getattr(m, k) == v for k, v in described.items()), described
if described['last_atom'] > described['first_atom']:
    m.encode(x).exp()[..., 0].sum().backward()
    assert all(p.grad.isfinite().all() for p in m.encoder.parameters())
print(json.dumps([described, {k: list(v.shape) for k, v in m.state_dict().items()}, m.encode(x).flatten().tolist(), m(x).flatten().tolist()]))
";
        let given = serde_json::to_string(&Vec::<Vec<f32>>::try_from(&x).unwrap()).unwrap();
        let printed = ask(python, &["-c", code, path.to_str().unwrap(), &given]);
        let answer: Value = serde_json::from_str(&printed).unwrap();
        let described = &answer[0];
        assert_eq!((&described["family"], &described["temperature"]), (&family.to_string().into(), &0.25.into()));
        assert_eq!(described["gengs_version"], env!("CARGO_PKG_VERSION"));
        let shapes: BTreeMap<String, Vec<i64>> = serde_json::from_value(answer[1].clone()).unwrap();
        assert_eq!(shapes, store.variables().into_iter().map(|(name, t)| (name, t.size())).collect(), "{what}");
        for (found, exact) in [(&answer[2], &exact[0]), (&answer[3], &exact[2])] {
            let found: Vec<f64> = serde_json::from_value(found.clone()).unwrap();
            let errors = found.iter().zip(doubles(exact)).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
            let error = errors.fold(0.0, f64::max);
            assert!(error < 1e-6, "{what} in Python: {error:e}");
        }
    }
}

#[test]
fn a_decoder_from_python_learns_within_a_model_of_ours() {
    let _guard = seeded(4);
    let data = gengs::data::ImageSet::Mnist5k.load(None).unwrap();
    let model = decoder_example::Model::new(&fixture("decoder.pt"), data.train.size()).unwrap();
    let x = data.train.batch(&Tensor::arange(20, (Kind::Int64, Device::Cpu)));
    model.loss(&x).unwrap().backward();
    let mut names: Vec<String> = model.store.variables().into_keys().collect();
    names.sort();
    names.retain(|name| name.starts_with("decoder."));
    assert_eq!(
        names,
        ["layers_0_bias", "layers_0_weight", "layers_2_bias", "layers_2_weight"].map(|name| format!("decoder.{name}"))
    );
    for (name, variable) in model.store.variables() {
        let gradient = variable.grad();
        assert!(gradient.defined() && gradient.abs().max().double_value(&[]) > 0.0, "{name}");
    }
    let before: Vec<f64> = model.store.variables().values().flat_map(doubles).collect();
    let losses = decoder_example::train(&model, &data, 60).unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[55..]));
    // From 784 log 2 = 543 nats downwards.
    assert!((500.0..600.0).contains(&first) && last < 250.0, "{first} {last}");
    let after: Vec<f64> = model.store.variables().values().flat_map(doubles).collect();
    assert!(before != after);
}

/// The binary: weights leave a run in every format, and are evaluated where they arrive.
#[cfg(feature = "cli")]
#[test]
fn a_run_is_exported_and_its_weights_are_evaluated_from_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let vae = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("gengs-vae").unwrap();
        let output =
            command.env_remove("GENGS_DATA").args(arguments).args(["--threads", "1", "--quiet"]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (run, script, plain) = (path("run"), path("vae.pt"), path("weights.safetensors"));
    let small =
        ["--hidden", "16", "--latents", "4", "--epochs", "1", "--inference", "explicit", "--family", "geometric"];
    assert_eq!(vae(&[["train", "--out", &run].as_slice(), &small].concat()).0, Some(0));
    let eval = |more: &[&str]| vae(&[&["eval", "--run", &run, "--importance-samples", "2", "--json"], more].concat());
    let (code, exact, _) = eval(&[]);
    assert_eq!(code, Some(0));

    assert_eq!(vae(&["export", "--run", &run, "--torchscript", &script]), (Some(0), String::new(), String::new()));
    let (code, said, _) = vae(&["export", "--run", &run, "--checkpoint", "last", "--safetensors", &plain, "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["safetensors"]), (Some(0), &plain.as_str().into()));
    for file in [&script, &plain, &path("run/best.safetensors")] {
        assert_eq!(eval(&["--weights", file]), (Some(0), exact.clone(), String::new()), "{file}");
    }
    if let Some(python) = python("evaluating weights that Python saved") {
        let code = "import sys, torch; torch.save(torch.jit.load(sys.argv[1]).state_dict(), sys.argv[2])";
        ask(&python, &["-c", code, &script, &path("state_dict.pt")]);
        assert_eq!(eval(&["--weights", &path("state_dict.pt")]).1, exact);
    }

    let nested = fixture("nested.pt");
    let wrong = fixture("state_dict.pt");
    for (file, expected) in [
        (
            nested.to_str().unwrap(),
            "nested.pt: it holds a checkpoint, whose weights lie under 'model'; convert it with: python -c",
        ),
        (wrong.to_str().unwrap(), "state_dict.pt: its weights do not fit the model: it lacks decoder.0.bias"),
        ("nothing.pt", "nothing.pt: cannot be read: No such file"),
    ] {
        let (code, _, message) = eval(&["--weights", file]);
        assert_eq!((code, message.lines().count()), (Some(1), 1), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    // Weights of the same names for smaller images.
    let other = VarStore::new(Device::Cpu);
    let (_, config) = gengs::training::RunFolder::open::<TrainConfig>(Path::new(&run)).unwrap();
    Vae::new(&other.root(), &config.vae(9)).unwrap();
    weights::write_safetensors(Path::new(&plain), &other).unwrap();
    let (code, _, message) = eval(&["--weights", &plain]);
    assert!(code == Some(1) && message.contains("images of 9 pixels, but those of the run have 784"), "{message}");

    assert_eq!(eval(&["--weights", &script, "--checkpoint", "last"]).0, Some(2));
    assert_eq!(vae(&["export", "--run", &run]).0, Some(2));
    assert_eq!(vae(&["export", "--run", &run, "--torchscript", &script, "--safetensors", &plain]).0, Some(2));
    let (code, _, message) = vae(&["export", "--run", &run, "--torchscript", &path("no/such/folder.pt")]);
    assert!(code == Some(1) && message.contains("folder.pt: cannot be written"), "{message}");
}
