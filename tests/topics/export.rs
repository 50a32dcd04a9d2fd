//! The encoder of topic models as TorchScript, and what the binary writes. Where `GENGS_PYTHON` names a Python with torch 2.11, modules run there too.

use crate::common::python::{ask, numbers, python};
use crate::common::{doubles, seeded};
use assert_cmd::Command;
use gengs::models::{BagOfWordsBatch, Family, Inference, TopicModel, TopicsStart};
use gengs::training::{RunFolder, TopicsTrainConfig, weights};
use serde_json::Value;
use std::path::Path;
use tch::nn::VarStore;
use tch::{CModule, Device, Kind, Tensor};

const WORDS: i64 = 40;

fn config(family: Family, inference: Inference, topics: &[i64], truncation: i64) -> TopicsTrainConfig {
    TopicsTrainConfig {
        family,
        inference,
        topics: topics.to_vec(),
        truncation,
        hidden: 7,
        prior: 1.5,
        ..TopicsTrainConfig::default()
    }
}

/// A model whose parameters and running statistics are far from their start.
fn model(config: &TopicsTrainConfig) -> (VarStore, TopicModel) {
    let float = (Kind::Float, Device::Cpu);
    let start = TopicsStart {
        frequencies: Tensor::full([WORDS], 1.0 / WORDS as f64, float),
        documents: Tensor::full([WORDS], 20.0, float),
        idf: Tensor::rand([WORDS], float) + 0.5,
        length: 20.0,
        topics: Tensor::full([WORDS, config.topics[0]], 1.0 / WORDS as f64, float),
        directions: config.topics.iter().map(|&topics| Tensor::randn([WORDS, topics], float) * 0.3).collect(),
        groups: config.topics.windows(2).map(|pair| Tensor::eye(pair[0], float).narrow(0, 0, pair[1])).collect(),
    };
    let store = VarStore::new(Device::Cpu);
    let model = TopicModel::new(&store.root(), &config.model(WORDS), &start).unwrap();
    let _guard = tch::no_grad_guard();
    for (name, mut variable) in store.variables() {
        if name.ends_with("running_var") {
            variable += variable.rand_like();
        } else if name.starts_with("encoder") || name.starts_with("topics") {
            variable += variable.randn_like() * 0.3;
        }
    }
    (store, model)
}

/// As many documents, the last without a word, and the same as word counts `[B, V]`.
fn documents(count: u32) -> (BagOfWordsBatch, Tensor) {
    let document =
        |d: u32| (0..WORDS as u32).filter(move |w| (w + d).is_multiple_of(4)).map(move |w| (w, 1 + (w * d) % 5));
    let mut documents: Vec<Vec<(u32, u32)>> = (0..count).map(|d| document(d).collect()).collect();
    documents.last_mut().unwrap().clear();
    let counts = Tensor::zeros([i64::from(count), WORDS], (Kind::Float, Device::Cpu));
    for (d, document) in documents.iter().enumerate() {
        for &(word, number) in document {
            let _ = counts.get(d as i64).get(i64::from(word)).fill_(f64::from(number));
        }
    }
    (BagOfWordsBatch::from_documents(&documents, Device::Cpu), counts)
}

fn models() -> Vec<TopicsTrainConfig> {
    let mut models = Vec::new();
    for family in [Family::Poisson, Family::Geometric, Family::NegativeBinomial] {
        models.push(config(family, Inference::Explicit, &[6], 16));
        models.push(config(family, Inference::Explicit, &[5, 3], 4));
        models.push(config(family, Inference::Explicit, &[4], 2));
    }
    models.push(config(Family::Poisson, Inference::Implicit, &[5, 3, 2], 8));
    models
}

