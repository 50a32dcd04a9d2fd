//! Files that Python made, and Python itself, where `GENGS_PYTHON` names one with torch 2.11 and safetensors.

use super::doubles;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::Tensor;

/// A file under `tests/fixtures/weights`, made by `tests/oracles/weights.py`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

/// Shapes and numbers by name.
pub fn numbers(tensors: impl IntoIterator<Item = (String, Tensor)>) -> BTreeMap<String, (Vec<i64>, Vec<f64>)> {
    tensors.into_iter().map(|(name, tensor)| (name, (tensor.size(), doubles(&tensor)))).collect()
}

/// The Python to ask, if there is one; else says so.
pub fn python(what: &str) -> Option<PathBuf> {
    let python = std::env::var_os("GENGS_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("skipped: {what}, since GENGS_PYTHON names no Python with torch");
    }
    python
}

/// Runs Python, and returns what it prints.
pub fn ask(python: &Path, arguments: &[&str]) -> String {
    let output = Command::new(python).args(arguments).env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
