//! What the tests share: a lock on libtorch's global generator, comparisons, the families.
#![allow(dead_code)]

use gengs::distributions::{Bernoulli, Binomial, Categorical, Distribution, Geometric, NegativeBinomial, Poisson};
use gengs::models::Family;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Kind, Tensor};

/// Seeds libtorch's generator, which the whole process shares, and keeps it until the guard is dropped.
pub fn seeded(seed: i64) -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    guard
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

/// A family by name, from its continuous parameters; the last number of the binomial's is not one.
pub fn family(name: &str, parameters: &[Tensor]) -> Box<dyn Distribution> {
    match name {
        "poisson" => Box::new(Poisson::new(&parameters[0]).unwrap()),
        "geometric" => Box::new(Geometric::new(&parameters[0]).unwrap()),
        "negative-binomial" => Box::new(NegativeBinomial::new(&parameters[0], &parameters[1]).unwrap()),
        "binomial" => {
            let trials = parameters[0].double_value(&[]) as i64;
            Box::new(Binomial::new(trials, &parameters[1]).unwrap())
        }
        "bernoulli" => Box::new(Bernoulli::new(&parameters[0]).unwrap()),
        "categorical" => Box::new(Categorical::new(&Tensor::stack(parameters, -1)).unwrap()),
        _ => panic!("no family {name}"),
    }
}

/// The families, each with parameters of a typical law and the index of the first that takes a gradient.
pub const FAMILIES: [(&str, &[f64], usize); 6] = [
    ("poisson", &[3.0], 0),
    ("geometric", &[0.3], 0),
    ("negative-binomial", &[3.0, 0.5], 0),
    ("binomial", &[9.0, 0.4], 1),
    ("bernoulli", &[0.35], 0),
    ("categorical", &[0.1, -0.4, 0.9, 0.3, -1.0], 0),
];

/// The families that a latent of the VAE may have.
pub const LATENT_FAMILIES: [Family; 6] = [
    Family::Poisson,
    Family::Geometric,
    Family::NegativeBinomial,
    Family::Binomial,
    Family::Bernoulli,
    Family::Categorical,
];
