//! What the tests share: a lock on libtorch's global generator, comparisons, the families.
#![allow(dead_code)]

pub mod npz;
pub mod plain;
pub mod python;

use gengs::distributions::{self, FamilyEntry};
use gengs::models::Family;
use gengs::prelude::*;
use gengs::random::Held;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Kind, Tensor};

/// Seeds libtorch's generator, which the whole process shares, and keeps it until the guard is dropped. The test's tensors are computed on its own thread:
/// tests run side by side already, and libtorch's threads would spin in each other's way.
pub fn seeded(seed: i64) -> Held {
    let held = gengs::random::seeded(seed);
    tch::set_num_threads(1);
    held
}

/// Lets the test's tensors be computed on its own thread: tests run side by side already, and libtorch's threads would spin in each other's way.
pub fn on_one_thread() {
    tch::set_num_threads(1);
}

/// Whether `GENGS_THOROUGH=1` asks for all that there is.
pub fn is_thorough() -> bool {
    std::env::var_os("GENGS_THOROUGH").is_some_and(|value| value == "1")
}

/// How many draws a statistical test makes: a twentieth of those of a thorough run.
pub fn draws(thorough: i64) -> i64 {
    if is_thorough() { thorough } else { thorough / 20 }
}

/// Writes a checkpoint anew as it was before checkpoints held settings.
pub fn forget_settings(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    metadata.remove("gengs.settings").unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(metadata["gengs.progress"].as_bytes());
    for (name, view) in file.iter().collect::<BTreeMap<_, _>>() {
        checksum.update(format!("\n{name} {:?}\n", view.shape()).as_bytes());
        checksum.update(view.data());
    }
    metadata.insert("gengs.crc32".into(), format!("{:08x}", checksum.finalize()));
    std::fs::write(path, safetensors::serialize(file.iter(), Some(metadata)).unwrap()).unwrap();
}

pub fn doubles(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

pub fn double(tensor: &Tensor) -> f64 {
    tensor.to_kind(Kind::Double).double_value(&[])
}

/// Fails unless the two agree to `bound`, absolutely or relatively.
#[track_caller]
pub fn close(what: &str, found: f64, expected: f64, bound: f64) {
    let error = (found - expected).abs();
    assert!(error <= bound * expected.abs().max(1.0), "{what}: {found} instead of {expected}, off by {error:e}");
}

/// A family by name, from its parameters; those before the first that takes a gradient are whole numbers.
pub fn family(name: &str, parameters: &[Tensor]) -> Box<dyn Distribution> {
    try_family(name, parameters).unwrap()
}

pub fn try_family(name: &str, p: &[Tensor]) -> gengs::Result<Box<dyn Distribution>> {
    if name == "custom" {
        // The logarithmic distribution, P(X = k) = -p^k / (k log(1 - p)), as a user would write it.
        let log_pmf = |p: &[Tensor], k: &Tensor| k * p[0].log() - k.log() - p[0].neg().log1p().neg().log();
        return Ok(Box::new(Custom::builder("Logarithmic", Support::from(1)).parameter("p", &p[0]).build(log_pmf)?));
    }
    FamilyEntry::find(name)?.distribution(p)
}

/// The families, each with parameters of a typical law and the index of the first that takes a gradient.
pub const FAMILIES: [(&str, &[f64], usize); distributions::FAMILIES.len() + 1] = {
    let mut families: [(&str, &[f64], usize); distributions::FAMILIES.len() + 1] =
        [("custom", &[0.6], 0); distributions::FAMILIES.len() + 1];
    let mut i = 0;
    while i < distributions::FAMILIES.len() {
        families[i] = {
            let entry = distributions::FAMILIES[i];
            (entry.name, entry.typical, entry.whole)
        };
        i += 1;
    }
    families
};

/// An interval that holds all but 1e-12 of the mass of the typical laws.
pub fn wide_window(law: &dyn Distribution) -> (i64, i64) {
    let support = law.support();
    (support.lowest.unwrap_or(-60), support.highest.unwrap_or(150))
}

/// The families that a latent of the VAE may have.
pub const LATENT_FAMILIES: [Family; 6] = [
    Family::Poisson,
    Family::Geometric,
    Family::NegativeBinomial,
    Family::Binomial,
    Family::Bernoulli,
    Family::Categorical,
];
