//! The relaxation: noise, limits, moments, and equality with PyTorch.

use crate::common::{FAMILIES, close, double, doubles, family, seeded};
use gengs::prelude::*;
use gengs::random::gumbel;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn poisson(rate: f64, atoms: i64) -> TruncatedDistribution {
    let rate = Tensor::full([], rate, (Kind::Float, CPU));
    TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(atoms)).unwrap()
}

#[derive(Deserialize)]
struct Oracle {
    shape: Vec<i64>,
    seed: i64,
    temperature: f64,
    log_weights: Vec<i32>,
    weights: Vec<i32>,
    hard: Vec<i64>,
}

/// The fixture's bits are those of one machine: libtorch's exponentials differ in their last digits with the vector instructions at hand,
/// in PyTorch as here.
#[test]
fn a_seeded_draw_is_pytorchs() {
    let oracle: Oracle = serde_json::from_str(include_str!("../fixtures/gumbel_softmax.json")).unwrap();
    let floats = |bits: &[i32]| {
        let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits as u32)).collect();
        Tensor::from_slice(&values).reshape(&oracle.shape)
    };
    let logits = floats(&oracle.log_weights);
    // One-hot atoms show the weights themselves. Normalising again must not change normalised numbers by more than a rounding,
    // so the law is only used for its atoms: the noise is added to the oracle's own log weights.
    let guard = seeded(oracle.seed);
    let noise = gumbel(&oracle.shape, Kind::Float, CPU).unwrap();
    drop(guard);
    let weights = ((&logits + &noise) / oracle.temperature).softmax(-1, Kind::Float);
    for (found, expected) in doubles(&weights).iter().zip(doubles(&floats(&oracle.weights))) {
        assert!((found - expected).abs() < 1e-6 * expected, "{found} instead of {expected}");
    }

    let q = TruncatedDistribution::one_hot(&logits).unwrap();
    let drawn = Relaxation::new(&q, oracle.temperature).unwrap().rsample_with_noise(&noise).unwrap();
    assert!(double(&(&drawn - &weights).abs().max()) < 1e-6);
    let q = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    let hard = Relaxation::new(&q, oracle.temperature).unwrap().forward(Forward::StraightThrough);
    let hard = hard.rsample_with_noise(&noise).unwrap();
    assert_eq!(doubles(&hard), oracle.hard.iter().map(|&k| k as f64).collect::<Vec<_>>());
}

#[test]
fn the_gradient_reaches_a_tensor_temperature_and_second_derivatives_exist() {
    let rate = Tensor::from(3.0f64).set_requires_grad(true);
    let temperature = Tensor::from(0.7f64).set_requires_grad(true);
    let guard = seeded(9);
    let noise = gumbel(&[20], Kind::Double, CPU).unwrap();
    drop(guard);
    let z_at = |rate: &Tensor, temperature: &Tensor| {
        let q = TruncatedDistribution::new(&Poisson::new(rate).unwrap(), &Truncation::right(20)).unwrap();
        Relaxation::new(&q, temperature.shallow_clone()).unwrap().rsample_with_noise(&noise).unwrap()
    };
    let first = Tensor::run_backward(&[z_at(&rate, &temperature)], &[&rate, &temperature], true, true);
    let second = double(&Tensor::run_backward(&[&first[0]], &[&rate], true, false)[0]);
    let value = |rate: f64, temperature: f64| double(&z_at(&Tensor::from(rate), &Tensor::from(temperature)));
    let h = 1e-4;
    close("dz / d rate", double(&first[0]), (value(3.0 + h, 0.7) - value(3.0 - h, 0.7)) / (2.0 * h), 1e-6);
    close("dz / d temperature", double(&first[1]), (value(3.0, 0.7 + h) - value(3.0, 0.7 - h)) / (2.0 * h), 1e-6);
    let expected = (value(3.0 + h, 0.7) - 2.0 * value(3.0, 0.7) + value(3.0 - h, 0.7)) / (h * h);
    close("second derivative in the rate", second, expected, 1e-5);
}

#[test]
fn relaxed_moments() {
    let _guard = seeded(17);
    // Rate, atoms, and (mean, variance) at temperatures .1, .25, .5, 1, each from 20,000 draws: themselves uncertain by
    // a standard error, so that the comparison allows for both.
    let table = [
        (2.0, 12, [(2.002, 1.818), (2.001, 1.545), (2.038, 1.134), (2.180, 0.619)]),
        (20.0, 50, [(20.05, 18.37), (19.99, 15.15), (20.00, 10.90), (20.14, 4.59)]),
    ];
    let n = 20_000.0f64;
    for (rate, atoms, moments) in table {
        let q = poisson(rate, atoms);
        for (temperature, (mean, variance)) in [0.1, 0.25, 0.5, 1.0].into_iter().zip(moments) {
            let z = Relaxation::new(&q, temperature).unwrap().rsample(&[n as i64]).unwrap().to_kind(Kind::Double);
            let (found_mean, found_variance) = (double(&z.mean(Kind::Double)), double(&z.var(true)));
            let fourth = double(&(&z - found_mean).pow_tensor_scalar(4).mean(Kind::Double));
            let of_mean = (found_variance / n).sqrt();
            let of_variance = ((fourth - found_variance.powi(2)) / n).sqrt();
            // Rounding of the table to its last digit, and the standard error of a difference of two such means.
            let digit = if rate > 10.0 { 0.005 } else { 0.0005 };
            let bound = |standard_error: f64| 4.0 * 2f64.sqrt() * standard_error + digit;
            assert!(
                (found_mean - mean).abs() < bound(of_mean),
                "rate {rate}, temperature {temperature}: mean {found_mean}"
            );
            assert!(
                (found_variance - variance).abs() < bound(of_variance),
                "rate {rate}, temperature {temperature}: variance {found_variance}"
            );
        }
    }
}

