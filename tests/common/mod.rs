//! What the tests share: a lock on libtorch's global generator, comparisons, the families.
#![allow(dead_code)]

pub mod plain;

use gengs::models::Family;
use gengs::prelude::*;
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

/// A family by name, from its parameters; those before the first that takes a gradient are whole numbers.
pub fn family(name: &str, parameters: &[Tensor]) -> Box<dyn Distribution> {
    try_family(name, parameters).unwrap()
}

pub fn try_family(name: &str, p: &[Tensor]) -> gengs::Result<Box<dyn Distribution>> {
    let whole = |t: &Tensor| t.double_value(&[]) as i64;
    Ok(match name {
        "poisson" => Box::new(Poisson::new(&p[0])?),
        "geometric" => Box::new(Geometric::new(&p[0])?),
        "negative-binomial" => Box::new(NegativeBinomial::new(&p[0], &p[1])?),
        "binomial" => Box::new(Binomial::new(whole(&p[0]), &p[1])?),
        "bernoulli" => Box::new(Bernoulli::new(&p[0])?),
        "categorical" => Box::new(Categorical::new(&Tensor::stack(p, -1))?),
        "beta-binomial" => Box::new(BetaBinomial::new(whole(&p[0]), &p[1], &p[2])?),
        "hypergeometric" => Box::new(Hypergeometric::new(&p[1], &p[2], whole(&p[0]))?),
        "zero-inflated-poisson" => Box::new(ZeroInflatedPoisson::new(&p[0], &p[1])?),
        "conway-maxwell-poisson" => Box::new(ConwayMaxwellPoisson::new(&p[0], &p[1])?),
        "skellam" => Box::new(Skellam::new(&p[0], &p[1])?),
        "discretized-logistic" => Box::new(DiscretizedLogistic::new(&p[0], &p[1])?),
        "zipf" => Box::new(Zipf::new(whole(&p[0]), &p[1])?),
        "mixture" => {
            let components: Vec<Box<dyn Distribution>> =
                vec![Box::new(Poisson::new(&p[2])?), Box::new(Geometric::new(&p[3])?)];
            Box::new(Mixture::new(&Tensor::stack(&p[..2], -1), components)?)
        }
        // The logarithmic distribution, P(X = k) = -p^k / (k log(1 - p)), as a user would write it.
        "custom" => {
            let log_pmf = |p: &[Tensor], k: &Tensor| k * p[0].log() - k.log() - p[0].neg().log1p().neg().log();
            Box::new(Custom::builder("Logarithmic", Support::from(1)).parameter("p", &p[0]).build(log_pmf)?)
        }
        _ => panic!("no family {name}"),
    })
}

/// The families, each with parameters of a typical law and the index of the first that takes a gradient.
pub const FAMILIES: [(&str, &[f64], usize); 15] = [
    ("poisson", &[3.0], 0),
    ("geometric", &[0.3], 0),
    ("negative-binomial", &[3.0, 0.5], 0),
    ("binomial", &[9.0, 0.4], 1),
    ("bernoulli", &[0.35], 0),
    ("categorical", &[0.1, -0.4, 0.9, 0.3, -1.0], 0),
    ("beta-binomial", &[9.0, 2.0, 3.0], 1),
    ("hypergeometric", &[6.0, 20.0, 9.0], 1),
    ("zero-inflated-poisson", &[0.3, 4.0], 0),
    ("conway-maxwell-poisson", &[4.0, 1.5], 0),
    ("skellam", &[3.0, 1.5], 0),
    ("discretized-logistic", &[1.3, 0.8], 0),
    ("zipf", &[12.0, 1.4], 1),
    ("mixture", &[0.2, -0.4, 1.5, 0.4], 0),
    ("custom", &[0.6], 0),
];

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
