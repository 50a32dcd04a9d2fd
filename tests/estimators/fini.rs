//! Finite-order pathwise gradients: exact for polynomials, as closed forms and published standard deviations have it.

use crate::common::{FAMILIES, close, double, doubles, draws, family, seeded};
use gengs::distributions::FamilyEntry;
use gengs::estimators::{Estimator, EstimatorKind, Expectation, Fini};
use gengs::laboratory::{Measurement, ObjectiveKind, Problem, ProblemConfig, certify};
use gengs::prelude::*;
use gengs::relaxation::{FiniteOrder, Order};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tch::{Device, Kind, Tensor};

const ORDERS: [Order; 3] = [Order::First, Order::Second, Order::Third];
const KINDS: [EstimatorKind; 3] = [EstimatorKind::FiniOne, EstimatorKind::FiniTwo, EstimatorKind::FiniThree];

/// Parameters far and near: positive numbers over four orders of magnitude, probabilities close to both ends.
fn parameters(entry: &FamilyEntry, random: &mut ChaCha8Rng) -> Vec<f64> {
    let mut between = |lo: f64, hi: f64| random.random_range(lo..hi);
    let mut found = Vec::new();
    for i in 0..entry.typical.len() {
        let typical = entry.typical[i];
        found.push(match entry.parameter(i).split('[').next().unwrap_or_default() {
            "probs" | "gate" => 1.0 / (1.0 + between(-6.0, 6.0).exp()),
            "rate" | "rate1" | "rate2" | "concentration1" | "concentration0" | "scale" => between(-6.0, 3.5).exp(),
            "total_count" if entry.whole == 0 => between(-2.0, 3.0).exp(),
            "total_count" | "size" | "draws" => between(1.0, 30.0).floor(),
            "nu" => between(0.5, 2.0),
            "exponent" => between(-1.0, 3.0),
            "loc" => between(-20.0, 20.0),
            "population" => 30.0 + between(0.0, 20.0),
            "successes" => between(1.0, 30.0),
            _ => typical + between(-3.0, 3.0),
        });
    }
    found
}

/// The error of the enumerated gradient, relative to `sum_k |d pi_k f(c_k)|`, over random laws of every family.
#[test]
fn polynomials_have_their_exact_gradient_under_every_family() {
    let mut random = ChaCha8Rng::seed_from_u64(22);
    let _guard = seeded(0);
    let laws = if draws(1_000) == 1_000 { 1_000 } else { 15 };
    for (kind, bounds) in [(Kind::Double, [1e-9; 3]), (Kind::Float, [1e-4, 1e-4, 1e-3])] {
        let mut worst = 0.0f64;
        for entry in gengs::distributions::FAMILIES {
            let (mut proved, mut fallen) = (0, 0);
            while proved < laws {
                let config = ProblemConfig {
                    family: entry.name.into(),
                    parameters: parameters(entry, &mut random),
                    truncation: None,
                    latents: 1,
                    objective: ObjectiveKind::Constant,
                    target: 0.0,
                    kind,
                };
                let Ok(problem) = Problem::new(&config) else { continue };
                if problem.atoms() > 600 {
                    continue;
                }
                proved += 1;
                for (estimator, order) in KINDS.into_iter().zip(ORDERS) {
                    let how = Measurement { estimator, temperature: 1.0, samples: None, draws: 2, warm_up: 0, seed: 1 };
                    for certificate in certify(&problem, &how).unwrap() {
                        let proof = certificate.exact_degree.unwrap();
                        assert!(proof.error <= bounds[order as usize], "{config:?} {estimator}: {proof:?}");
                        worst = worst.max(proof.error);
                        fallen += i64::from(proof.degree < order.degree());
                    }
                }
            }
            // Orders fall where there are too few atoms, and as an exception.
            let few = ["bernoulli", "binomial", "beta-binomial", "hypergeometric", "zipf"].contains(&entry.name);
            assert!(few || fallen <= proved, "{}: {fallen} of {proved}", entry.name);
        }
        println!("{kind:?}: largest relative error {worst:.1e}");
    }
}