#[test]
fn hard_samples_follow_the_law() {
    let _guard = seeded(31);
    let q = poisson(2.0, 8);
    let n = 200_000i64;
    let counts = doubles(&q.sample(&[n]).unwrap().to_kind(Kind::Int64).bincount(None::<&Tensor>, 8));
    let expected: Vec<f64> = doubles(&q.log_weights().exp()).iter().map(|p| p * n as f64).collect();
    let chi_squared: f64 = counts.iter().zip(&expected).map(|(o, e)| (o - e).powi(2) / e).sum();
    // 29.88 is the 1e-4 quantile of the upper tail with 7 degrees of freedom.
    assert!(chi_squared < 29.88, "chi-squared {chi_squared}: {counts:?} instead of {expected:?}");
}

/// The density of relaxed log weights, against PyTorch's `ExpRelaxedCategorical(t, logits=[.1, -.4, .9])` at `log_softmax([.3, -1.2, .5])`, and
/// with two atoms against an integral of one.
#[test]
fn density_of_the_relaxation() {
    let q = TruncatedDistribution::one_hot(&Tensor::from_slice(&[0.1, -0.4, 0.9])).unwrap();
    let y = Tensor::from_slice(&[0.3, -1.2, 0.5]).log_softmax(-1, Kind::Double);
    let torch = [(0.1, -7.554287850297356), (0.5, -4.117441702092284), (2.0, -3.078855266030413)];
    for (temperature, expected) in torch {
        let found = double(&Relaxation::new(&q, temperature).unwrap().log_prob(&y).unwrap());
        close(&format!("temperature {temperature}"), found, expected, 1e-12);
    }
    // With u = y_1 - y_0, the logit of the second weight.
    let pair = TruncatedDistribution::from_logits(&Tensor::from_slice(&[0.3, -0.8]), 4).unwrap();
    for temperature in [0.1, 1.0, 3.0] {
        let step = 0.002 / temperature;
        let u = Tensor::arange_start(-30_000, 30_001, (Kind::Double, CPU)) * step;
        let y = Tensor::stack(&[u.neg().log_sigmoid(), u.log_sigmoid()], -1);
        let relaxation = Relaxation::new(&pair, temperature).unwrap();
        let density = relaxation.log_prob(&y).unwrap();
        close("integral", double(&density.exp().sum(Kind::Double)) * step, 1.0, 1e-9);
        // The value of the sample is the map of its weights.
        close("value", double(&relaxation.transform(&y).unwrap().select(0, 30_000)), 4.5, 1e-12);
    }
    assert!(Relaxation::new(&q, 0.0).unwrap().log_prob(&y).unwrap_err().to_string().contains("density"));
    assert!(Relaxation::new(&q, 0.0).unwrap().rsample_log_weights(&[]).unwrap_err().to_string().contains("density"));
}

