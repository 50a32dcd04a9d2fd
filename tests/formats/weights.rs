//! Weights that come from PyTorch. The files under `tests/fixtures/weights` were made by `tests/oracles/weights.py`; where `GENGS_PYTHON` names
//! a Python with torch 2.11, the commands that messages give are run.

use crate::common::doubles;
use crate::common::python::{fixture, numbers, python};
use gengs::training::{Checkpoint, Progress, weights};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

fn read(name: &str) -> gengs::Result<BTreeMap<String, Tensor>> {
    Ok(weights::read(&fixture(name), Device::Cpu)?.into_iter().collect())
}

/// What Python had in memory when it wrote the files: shapes and numbers by name.
fn expected(group: &str) -> BTreeMap<String, (Vec<i64>, Vec<f64>)> {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all[group].clone()).unwrap()
}

#[test]
fn every_way_to_save_a_state_dict_is_read() {
    let files =
        ["state_dict.safetensors", "state_dict.pt", "dict.pt", "protocol4.pt", "legacy.pt", "scripted.pt", "traced.pt"];
    for name in files {
        assert_eq!(numbers(read(name).unwrap()), expected("weights"), "{name}");
    }
    let parameters = read("parameters.pt").unwrap();
    assert_eq!(parameters.len(), 6);
    let weights = expected("weights");
    assert!(numbers(parameters).into_iter().all(|(name, found)| weights[&name] == found));
}

#[test]
fn numbers_of_every_kind_are_read_in_their_kind() {
    let kinds = [
        ("float64", Kind::Double),
        ("float32", Kind::Float),
        ("float16", Kind::Half),
        ("bfloat16", Kind::BFloat16),
        ("int64", Kind::Int64),
        ("int32", Kind::Int),
        ("int16", Kind::Int16),
        ("int8", Kind::Int8),
        ("uint8", Kind::Uint8),
        ("bool", Kind::Bool),
    ];
    for file in ["kinds.safetensors", "kinds.pt"] {
        let found = read(file).unwrap();
        assert!(kinds.iter().all(|(name, kind)| found[*name].kind() == *kind), "{file}");
        assert_eq!(numbers(found), expected("kinds"), "{file}");
    }
}

#[test]
fn views_of_a_storage_are_read_as_the_tensors_that_they_are() {
    assert_eq!(numbers(read("views.pt").unwrap()), expected("views"));
}

/// Files that hold something else, with words of the message.
const REFUSED: [(&str, &str, &str); 5] = [
    ("nested.pt", "weights lie under 'model'", "weights_only=True)['model']"),
    ("legacy-nested.pt", "weights lie under 'model'", "weights_only=True)['model']"),
    ("mixed.pt", "other things beside tensors", "weights_only=True).items()"),
    ("whole.pt", "whole pickled module of class __main__.Net", "weights_only=False).state_dict()"),
    ("whole-sequential.pt", "torch.nn.modules.container.Sequential", "weights_only=False).state_dict()"),
];

#[test]
fn what_is_refused_comes_with_the_command_that_converts_it() {
    let python = python("running those commands");
    for (name, what, code) in REFUSED {
        let message = read(name).unwrap_err().to_string();
        assert!(message.contains(what) && message.contains(code), "{message}");
        assert!(message.contains(name) && message.lines().count() == 1, "{message}");
        let Some(python) = &python else { continue };

        // The command, as a user pastes it, on a copy whose name a shell would take apart.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("it's $HOME {name}"));
        std::fs::copy(fixture(name), &path).unwrap();
        let message = weights::read(&path, Device::Cpu).unwrap_err().to_string();
        let command = message.split("convert it with: python ").nth(1).unwrap();
        let command = format!("'{}' {}", python.display(), command.replace("from SCRIPT ", "from weights "));
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles");
        let output = Command::new("sh").args(["-c", &command]).env("PYTHONPATH", oracles).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let converted = path.with_file_name(format!("it's $HOME {}-weights.pt", name.trim_end_matches(".pt")));
        let found: BTreeMap<_, _> = weights::read(&converted, Device::Cpu).unwrap().into_iter().collect();
        if name == "whole-sequential.pt" {
            assert_eq!(found.keys().collect::<Vec<_>>(), ["0.bias", "0.weight"]);
        } else {
            assert_eq!(numbers(found), expected("weights"), "{name}");
        }
    }
    let message = read("tensor.pt").unwrap_err().to_string();
    assert!(message.contains("one tensor without a name"), "{message}");
    let message = read("expected.json").unwrap_err().to_string();
    assert!(message.contains("no weights are found") && message.contains("expected.json"), "{message}");
    let message = read("nothing.pt").unwrap_err().to_string();
    assert!(message.contains("nothing.pt"), "{message}");
}