#[test]
fn exported_encoders_compute_what_the_library_infers() {
    let _guard = seeded(4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topics.pt");
    let python = python("running exported encoders");
    let mut worst = 0f64;
    for config in models() {
        let what = format!("{} {} {:?} {}", config.family, config.inference, config.topics, config.truncation);
        let (store, model) = model(&config);
        gengs::export::write_topics_torchscript(&path, &store, &config).unwrap();
        let mut module = CModule::load(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        module.set_eval();
        for size in [1, 2, 9] {
            let (bags, counts) = documents(size);
            let exact = doubles(&Tensor::cat(&model.infer(&bags).unwrap(), -1));
            let columns: i64 = config.topics.iter().sum();
            for counts in [&counts, &counts.to_kind(Kind::Int64)] {
                let found =
                    tch::no_grad(|| module.forward_ts(&[counts])).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!((found.size(), found.kind()), (vec![i64::from(size), columns], Kind::Float), "{what}");
                for (found, exact) in doubles(&found).into_iter().zip(&exact) {
                    let error = (found - exact).abs() / exact;
                    worst = worst.max(error);
                    assert!(error < 1e-6, "{what}: {found} instead of {exact}, off by {error:e}");
                }
            }
        }
        let Some(python) = &python else { continue };
        let code = "
import json, sys, torch
extra = {'gengs.json': ''}
m = torch.jit.load(sys.argv[1], _extra_files=extra)
described = json.loads(extra['gengs.json'])
assert all(getattr(m, k) == v for k, v in described.items() if k != 'topics'), described
assert {name for name, _ in m.named_buffers()} == {n for n in m.state_dict() if n == 'idf' or 'running' in n}
with torch.no_grad():
    print(json.dumps([described, m(torch.tensor(json.loads(sys.argv[2]))).flatten().tolist()]))";
        let (bags, counts) = documents(5);
        let given = serde_json::to_string(&Vec::<Vec<f32>>::try_from(&counts).unwrap()).unwrap();
        let printed = ask(python, &["-c", code, path.to_str().unwrap(), &given]);
        let (described, found): (Value, Vec<f64>) = serde_json::from_str(&printed).unwrap();
        let exact = doubles(&Tensor::cat(&model.infer(&bags).unwrap(), -1));
        assert_eq!(found.len(), exact.len());
        for (found, exact) in found.into_iter().zip(exact) {
            assert!((found - exact).abs() < 1e-6 * exact, "{what} in Python: {found} instead of {exact}");
        }
        assert_eq!(described["topics"], serde_json::json!(config.topics));
        assert_eq!(described["family"], config.family.to_string());
        assert_eq!(
            (&described["truncation"], &described["vocabulary_size"]),
            (&config.truncation.into(), &WORDS.into())
        );
    }
    println!("relative errors up to {worst:.1e}");
}

fn topics(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("gengs-topics").unwrap().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Digits would end a word.
const LETTERS: [char; 7] = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

#[test]
fn the_binary_exports_a_run_without_its_corpus() {
    let _guard = seeded(4);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (corpus, run, script, plain) = (path("texts.txt"), path("run"), path("a.pt"), path("a.safetensors"));
    let lines: Vec<String> =
        (0..60).map(|i| format!("pear{0}{0} plum{1}{1}", LETTERS[i % 3], LETTERS[i % 7])).collect();
    std::fs::write(&corpus, lines.join("\n")).unwrap();
    let small =
        ["--topics", "4,2", "--hidden", "8", "--epochs", "1", "--family", "geometric", "--quiet", "--threads", "1"];
    let (code, _, message) = topics(&[&["train", "--corpus", &corpus, "--out", &run][..], &small].concat());
    assert_eq!(code, Some(0), "{message}");
    std::fs::remove_file(&corpus).unwrap();

    assert_eq!(topics(&["export", "--run", &run, "--torchscript", &script]).0, Some(0));
    let (code, said, _) = topics(&["export", "--run", &run, "--checkpoint", "last", "--safetensors", &plain, "--json"]);
    assert_eq!(
        (code, &serde_json::from_str::<Value>(&said).unwrap()["safetensors"]),
        (Some(0), &plain.as_str().into())
    );
    let (_, config) = RunFolder::open::<TopicsTrainConfig>(Path::new(&run)).unwrap();
    let read = |name: &str| weights::read_topics(&config, &folder.path().join(name), Device::Cpu).unwrap();
    let weights::FromFile { store, model, .. } = read("run/best.safetensors");
    let words = store.variables()["words.bias"].numel() as i64;
    assert_eq!(
        numbers(read("a.safetensors").store.variables()),
        numbers(read("run/last.safetensors").store.variables())
    );
    let counts = Tensor::randint(3, [5, words], (Kind::Float, Device::Cpu));
    let documents: Vec<Vec<(u32, u32)>> = Vec::<Vec<f32>>::try_from(&counts)
        .unwrap()
        .iter()
        .map(|row| (0..).zip(row).filter(|&(_, &count)| count > 0.0).map(|(w, &count)| (w, count as u32)).collect())
        .collect();
    let exact = Tensor::cat(&model.infer(&BagOfWordsBatch::from_documents(&documents, Device::Cpu)).unwrap(), -1);
    let found = CModule::load(&script).unwrap().forward_ts(&[&counts]).unwrap();
    let error = ((found - &exact) / exact).abs().max().double_value(&[]);
    assert!(error < 1e-6, "{error:e}");

    assert_eq!(topics(&["export", "--run", &run]).0, Some(2));
    assert_eq!(topics(&["export", "--run", &run, "--torchscript", &script, "--safetensors", &plain]).0, Some(2));
    let (code, _, message) = topics(&["export", "--run", &run, "--torchscript", &path("no/such/folder.pt")]);
    assert!(code == Some(1) && message.contains("folder.pt: cannot be written"), "{message}");
    let (code, _, message) = topics(&["export", "--run", &path("nothing"), "--safetensors", &plain]);
    assert!(code == Some(1) && message.lines().count() == 1, "{message}");
}
