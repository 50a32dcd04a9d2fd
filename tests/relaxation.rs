//! The relaxation: noise, limits, moments, and equality with PyTorch.

mod common;

use common::{close, double, doubles, seeded};
use gengs::prelude::*;
use gengs::relaxation::noise::gumbel;
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

#[test]
fn a_seeded_draw_is_pytorchs_bit_for_bit() {
    let oracle: Oracle = serde_json::from_str(include_str!("fixtures/gumbel_softmax.json")).unwrap();
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
    assert_eq!(
        Vec::<f32>::try_from(weights.reshape([-1])).unwrap(),
        Vec::<f32>::try_from(floats(&oracle.weights).reshape([-1])).unwrap()
    );

    let q = TruncatedDistribution::one_hot(&logits).unwrap();
    let drawn = Relaxation::new(&q, oracle.temperature).unwrap().rsample_with_noise(&noise).unwrap();
    assert!(double(&(&drawn - &weights).abs().max()) < 1e-6);
    let q = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    let hard = Relaxation::new(&q, oracle.temperature).unwrap().forward(Forward::StraightThrough);
    let hard = hard.rsample_with_noise(&noise).unwrap();
    assert_eq!(doubles(&hard), oracle.hard.iter().map(|&k| k as f64).collect::<Vec<_>>());
}

#[test]
fn straight_through_is_a_bitwise_integer_with_the_soft_gradient() {
    let rate = Tensor::full([1000], 7.3, (Kind::Float, CPU)).set_requires_grad(true);
    let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(30)).unwrap();
    let guard = seeded(5);
    let noise = gumbel(&[1000, 30], Kind::Float, CPU).unwrap();
    drop(guard);
    let draw = |forward| Relaxation::new(&q, 0.4).unwrap().forward(forward).rsample_with_noise(&noise).unwrap();
    let (hard, soft) = (draw(Forward::StraightThrough), draw(Forward::Soft));
    for value in Vec::<f32>::try_from(hard.reshape([-1])).unwrap() {
        assert_eq!(value.to_bits(), value.round().to_bits(), "{value} is not an integer");
    }
    let gradient = |z: &Tensor| Tensor::run_backward(&[z.sum(Kind::Float)], &[&rate], true, false).remove(0);
    assert_eq!(doubles(&gradient(&hard)), doubles(&gradient(&soft)));
}

#[test]
fn temperatures() {
    let q = poisson(3.0, 15);
    for wrong in [-1.0, -1e-300, f64::NAN, f64::INFINITY] {
        assert!(Relaxation::new(&q, wrong).unwrap_err().to_string().contains("temperature"), "{wrong}");
        let tensor = Tensor::from(wrong);
        assert!(Relaxation::new(&q, tensor).is_err(), "{wrong} as a tensor");
    }
    assert!(Relaxation::new(&q, Tensor::from(0.0)).is_err(), "a tensor of zero has no gradient to take");
    assert!(Relaxation::new(&q, Tensor::ones([3], (Kind::Float, CPU)).set_requires_grad(true)).is_ok());

    let guard = seeded(3);
    let noise = gumbel(&[500, 15], Kind::Float, CPU).unwrap();
    drop(guard);
    let at = |temperature: f64| doubles(&Relaxation::new(&q, temperature).unwrap().rsample_with_noise(&noise).unwrap());
    let hard = at(0.0);
    assert!(hard.iter().all(|z| z.fract() == 0.0));
    for tiny in [1e-38, 1e-45, 1e-300] {
        assert_eq!(at(tiny), hard, "temperature {tiny}");
    }
    // A temperature is a number or a tensor; the same one is the same draw.
    let tensor = Relaxation::new(&q, Tensor::from(0.5f32)).unwrap().rsample_with_noise(&noise).unwrap();
    for (a, b) in doubles(&tensor).iter().zip(at(0.5)) {
        close("temperature as a tensor", *a, b, 1e-6);
    }
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
fn noise_is_finite_and_its_tail_is_gumbels() {
    let _guard = seeded(23);
    for kind in [Kind::Double, Kind::Float, Kind::Half, Kind::BFloat16] {
        let n = 10_000_000i64;
        let noise = gumbel(&[n], kind, CPU).unwrap();
        assert_eq!(noise.kind(), kind);
        assert_eq!(noise.isfinite().all().int64_value(&[]), 1, "{kind:?}");
        if matches!(kind, Kind::Double | Kind::Float) {
            let expected = n as f64 * (-(-(-10f64).exp()).exp_m1());
            let found = double(&noise.gt(10.0).sum(Kind::Int64));
            assert!(
                (found - expected).abs() < 5.0 * expected.sqrt(),
                "{kind:?}: {found} draws above 10, not {expected}"
            );
            // Mean: Euler's constant, standard deviation pi / sqrt 6.
            let mean = double(&noise.mean(Kind::Double));
            assert!((mean - 0.577_215_664_9).abs() < 4.0 * 1.2825 / (n as f64).sqrt(), "{kind:?}: mean {mean}");
        }
    }
}

#[test]
fn an_exponential_of_zero_becomes_finite_noise() {
    // What the noise does to the one value that would be infinite.
    let smallest = Tensor::zeros([1], (Kind::Float, CPU)).clamp_min(f64::from(f32::MIN_POSITIVE)).log().neg();
    assert!(double(&smallest).is_finite() && double(&smallest) > 87.0);
}

#[test]
fn rows_and_calls_are_independent() {
    let _guard = seeded(29);
    let rate = Tensor::full([2], 4.0, (Kind::Float, CPU));
    let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(20)).unwrap();
    let relaxation = Relaxation::new(&q, 0.3).unwrap();
    let n = 100_000;
    let (first, second) = (relaxation.rsample(&[n]).unwrap(), relaxation.rsample(&[n]).unwrap());
    assert_eq!(first.size(), [n, 2]);
    let correlation = |a: &Tensor, b: &Tensor| {
        let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
        let centred = |t: &Tensor| t - t.mean(Kind::Double);
        double(&((centred(&a) * centred(&b)).mean(Kind::Double) / (a.var(true) * b.var(true)).sqrt()))
    };
    let bound = 4.0 / (n as f64).sqrt();
    assert!(correlation(&first.select(1, 0), &first.select(1, 1)).abs() < bound, "rows of a batch share noise");
    assert!(correlation(&first.select(1, 0), &second.select(1, 0)).abs() < bound, "calls share noise");
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

#[test]
fn half_precision_keeps_the_law() {
    for kind in [Kind::Half, Kind::BFloat16] {
        let rate = Tensor::full([], 20.0, (kind, CPU));
        let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(60)).unwrap();
        assert_eq!(q.kind(), kind);
        let mean =
            double(&(q.log_weights().to_kind(Kind::Double).exp() * q.atoms().to_kind(Kind::Double)).sum(Kind::Double));
        // The log weights are right to the kind's last digit: 2^-11 or 2^-8 of numbers up to 40 around the mode's -2.4.
        let bound = if kind == Kind::Half { 2e-2 } else { 2e-1 };
        assert!((mean - 20.0).abs() < bound, "{kind:?}: {mean}");
    }
}