/// Every stored file, whole.
fn files() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    let paths = entries.filter(|path| path.extension().is_some_and(|end| end != "json"));
    let mut files: Vec<_> = paths
        .filter(|path| !path.ends_with("decoder.pt"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_file_that_ends_early_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.pt");
    for (name, bytes) in files() {
        let step = (bytes.len() / 200).max(1);
        for length in (0..bytes.len()).step_by(step).chain(bytes.len().saturating_sub(30)..bytes.len()) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = weights::read(&path, Device::Cpu).expect_err(&format!("{name}, {length} bytes")).to_string();
            assert!(error.contains("short.pt") && error.lines().count() == 1, "{name}: {error}");
        }
    }
}

/// What proptest does to bytes: bits turned, bytes replaced, bytes taken out.
type Changes = Vec<(prop::sample::Index, u8, u8)>;

fn changed(bytes: &[u8], changes: &Changes) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, byte, what) in changes {
        let at = place.index(bytes.len());
        match what {
            0 => bytes[at] ^= 1 << (byte % 8),
            1 => bytes[at] = *byte,
            2 => bytes[at] = if *byte < 128 { 0xff } else { 0 },
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

/// Reads `cases` files that `mutate` makes of a choice and changes; says how many could still be read.
fn read_mutations(what: &str, cases: u32, mutate: impl Fn(&prop::sample::Index, &Changes) -> Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutated.pt");
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change, 1..6));
    let read = std::cell::Cell::new(0);
    let outcome = runner.run(&strategy, |(choice, changes)| {
        std::fs::write(&path, mutate(&choice, &changes)).unwrap();
        match weights::read(&path, Device::Cpu) {
            Ok(_) => read.set(read.get() + 1),
            Err(error) => prop_assert!(error.to_string().contains("mutated.pt"), "{error}"),
        }
        Ok(())
    });
    outcome.unwrap();
    println!("{} of {cases} {what} were read", read.get());
}

#[test]
fn a_mutated_file_is_read_or_is_an_error() {
    let files = files();
    read_mutations("mutated files", 6000, |choice, changes| changed(&files[choice.index(files.len())].1, changes));
}

/// Past the archive's checksums: the entries change, and the checksums with them.
#[test]
fn a_mutated_entry_of_an_archive_is_read_or_is_an_error() {
    let mut archives = Vec::new();
    for (_, bytes) in files().into_iter().filter(|(_, bytes)| bytes.starts_with(b"PK")) {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut entries = Vec::new();
        for i in 0..archive.len() {
            let mut entry = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            entries.push((entry.name().split_once('/').unwrap().1.to_string(), bytes));
        }
        // Debugging tables are not read.
        entries.retain(|(name, bytes)| !name.ends_with("debug_pkl") && !bytes.is_empty());
        archives.push(entries);
    }
    read_mutations("mutated archives", 6000, |choice, changes| {
        let mut entries = archives[choice.index(archives.len())].clone();
        // The pickle, mostly: it is what asks for things.
        let place = match changes.len() {
            1 => changes[0].0.index(entries.len()),
            _ => entries.iter().position(|(name, _)| name == "data.pkl").unwrap(),
        };
        entries[place].1 = changed(&entries[place].1, changes);
        let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        zipped(&entries, zip::CompressionMethod::Stored)
    });
}

