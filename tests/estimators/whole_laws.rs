//! Draws without a window: exact, with the slopes and the KL that a wide window has, and a function of the key alone.

use crate::common::{close, double, doubles, draws, family};
use crate::fini::slopes;
use gengs::prelude::*;
use gengs::relaxation::Order;
use gengs::sampler::{NoiseKey, OnePass};
use tch::{Device, Kind, Tensor};

const ORDERS: [Order; 3] = [Order::First, Order::Second, Order::Third];

/// Families with their fixed parameters and the one that is differentiated.
const LAWS: [(&str, &[f64], f64); 17] = [
    ("poisson", &[], 0.05),
    ("poisson", &[], 3.0),
    ("poisson", &[], 9.9),
    ("poisson", &[], 10.1),
    ("poisson", &[], 47.0),
    ("geometric", &[], 0.3),
    ("geometric", &[], 0.02),
    ("bernoulli", &[], 0.35),
    ("binomial", &[12.0], 0.1),
    ("binomial", &[12.0], 0.9),
    ("binomial", &[60.0], 0.45),
    ("binomial", &[200.0], 0.93),
    ("binomial", &[1000.0], 0.2),
    ("negative-binomial", &[3.0], 0.4),
    ("negative-binomial", &[0.2], 0.6),
    ("negative-binomial", &[1.0], 0.7),
    ("negative-binomial", &[25.0], 0.8),
];

fn law(name: &str, fixed: &[f64], leaf: &Tensor) -> Box<dyn Distribution> {
    let fixed = fixed.iter().map(|&value| Tensor::from(value));
    family(name, &fixed.chain([leaf.shallow_clone()]).collect::<Vec<_>>())
}

/// The share of draws below each of some counts is the distribution function there, within four standard errors.
#[test]
fn counts_follow_their_law() {
    let n = draws(2_000_000);
    let large = [("poisson", &[][..], 1e6), ("poisson", &[], 1e3), ("binomial", &[1_000_000.0], 0.3)];
    for (number, (name, fixed, value)) in LAWS.into_iter().chain(large).enumerate() {
        let rows = Tensor::full([n], value, (Kind::Double, Device::Cpu));
        let draw = OnePass::untruncated(Order::First)
            .rsample(law(name, fixed, &rows).as_ref(), NoiseKey::new(number as u64, 7))
            .unwrap();
        let one = law(name, fixed, &Tensor::from(value));
        let (mean, deviation) = (double(&one.mean()), double(&one.variance()).sqrt());
        let z = draw.z;
        assert!(doubles(&z).iter().all(|z| *z >= 0.0 && z.fract() == 0.0), "{name}{fixed:?} {value}");
        let bias = double(&z.mean(Kind::Double)) - mean;
        assert!(bias.abs() < 4.0 * deviation / (n as f64).sqrt(), "{name}{fixed:?} {value}: mean off by {bias}");
        for deviations in [-2.5, -1.5, -0.7, -0.2, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0] {
            let k = (mean + deviations * deviation).round() as i64;
            if k < 1 {
                continue;
            }
            let below = double(&one.log_tails(k).unwrap().0).exp();
            let found = double(&z.lt(k as f64).to_kind(Kind::Double).mean(Kind::Double));
            let error = (below * (1.0 - below) / n as f64).sqrt();
            // Of a few expected draws, a normal law says little.
            let allowed = 4.0 * error + 4.0 / n as f64;
            assert!((found - below).abs() < allowed, "{name}{fixed:?} {value}: {found} instead of {below} below {k}");
        }
    }
}

/// At each count that was drawn, the slope is the one of the law in a window that holds all but 1e-13 of it.
#[test]
fn slopes_are_those_of_a_wide_window() {
    for (name, fixed, value) in LAWS.into_iter().filter(|(name, fixed, _)| *name != "binomial" || fixed[0] < 500.0) {
        let one = law(name, fixed, &Tensor::from(value));
        let (mean, deviation) = (double(&one.mean()), double(&one.variance()).sqrt());
        let highest = one.support().highest.unwrap_or((mean + 40.0 * deviation + 60.0) as i64);
        for order in ORDERS {
            let expected = slopes(|leaf| law(name, fixed, leaf), value, order, (0, highest));
            let leaf = Tensor::full([400], value, (Kind::Double, Device::Cpu)).set_requires_grad(true);
            let draw =
                OnePass::untruncated(order).rsample(law(name, fixed, &leaf).as_ref(), NoiseKey::new(3, 1)).unwrap();
            let found = Tensor::run_backward(&[draw.z.sum(Kind::Double)], &[&leaf], false, false).remove(0);
            for (z, found) in doubles(&draw.z).into_iter().zip(doubles(&found)) {
                let expected = expected[z as usize];
                let bound = 1e-7 * expected.abs().max(expected_size(one.as_ref(), value));
                assert!(
                    (found - expected).abs() < bound,
                    "{name}{fixed:?} {value} {order:?} at {z}: {found}, {expected}"
                );
            }
        }
    }
}

/// How fast the mean moves with the parameter, roughly: the size that slopes have.
fn expected_size(law: &dyn Distribution, value: f64) -> f64 {
    double(&law.variance()) / value
}