/// First and second derivatives of a relaxed sample in every parameter of every family, against finite differences; with a sample shape,
/// a batch, and in float32.
#[test]
fn derivatives_of_samples_of_every_family() {
    let guard = seeded(77);
    let noise = gumbel(&[2, 3, 20], Kind::Double, CPU).unwrap();
    drop(guard);
    for (name, values, first) in FAMILIES {
        let z_at = |p: &[Tensor]| {
            let law = family(name, p);
            let support = law.support();
            let lo = support.lowest.unwrap_or(-6);
            let window = Truncation::between(lo, support.highest.unwrap_or(lo + 19).min(lo + 19)).allow_low_mass();
            let q = TruncatedDistribution::new(law.as_ref(), &window.merge_at_mean()).unwrap();
            Relaxation::new(&q, 0.6).unwrap().rsample_with_noise(&noise.narrow(-1, 0, q.len())).unwrap()
        };
        let at = |i: usize, shift: f64| -> Vec<Tensor> {
            let tensor = |(j, &v): (usize, &f64)| match j < first {
                true => Tensor::from(v),
                false => Tensor::full([3], if i == j { v + shift } else { v }, (Kind::Double, CPU)),
            };
            values.iter().enumerate().map(tensor).collect()
        };
        for i in first..values.len() {
            let mut leaves = at(i, 0.0);
            leaves[i] = leaves[i].set_requires_grad(true);
            let z = z_at(&leaves);
            assert_eq!(z.size(), [2, 3], "{name}");
            let slope = Tensor::run_backward(&[z.sum(Kind::Double)], &[&leaves[i]], true, true).remove(0);
            let second = Tensor::run_backward(&[slope.sum(Kind::Double)], &[&leaves[i]], true, false).remove(0);
            let h = 1e-4;
            let sum = |shift: f64| z_at(&at(i, shift)).sum_dim_intlist(0, false, Kind::Double);
            let (up, middle, down) = (sum(h), sum(0.0), sum(-h));
            let expected_slope: Tensor = (&up - &down) / (2.0 * h);
            let expected_second: Tensor = (up - middle * 2.0 + down) / (h * h);
            for row in 0..3 {
                let what = format!("{name}, parameter {i}, row {row}");
                close(&what, double(&slope.get(row)), double(&expected_slope.get(row)), 1e-6);
                close(&format!("{what}, twice"), double(&second.get(row)), double(&expected_second.get(row)), 1e-4);
            }
            let floats: Vec<Tensor> = at(i, 0.0)
                .iter()
                .enumerate()
                .map(|(j, t)| if j < first { t.copy() } else { t.to_kind(Kind::Float) })
                .collect();
            let law = family(name, &floats);
            let support = law.support();
            let lo = support.lowest.unwrap_or(-6);
            let window = Truncation::between(lo, support.highest.unwrap_or(lo + 19).min(lo + 19)).allow_low_mass();
            let q = TruncatedDistribution::new(law.as_ref(), &window.merge_at_mean()).unwrap();
            let float = Relaxation::new(&q, 0.6)
                .unwrap()
                .rsample_with_noise(&noise.narrow(-1, 0, q.len()).to_kind(Kind::Float))
                .unwrap();
            assert_eq!(float.kind(), Kind::Float, "{name}");
            for (a, b) in doubles(&float).iter().zip(doubles(&z)) {
                close(&format!("{name} in float32"), *a, b, 1e-5);
            }
        }
    }
}

/// The derivative in a temperature is finite where an atom weighs nothing, and that of a law without the atom.
#[test]
fn temperatures_have_a_derivative_beside_atoms_without_mass() {
    let minus = f64::NEG_INFINITY;
    let noise = Tensor::from_slice(&[0.3, 1.1, -0.4]);
    let of = |logits: &[f64], noise: &Tensor| {
        let q = TruncatedDistribution::one_hot(&Tensor::from_slice(logits)).unwrap();
        let temperature = Tensor::from(0.7).set_requires_grad(true);
        let relaxation = Relaxation::new(&q, temperature.shallow_clone()).unwrap();
        let z = relaxation.rsample_with_noise(noise).unwrap();
        let y = (q.log_weights() + noise) / 0.7;
        let density = relaxation.log_prob(&y.log_softmax(-1, Kind::Double)).unwrap();
        let slope = |of: &Tensor| double(&Tensor::run_backward(&[of], &[&temperature], true, false)[0]);
        [slope(&z.square().sum(Kind::Double)), slope(&density)]
    };
    let (masked, without) = (of(&[0.0, minus, 1.0], &noise), of(&[0.0, 1.0], &Tensor::from_slice(&[0.3, -0.4])));
    for (a, b) in masked.iter().zip(without) {
        close("derivative in the temperature", *a, b, 1e-12);
    }
}

/// Numbers of another kind are cast, and give the same draw.
#[test]
fn kinds_of_temperature_and_noise_are_cast() {
    for kind in [Kind::Float, Kind::Double] {
        let rate = Tensor::from_slice(&[0.5, 2.0, 6.0]).to_kind(kind);
        let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(20)).unwrap();
        let noise = (Tensor::arange(60, (Kind::Double, CPU)) * 0.7).sin().reshape([3, 20]);
        let expected = Relaxation::new(&q, 0.5).unwrap().rsample_with_noise(&noise.to_kind(kind)).unwrap();
        for other in [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16] {
            let temperature = Tensor::from_slice(&[0.5, 0.5, 0.5]).to_kind(other);
            for forward in [Forward::Soft, Forward::StraightThrough] {
                let relaxation = Relaxation::new(&q, temperature.shallow_clone()).unwrap().forward(forward);
                let z = relaxation.rsample_with_noise(&noise.to_kind(other)).unwrap();
                assert_eq!((z.kind(), z.size()), (kind, vec![3]));
                if forward == Forward::Soft && matches!(other, Kind::Float | Kind::Double) {
                    doubles(&z).iter().zip(doubles(&expected)).for_each(|(a, b)| close("z", *a, b, 1e-5));
                }
            }
            let weights = noise.log_softmax(-1, Kind::Double).to_kind(other);
            assert_eq!(Relaxation::new(&q, 0.5).unwrap().transform(&weights).unwrap().kind(), kind);
        }
        let relaxation = Relaxation::new(&q, 0.5).unwrap();
        for wrong in [&[4i64, 20][..], &[3, 19], &[2, 3, 5]] {
            assert!(relaxation.rsample_with_noise(&Tensor::zeros(wrong, (kind, CPU))).is_err(), "{wrong:?}");
            assert!(relaxation.transform(&Tensor::zeros(wrong, (kind, CPU))).is_err(), "{wrong:?}");
        }
    }
}