/// A zip archive with these entries under one folder.
fn zipped(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::FileOptions::default().compression_method(method);
        writer.start_file(format!("a/{name}"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The pickle of `{"a": tensor}` with a float32 storage `count` long, and so many expanded rows of it.
fn expanded(count: i32, rows: i32) -> Vec<u8> {
    let int = |x: i32| [b"J".as_slice(), &x.to_le_bytes()].concat();
    [
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n".as_slice(),
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
        &int(count),
        b"tQK\x00(",
        &int(rows),
        &int(count),
        b"t(K\x00K\x01t\x89NtRs.",
    ]
    .concat()
}

#[test]
fn small_files_that_ask_for_much_memory_are_refused() {
    use zip::CompressionMethod::{Deflated, Stored};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pt");
    let zeros = vec![0u8; 400];
    let modest = zipped(&[("data.pkl", &expanded(100, 5)), ("data/0", &zeros)], Stored);
    std::fs::write(&path, modest).unwrap();
    assert_eq!(weights::read(&path, Device::Cpu).unwrap()[0].1.size(), [5, 100]);

    let long = vec![0u8; 100 << 20];
    let header = |size: u64| {
        [&size.to_le_bytes()[..], b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"].concat()
    };
    let values = [&vec![b'N'; 1 << 20][..], b"."].concat();
    let copies = [b"(N".as_slice(), &[b'2'; 400_000], b"e"].concat();
    let copies = [b"]", copies.as_slice(), &copies, &copies, b"."].concat();
    let hostile: [(&str, Vec<u8>); 8] = [
        ("a view of 80 GB", zipped(&[("data.pkl", &expanded(100, 200_000_000)), ("data/0", &zeros)], Stored)),
        ("a storage of 8 GB", zipped(&[("data.pkl", &expanded(2_000_000_000, 1)), ("data/0", &zeros)], Stored)),
        ("a storage that inflates", zipped(&[("data.pkl", &expanded(25 << 20, 1)), ("data/0", &long)], Deflated)),
        ("a pickle that inflates", zipped(&[("data.pkl", &long)], Deflated)),
        ("a million values", zipped(&[("data.pkl", &values)], Stored)),
        ("a million elements", zipped(&[("data.pkl", &copies)], Stored)),
        ("a header of 2^60 bytes", header(1 << 60)),
        ("numbers that are not there", header(54)),
    ];
    for (what, bytes) in hostile {
        std::fs::write(&path, &bytes).unwrap();
        let before = std::time::Instant::now();
        let error = weights::read(&path, Device::Cpu).expect_err(what).to_string();
        assert!(error.contains("hostile.pt"), "{what}: {error}");
        println!("{what}: {error} ({:.2} s)", before.elapsed().as_secs_f64());
    }
}

/// A store with the variables of the fixtures' model, all NaN.
fn store(kind: Kind) -> VarStore {
    let mut store = VarStore::new(Device::Cpu);
    for (name, (shape, _)) in expected("weights") {
        let parts: Vec<&str> = name.split('.').collect();
        let (last, folders) = parts.split_last().unwrap();
        let path = folders.iter().fold(store.root(), |path, part| path / *part);
        let _ = path.var(last, &shape, tch::nn::Init::Const(f64::NAN));
    }
    match kind {
        Kind::Double => store.double(),
        Kind::Half => store.half(),
        _ => {}
    }
    store
}

#[test]
fn weights_are_loaded_into_a_model_in_its_own_kind() {
    let source = fixture("state_dict.pt");
    let tensors = weights::read(&source, Device::Cpu).unwrap();
    for kind in [Kind::Float, Kind::Double] {
        let store = store(kind);
        weights::load_into(&store, &tensors, &source).unwrap();
        assert_eq!(numbers(store.variables()), expected("weights"));
        assert!(store.variables().values().all(|variable| variable.kind() == kind));
    }
    // From other kinds of numbers into float32, rounded as PyTorch rounds.
    for kind in [Kind::Double, Kind::Half, Kind::BFloat16] {
        let store = store(Kind::Float);
        let other: Vec<_> = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.to_kind(kind))).collect();
        weights::load_into(&store, &other, &source).unwrap();
        for (name, variable) in store.variables() {
            assert_eq!(variable.kind(), Kind::Float);
            let given = tensors.iter().find(|(given, _)| *given == name).unwrap().1.to_kind(kind);
            assert_eq!(doubles(&variable), doubles(&given), "{name}");
        }
    }
}

#[test]
fn what_does_not_fit_is_listed_in_one_sentence_and_nothing_is_copied() {
    let source = fixture("state_dict.pt");
    let mut tensors = weights::read(&source, Device::Cpu).unwrap();
    let float = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    tensors.retain(|(name, _)| !name.starts_with("shared.0"));
    tensors.retain(|(name, _)| name != "encoder.2.weight");
    for (name, tensor) in &mut tensors {
        match name.as_str() {
            "encoder.0.weight" => *tensor = float(&[1, 4]),
            "offset" => *tensor = tensor.to_kind(Kind::Int64),
            _ => {}
        }
    }
    tensors.push(("extra".into(), float(&[1])));
    let store = store(Kind::Float);
    let message = weights::load_into(&store, &tensors, &source).unwrap_err().to_string();
    let expected = "state_dict.pt: its weights do not fit the model: it lacks encoder.2.weight, shared.0.0.bias, \
        shared.0.0.weight and 2 more; the model has no extra; of another shape: encoder.0.weight is [1, 4] and not [3, 4]; \
        of another kind: offset is Int64 and not Float";
    assert!(message.ends_with(expected), "{message}");
    assert!(store.variables().values().all(|variable| doubles(variable).iter().all(|x| x.is_nan())));
}

#[test]
fn our_own_checkpoints_give_their_parameters() {
    let store = store(Kind::Float);
    weights::load_into(&store, &weights::read(&fixture("dict.pt"), Device::Cpu).unwrap(), Path::new("")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let mut named = Checkpoint::contents(&store, &gengs::nn::Adam::new(&store, 1e-3).unwrap());
    named.push(("estimator.critic.0.weight".into(), Tensor::from(1f32)));
    Checkpoint::write(&path, &named, &Progress::default()).unwrap();
    assert_eq!(numbers(weights::read(&path, Device::Cpu).unwrap()), expected("weights"));
}

/// Names as wrapped models have them are those of the model.
#[test]
fn what_pytorch_puts_in_front_of_names_is_taken_off_and_said() {
    let source = fixture("state_dict.pt");
    let plain = weights::read(&source, Device::Cpu).unwrap();
    let renamed = |prefix: &str| -> Vec<(String, Tensor)> {
        plain.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.shallow_clone())).collect()
    };
    for prefix in ["module.", "_orig_mod.", "_orig_mod.module."] {
        let store = store(Kind::Float);
        let note = weights::load_into(&store, &renamed(prefix), &source).unwrap().unwrap();
        assert!(note.contains(&format!("'{prefix}' was taken off")) && note.contains("state_dict.pt"), "{note}");
        assert_eq!(numbers(store.variables()), expected("weights"));
    }
    assert_eq!(weights::load_into(&store(Kind::Float), &plain, &source).unwrap(), None);
    let message = weights::load_into(&store(Kind::Float), &renamed("model."), &source).unwrap_err().to_string();
    assert!(message.contains("the model has no model."), "{message}");
}

#[test]
fn kinds_that_are_not_read_and_lists_of_parts_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let header = r#"{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#;
    let float8 = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0, 1]].concat();
    // {'w': _rebuild_tensor_v3(storage 0, 0, (1,), (1,), False, {}, torch.float8_e4m3fn)}
    let pickle = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v3\n((X\x07\x00\x00\x00storagectorch\nUntypedStorage\n\
        X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00K\x01\x85K\x01\x85\x89}ctorch\nfloat8_e4m3fn\ntRs.";
    let saved = zipped(&[("data.pkl", pickle), ("data/0", &[0])], zip::CompressionMethod::Stored);
    let list = br#"{"metadata": {"total_size": 8}, "weight_map": {"a": "model-00002.safetensors", "b": "model-00001.safetensors"}}"#;
    for (name, bytes, parts) in [
        ("a.safetensors", float8, ["its tensor w holds numbers of the kind F8_E4M3", "load_file(sys.argv[1]).items()"]),
        ("a.pt", saved, ["of the kind float8_e4m3fn", "torch.load(sys.argv[1], weights_only=True)"]),
        ("model.safetensors.index.json", list.to_vec(), ["model-00001.safetensors, model-00002.", "weight_map"]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = weights::read(&path, Device::Cpu).unwrap_err().to_string();
        let parts = [&parts[..], &[name, "convert it with: python"]].concat();
        assert!(parts.iter().all(|part| message.contains(part)) && message.lines().count() == 1, "{message}");
        assert!(!message.contains("get it again"), "{message}");
    }
}