/// The second parameter of the negative binomial.
#[test]
fn the_shape_has_its_slope_too() {
    for (r, p) in [(0.7, 0.4), (3.0, 0.6), (12.0, 0.3)] {
        let of =
            |count: &Tensor| Box::new(NegativeBinomial::new(count, &Tensor::from(p)).unwrap()) as Box<dyn Distribution>;
        for order in ORDERS {
            let expected = slopes(of, r, order, (0, 200));
            let leaf = Tensor::full([300], r, (Kind::Double, Device::Cpu)).set_requires_grad(true);
            let draw = OnePass::untruncated(order).rsample(of(&leaf).as_ref(), NoiseKey::new(4, 1)).unwrap();
            let found = Tensor::run_backward(&[draw.z.sum(Kind::Double)], &[&leaf], false, false).remove(0);
            for (z, found) in doubles(&draw.z).into_iter().zip(doubles(&found)) {
                close("slope in the shape", found, expected[z as usize], 1e-7);
            }
        }
    }
}

/// The KL and its gradient: closed forms within a family, sums in own windows elsewhere.
#[test]
fn the_kl_is_that_of_a_wide_window() {
    let priors: [(&str, &[f64], f64); 5] = [
        ("poisson", &[], 2.0),
        ("geometric", &[], 0.4),
        ("binomial", &[12.0], 0.3),
        ("negative-binomial", &[3.0], 0.5),
        ("bernoulli", &[], 0.6),
    ];
    for (name, fixed, value) in LAWS {
        let leaf = Tensor::from_slice(&[value; 2]).set_requires_grad(true);
        let q = law(name, fixed, &leaf);
        let one = law(name, fixed, &Tensor::from(value));
        let (mean, deviation) = (double(&one.mean()), double(&one.variance()).sqrt());
        for (prior_name, prior_fixed, prior_value) in priors {
            let prior = law(prior_name, prior_fixed, &Tensor::from(prior_value));
            let highest = |law: &dyn Distribution| law.support().highest.unwrap_or(i64::MAX);
            if highest(prior.as_ref()) < highest(one.as_ref()) {
                continue;
            }
            let hi = highest(one.as_ref()).min((mean + 40.0 * deviation + 60.0) as i64);
            let window = Truncation::between(0, hi);
            let wide = |law: &dyn Distribution| TruncatedDistribution::new(law, &window.allow_low_mass()).unwrap();
            if highest(prior.as_ref()) < hi {
                continue;
            }
            let expected = wide(q.as_ref()).kl(&wide(prior.as_ref())).unwrap();
            let found = OnePass::untruncated(Order::Second)
                .kl_to_law(prior.as_ref())
                .unwrap()
                .rsample(q.as_ref(), NoiseKey::new(0, 0))
                .unwrap()
                .kl
                .unwrap();
            let slope = |kl: &Tensor| {
                doubles(&Tensor::run_backward(&[kl.sum(Kind::Double)], &[&leaf], true, false).remove(0))[0]
            };
            let what = format!("{name}{fixed:?} {value} to {prior_name}{prior_fixed:?} {prior_value}");
            let (found_slope, expected_slope) = (slope(&found), slope(&expected));
            // A window that leaves out 1e-9 leaves out of the sum what log ratios far out make of it.
            close(&what, doubles(&found)[0], doubles(&expected)[0], 1e-6);
            close(&format!("slope, {what}"), found_slope, expected_slope, 1e-4);
        }
    }
}

/// On one thread and on two, whole and in parts, in float32 and float64, the counts are the same.
#[test]
fn counts_are_a_function_of_the_key() {
    let rates = (Tensor::arange(3 * 1100, (Kind::Double, Device::Cpu)) * 0.013).reshape([3, 1100]) + 0.01;
    let rates = rates.to_kind(Kind::Float).to_kind(Kind::Double);
    let sampler = OnePass::untruncated(Order::Third);
    let at = |rates: &Tensor, key: NoiseKey| sampler.rsample(&Poisson::new(rates).unwrap(), key).unwrap().z;
    let key = NoiseKey::new(9, 4);
    let _guard = crate::common::seeded(0);
    let whole = at(&rates, key);
    tch::set_num_threads(2);
    assert!(at(&rates, key).equal(&whole));
    tch::set_num_threads(1);
    let below = at(&rates.narrow(0, 1, 2), NoiseKey { first_row: 1, ..key });
    assert!(below.equal(&whole.narrow(0, 1, 2)));
    assert!(at(&rates.to_kind(Kind::Float), key).to_kind(Kind::Double).equal(&whole));
    assert!(!at(&rates, NoiseKey::new(9, 5)).equal(&whole));
    assert_eq!(at(&rates.narrow(0, 0, 0), key).size(), [0, 1100]);
}

#[test]
fn other_laws_and_logits_are_refused_in_a_sentence() {
    let sampler = OnePass::untruncated(Order::Second);
    let zipf = Zipf::new(9, &Tensor::from(1.2)).unwrap();
    let error = sampler.rsample(&zipf, NoiseKey::new(0, 0)).unwrap_err().to_string();
    assert!(error.contains("law of draws without a window is Zipf"), "{error}");
    let logits = Tensor::zeros([3], (Kind::Double, Device::Cpu));
    let error = sampler.rsample(&logits, NoiseKey::new(0, 0)).unwrap_err().to_string();
    assert!(error.contains("free logits have the window of their atoms"), "{error}");
    let prior = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    assert!(sampler.kl_to(&prior).is_err());
}
