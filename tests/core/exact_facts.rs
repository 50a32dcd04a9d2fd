//! Known moments of truncated laws, with the tail merged into the last atom.

use crate::common::{double, doubles, family};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

/// Family, parameters, atoms; mass of the last atom, mean, variance, entropy in nats.
type Fact = (&'static str, &'static [f64], i64, [f64; 4]);

const FACTS: [Fact; 7] = [
    ("poisson", &[2.0], 12, [8.31e-6, 2.0000, 2.0000, 1.7049]),
    ("poisson", &[3.0], 15, [3.40e-6, 3.0000, 3.0000, 1.9315]),
    ("poisson", &[20.0], 50, [3.15e-8, 20.0000, 20.0000, 2.9125]),
    ("geometric", &[0.25], 12, [4.224e-2, 2.8733, 9.0697, 2.1543]),
    ("geometric", &[0.5], 15, [6.10e-5, 0.9999, 1.9982, 1.3862]),
    ("negative-binomial", &[3.0, 0.5], 15, [2.09e-3, 2.9974, 5.9328, 2.1564]),
    ("negative-binomial", &[3.0, 0.6], 30, [3.03e-5, 4.4999, 11.2472, 2.4880]),
];

fn law(name: &str, parameters: &[f64], atoms: i64, kind: Kind) -> TruncatedDistribution {
    let tensors: Vec<Tensor> = parameters.iter().map(|&x| Tensor::full([], x, (kind, Device::Cpu))).collect();
    TruncatedDistribution::new(family(name, &tensors).as_ref(), &Truncation::right(atoms)).unwrap()
}

fn moments(q: &TruncatedDistribution) -> [f64; 4] {
    let last = q.log_weights().select(-1, q.len() - 1).exp();
    [double(&last), double(&q.mean()), double(&q.variance()), double(&q.entropy())]
}

#[test]
fn to_four_digits_in_float32() {
    for (name, parameters, atoms, facts) in FACTS {
        let found = moments(&law(name, parameters, atoms, Kind::Float));
        // The table has three digits of the mass and four decimals of the rest.
        let digit = 10f64.powf(facts[0].log10().floor() - 2.0);
        assert!((found[0] - facts[0]).abs() <= digit, "{name} {parameters:?}: mass {}", found[0]);
        for i in 1..4 {
            assert!((found[i] - facts[i]).abs() <= 1e-4, "{name} {parameters:?}: {found:?} instead of {facts:?}");
        }
    }
}

#[test]
fn to_eight_digits_in_float64_and_five_in_float32_against_plain_sums() {
    for (name, parameters, atoms, _) in FACTS {
        let expected = plain_sums(name, parameters, atoms);
        for (kind, bound) in [(Kind::Double, 1e-9), (Kind::Float, 1e-5)] {
            let found = moments(&law(name, parameters, atoms, kind));
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found / expected - 1.0).abs() < bound,
                    "{kind:?} {name} {parameters:?}: {found} instead of {expected}"
                );
            }
        }
    }
}

/// The same moments by the pmf's recursion in plain floating point: `p(k + 1) = p(k) r(k)`, tail summed to the end.
fn plain_sums(name: &str, parameters: &[f64], atoms: i64) -> [f64; 4] {
    let (first, ratio): (f64, Box<dyn Fn(f64) -> f64>) = match (name, parameters) {
        ("poisson", &[rate]) => ((-rate).exp(), Box::new(move |k| rate / (k + 1.0))),
        ("geometric", &[p]) => (p, Box::new(move |_| 1.0 - p)),
        ("negative-binomial", &[r, p]) => ((1.0 - p).powf(r), Box::new(move |k| p * (k + r) / (k + 1.0))),
        _ => panic!("no recursion for {name}"),
    };
    let mut weights = vec![0.0; atoms as usize];
    let mut p = first;
    for k in 0..5000 {
        weights[k.min(atoms as usize - 1)] += p;
        p *= ratio(k as f64);
    }
    let mean: f64 = weights.iter().enumerate().map(|(k, w)| w * k as f64).sum();
    let variance = weights.iter().enumerate().map(|(k, w)| w * (k as f64 - mean).powi(2)).sum();
    let entropy = -weights.iter().map(|w| w * w.ln()).sum::<f64>();
    [weights[atoms as usize - 1], mean, variance, entropy]
}

#[test]
fn weights_sum_to_one() {
    for (name, parameters, atoms, _) in FACTS {
        let total: f64 = doubles(&law(name, parameters, atoms, Kind::Double).log_weights().exp()).iter().sum();
        assert!((total - 1.0).abs() < 1e-12, "{name} {parameters:?}: {total}");
    }
}