/// The slope `w(z)` at each atom of a law, in a parameter, by the surrogate at a sample of each.
pub fn slopes(
    law: impl Fn(&Tensor) -> Box<dyn Distribution>,
    value: f64,
    order: Order,
    window: (i64, i64),
) -> Vec<f64> {
    let n = window.1 - window.0 + 1;
    let leaf = Tensor::full([n], value, (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let truncation = Truncation::between(window.0, window.1).allow_low_mass();
    let q = TruncatedDistribution::new(law(&leaf).as_ref(), &truncation).unwrap();
    let f = |z: &Tensor| z.squeeze_dim(-1);
    let q_of_rows = TruncatedDistribution::from_logits(&q.log_weights().unsqueeze(1), window.0).unwrap();
    let expectation = Expectation::new(&q_of_rows, &f).unwrap();
    let index = Tensor::arange(n, (Kind::Int64, Device::Cpu)).reshape([1, n, 1]);
    let z = Fini::new(order).at_atoms(&expectation, &index).unwrap().unwrap().z;
    doubles(&Tensor::run_backward(&[z.sum(Kind::Double)], &[&leaf], false, false).remove(0))
}

/// Closed forms of He and Wu (2026) for untruncated laws: derivatives in log rate, logit p, log r.
#[test]
fn slopes_are_those_of_the_closed_forms() {
    let check = |what: &str, found: Vec<f64>, chain: f64, expected: &dyn Fn(f64) -> f64| {
        // The window holds all mass but 1e-12, far more than the atoms that are compared.
        for (z, found) in found.iter().enumerate().take(12) {
            close(what, found * chain, expected(z as f64), 1e-8);
        }
    };
    for rate in [0.3, 2.0, 9.0] {
        let law = |rate: &Tensor| Box::new(Poisson::new(rate).unwrap()) as Box<dyn Distribution>;
        let found = |order| slopes(law, rate, order, (0, 60));
        check("Poisson, 1", found(Order::First), rate, &|_| rate);
        check("Poisson, 2", found(Order::Second), rate, &|z| (z + rate) / 2.0);
        check("Poisson, 3", found(Order::Third), rate, &|z| {
            5.0 * rate / 12.0 + (8.0 * rate + 1.0) * z / (12.0 * rate) - z * z / (12.0 * rate)
        });
    }
    for (n, p) in [(12, 0.3), (20, 0.8)] {
        let law = |probs: &Tensor| Box::new(Binomial::new(n, probs).unwrap()) as Box<dyn Distribution>;
        let found = slopes(law, p, Order::Second, (0, n));
        check("binomial, 2", found, p * (1.0 - p), &|z| n as f64 * p / 2.0 + (1.0 - 2.0 * p) * z / 2.0);
    }
    for (r, p) in [(3.0, 0.4), (0.7, 0.5)] {
        // The probability that the torch-like parameter names is that of the counts, whose mean is r p / (1 - p).
        let by_probs =
            |probs: &Tensor| Box::new(NegativeBinomial::new(&Tensor::from(r), probs).unwrap()) as Box<dyn Distribution>;
        let found = slopes(by_probs, p, Order::Second, (0, 200));
        check("negative binomial in logit p, 2", found, p * (1.0 - p), &|z| r * p / 2.0 + (1.0 + p) * z / 2.0);
        let by_count =
            |count: &Tensor| Box::new(NegativeBinomial::new(count, &Tensor::from(p)).unwrap()) as Box<dyn Distribution>;
        let found = slopes(by_count, r, Order::Second, (0, 200));
        check("negative binomial in log r, 2", found, r, &|z| r * p / (2.0 * (1.0 - p)) + z / 2.0);
    }
}

/// Bias and standard deviation of one draw by enumeration, of laws of 400 atoms or more, against a table of another
/// implementation, in its digits.
#[test]
fn bias_and_deviation_are_those_of_the_table() {
    let quadratic = |z: f64| ((z - 4.0).powi(2), 2.0 * (z - 4.0));
    let sigmoid = |z: f64| {
        let s = 1.0 / (1.0 + (4.0 - z).exp());
        (s, s * (1.0 - s))
    };
    type Function = fn(f64) -> (f64, f64);
    /// Family, parameters, function, exact gradient, bias and standard deviation of each order, and half a digit of them.
    type Row<'a> = (&'a str, &'a [f64], Function, f64, [(f64, f64); 3], f64);
    let rows: [Row<'_>; 5] = [
        ("poisson", &[5.0], quadratic, 3.0, [(-1.0, 4.47), (0.0, 5.55), (0.0, 5.37)], 0.005),
        ("poisson", &[0.5], sigmoid, 0.0543, [(-0.019, 0.032), (0.0022, 0.108), (0.0001, 0.084)], 0.0005),
        ("poisson", &[0.05], quadratic, -6.9, [(-1.0, 0.45), (0.0, 12.8), (0.0, 17.9)], 0.05),
        ("geometric", &[0.25], quadratic, -80.0, [(112.0, 111.0), (0.0, 378.0), (0.0, 375.0)], 0.5),
        ("negative-binomial", &[3.0, 0.6], sigmoid, 1.855, [(0.256, 1.61), (-0.013, 1.54), (-0.007, 1.55)], 0.005),
    ];
    for (name, parameters, f, exact, expected, digit) in rows {
        let (last, fixed) = parameters.split_last().unwrap();
        let law = |leaf: &Tensor| {
            let fixed = fixed.iter().map(|&value| Tensor::from(value));
            family(name, &fixed.chain([leaf.shallow_clone()]).collect::<Vec<_>>())
        };
        let window = (0, 420);
        let q = TruncatedDistribution::new(law(&Tensor::from(*last)).as_ref(), &Truncation::between(0, 420)).unwrap();
        let weights = doubles(&q.log_weights().exp());
        let truth = {
            let leaf = Tensor::from(*last).set_requires_grad(true);
            let q = TruncatedDistribution::new(law(&leaf).as_ref(), &Truncation::between(0, 420)).unwrap();
            let values: Vec<f64> = (0..=420).map(|z| f(f64::from(z)).0).collect();
            let mean = q.expectation(|_| Tensor::from_slice(&values)).unwrap();
            double(&Tensor::run_backward(&[mean], &[&leaf], false, false).remove(0))
        };
        assert!((truth - exact).abs() <= digit, "{name}{parameters:?}: {truth}");
        for (order, (bias, deviation)) in ORDERS.into_iter().zip(expected) {
            let slopes = slopes(law, *last, order, window);
            let gradients: Vec<f64> = slopes.iter().enumerate().map(|(z, slope)| f(z as f64).1 * slope).collect();
            let mean: f64 = gradients.iter().zip(&weights).map(|(g, p)| g * p).sum();
            let variance: f64 = gradients.iter().zip(&weights).map(|(g, p)| (g - mean).powi(2) * p).sum();
            let what = format!("{name}{parameters:?}, order {order:?}: bias {} sd {}", mean - truth, variance.sqrt());
            assert!((mean - truth - bias).abs() <= digit, "{what}");
            assert!((variance.sqrt() - deviation).abs() <= digit * 1.2, "{what}");
        }
    }
}

/// Wherever an order cannot be had, the next lower one is in force, and no number is NaN.
#[test]
fn the_order_falls_where_atoms_are_too_few() {
    let none = f64::NEG_INFINITY;
    let laws: [(&[f64], [i64; 3]); 7] = [
        (&[0.0], [1, 1, 1]),
        (&[0.0, none, none], [1, 1, 1]),
        (&[0.0, 1.0], [1, 2, 2]),
        (&[none, 0.3, none, 1.0], [1, 2, 2]),
        (&[0.0, 1.0, -2.0], [1, 2, 3]),
        (&[0.0, -800.0, -900.0], [1, 1, 1]),
        (&[-800.0, 0.0, 5.0, -800.0], [1, 2, 2]),
    ];
    for (logits, expected) in laws {
        for (order, expected) in ORDERS.into_iter().zip(expected) {
            let leaf = Tensor::from_slice(logits).set_requires_grad(true);
            let q = TruncatedDistribution::from_logits(&leaf, -1).unwrap();
            let fini = FiniteOrder::new(&q, order).unwrap();
            assert_eq!(fini.orders().int64_value(&[]), expected, "{logits:?} {order:?}");
            let _guard = seeded(1);
            let z = fini.rsample(&[200]).unwrap();
            let gradient = Tensor::run_backward(&[z.square().sum(Kind::Double)], &[&leaf], false, false).remove(0);
            assert!(doubles(&gradient).iter().all(|g| g.is_finite()), "{logits:?} {order:?}: {gradient}");
        }
    }
}

/// One-hot latents have the first order, and a sentence for the others.
#[test]
fn vectors_have_the_first_order_alone() {
    let leaf = Tensor::from_slice(&[0.2, -0.4, 1.0]).set_requires_grad(true);
    let q = TruncatedDistribution::one_hot(&leaf).unwrap();
    let z = FiniteOrder::new(&q, Order::First).unwrap().rsample(&[5]).unwrap();
    assert_eq!(z.size(), [5, 3]);
    let weights = Tensor::from_slice(&[1.0, -2.0, 0.5]);
    let of_sample = Tensor::run_backward(&[z.select(0, 0).dot(&weights)], &[&leaf], true, false).remove(0);
    let of_mean = Tensor::run_backward(&[q.mean().dot(&weights)], &[&leaf], false, false).remove(0);
    assert!(double(&(of_sample - of_mean).abs().max()) < 1e-12);
    let error = FiniteOrder::new(&q, Order::Second).unwrap_err().to_string();
    assert!(
        error.contains("order of a finite-order gradient is 2, but must be 1 for atoms that are vectors"),
        "{error}"
    );
    let rows = TruncatedDistribution::one_hot(&leaf.unsqueeze(0)).unwrap();
    let f = |z: &Tensor| z.select(-1, 0).squeeze_dim(-1);
    let error = Fini::new(Order::Third).estimate(&Expectation::new(&rows, &f).unwrap()).unwrap_err().to_string();
    assert!(error.contains("fini-3 needs latents that are numbers"), "{error}");
}

/// Tails at their means: an end atom that the law moves carries its own derivative, and linear functions stay exact for
/// the untruncated law.
#[test]
fn moved_ends_keep_the_mean_exact() {
    for (name, parameters, _) in FAMILIES.iter().filter(|(name, ..)| ["poisson", "geometric"].contains(name)) {
        let n = 200_000;
        let leaf = Tensor::full([n], parameters[0], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let law = family(name, &[leaf.shallow_clone()]);
        let truncation = Truncation::right(4).merge_at_mean();
        let q = TruncatedDistribution::new(law.as_ref(), &truncation.allow_low_mass()).unwrap();
        let _guard = seeded(3);
        let z = FiniteOrder::new(&q, Order::Second).unwrap().rsample(&[]).unwrap();
        let gradient = Tensor::run_backward(&[z.sum(Kind::Double)], &[&leaf], true, false).remove(0);
        let exact = Tensor::run_backward(&[law.mean().sum(Kind::Double)], &[&leaf], false, false).remove(0);
        let difference = &gradient - exact;
        let error = double(&difference.std(true)) / (n as f64).sqrt();
        let bias = double(&difference.mean(Kind::Double));
        assert!(bias.abs() < 4.0 * error, "{name}: {bias} +- {error}");
    }
}
