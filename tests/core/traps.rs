//! Traps that have bitten other implementations, one test each.

use crate::common::{FAMILIES, close, double, doubles, family, seeded};
use gengs::prelude::*;
use gengs::random::{gumbel, gumbel_from_exponential};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn poisson(rate: f64, atoms: i64, kind: Kind) -> TruncatedDistribution {
    let rate = Tensor::full([], rate, (Kind::Double, CPU)).to_kind(kind);
    TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(atoms)).unwrap()
}

#[test]
fn infinite_noise() {
    let _guard = seeded(23);
    for kind in [Kind::Double, Kind::Float, Kind::Half, Kind::BFloat16] {
        let noise = gumbel(&[10_000_000], kind, CPU).unwrap();
        assert_eq!((noise.kind(), noise.isfinite().all().int64_value(&[])), (kind, 1));
    }
    // The generator's ends: zero, the smallest subnormal, and the largest exponential of a 24-bit and of a 53-bit uniform.
    for (kind, largest, smallest_exponential) in [(Kind::Float, 87.4, 1e-45), (Kind::Double, 708.4, 5e-324)] {
        let ends = Tensor::from_slice(&[0.0, smallest_exponential, 16.7, 37.0]).to_kind(kind);
        let noise = doubles(&gumbel_from_exponential(ends));
        assert!(noise.iter().all(|g| g.is_finite()), "{kind:?}: {noise:?}");
        close("largest", noise[0], largest, 1e-3);
        close("no other value moves", noise[2], -16.7f64.ln(), 1e-6);
    }
    // At the hard limit and near it, such a draw gives an atom, not NaN.
    let q = poisson(3.0, 15, Kind::Float);
    let noise = gumbel_from_exponential(Tensor::zeros([15], (Kind::Float, CPU)));
    for temperature in [0.0, 1e-38, 0.02, 1.0] {
        assert!(double(&Relaxation::new(&q, temperature).unwrap().rsample_with_noise(&noise).unwrap()).is_finite());
    }
}

#[test]
fn gumbel_tail_cut() {
    let _guard = seeded(24);
    for kind in [Kind::Double, Kind::Float] {
        let n = 10_000_000i64;
        let noise = gumbel(&[n], kind, CPU).unwrap();
        let expected = n as f64 * (-(-(-10f64).exp()).exp_m1());
        let found = double(&noise.gt(10.0).sum(Kind::Int64));
        assert!((found - expected).abs() < 5.0 * expected.sqrt(), "{kind:?}: {found} draws above 10, not {expected}");
        // Mean: Euler's constant, standard deviation pi / sqrt 6.
        let mean = double(&noise.mean(Kind::Double));
        assert!((mean - 0.577_215_664_9).abs() < 4.0 * 1.2825 / (n as f64).sqrt(), "{kind:?}: mean {mean}");
    }
}

#[test]
fn log_pmf_through_clamped_probabilities() {
    let rate = Tensor::from(1e-4f64).set_requires_grad(true);
    let value = Poisson::new(&rate).unwrap().log_prob(&Tensor::from(900.0f64)).unwrap();
    // log(1e-4) * 900 - 1e-4 - log(900!), by Python's math.lgamma.
    close("log_prob", double(&value), -13515.781950277898, 1e-12);
    value.backward();
    close("derivative", double(&rate.grad()), 900.0 / 1e-4 - 1.0, 1e-12);
    // Everywhere in a wide window, for every family, no parameter loses its gradient.
    for (name, values, first) in FAMILIES {
        let leaves: Vec<Tensor> =
            values.iter().enumerate().map(|(i, &v)| Tensor::from(v).set_requires_grad(i >= first)).collect();
        let law = family(name, &leaves);
        let support = law.support();
        // A mixture's component may weigh exp(-2000) there, and then has no gradient in any arithmetic.
        let far = if name == "mixture" { 60 } else { 500 };
        let (lo, hi) = (support.lowest.unwrap_or(-far), support.highest.unwrap_or(far));
        for k in [lo, lo + 1, hi - 1, hi] {
            let log_pmf = law.log_pmf(&Tensor::from(k as f64));
            for gradient in Tensor::run_backward(&[log_pmf], &leaves[first..], true, false) {
                let gradient = double(&gradient);
                assert!(gradient.is_finite() && gradient != 0.0, "{name} at {k}: {gradient}");
            }
        }
    }
}

#[test]
fn tail_lost_in_float32() {
    // Rates from 1e-4 to 1e6 in float32: the mean and its derivative, which are the rate and one, within the stated bound and
    // float32's own rounding of a mean of that many atoms.
    for exponent in -4..=6 {
        let rate = Tensor::full([], 10f64.powi(exponent), (Kind::Float, CPU)).set_requires_grad(true);
        let law = Poisson::new(&rate).unwrap();
        let q = TruncatedDistribution::new(&law, &Truncation::tail_mass(1e-9)).unwrap();
        let error = q.truncation_error().unwrap();
        let exact = double(&rate);
        // Of the truncated law in float32: weights right to 2e-7, atoms up to twice the rate.
        let mean = double(&(q.log_weights().to_kind(Kind::Double).exp() * q.atoms()).sum(Kind::Double));
        let rounding = 5e-7 * (exact + 1.0);
        assert!((mean - exact).abs() <= double(&error.mean) + rounding, "rate {exact}: mean {mean}");
        let gradient = double(&Tensor::run_backward(&[q.mean()], &[&rate], true, false)[0]);
        let bound = double(&error.mean_derivatives[0].1) + 1e-5 * (1.0 + exact.sqrt());
        assert!((gradient - 1.0).abs() <= bound, "rate {exact}: derivative {gradient}");
        // The tail itself, far below float32's epsilon, has its digits and its gradient.
        let last = q.log_weights().select(0, q.len() - 1);
        let slope = double(&Tensor::run_backward(&[&last], &[&rate], false, false)[0]);
        assert!(double(&last).is_finite() && double(&last) < -12.0 && slope > 0.0, "rate {exact}: {last:?}, {slope}");
    }
}

#[test]
fn window_misses_the_mass() {
    let law = Poisson::new(&Tensor::from_slice(&[2.0, 40.0])).unwrap();
    let message = TruncatedDistribution::new(&law, &Truncation::right(12)).unwrap_err().to_string();
    assert!(
        message.contains("0..=11") && message.contains("mean 40") && message.contains("allow_low_mass"),
        "{message}"
    );
    // Asked for by mass, the window widens; asked to accept it, the loss is stated.
    assert!(TruncatedDistribution::new(&law, &Truncation::tail_mass(1e-3)).unwrap().len() > 40);
    let q = TruncatedDistribution::new(&law, &Truncation::right(12).allow_low_mass()).unwrap();
    let lost = doubles(&q.truncation_error().unwrap().mean);
    assert!(lost[0] < 1e-5 && (lost[1] - 29.0).abs() < 1e-5, "{lost:?}");
}

#[test]
fn temperatures_of_zero_below_it_and_tiny() {
    let q = poisson(3.0, 15, Kind::Float);
    for wrong in [-1.0, -1e-300, f64::NAN, f64::INFINITY] {
        assert!(Relaxation::new(&q, wrong).unwrap_err().to_string().contains("temperature"), "{wrong}");
        let tensor = Tensor::from(wrong);
        assert!(Relaxation::new(&q, tensor).is_err(), "{wrong} as a tensor");
        let multinomial = Multinomial::new(3, &Tensor::from_slice(&[0.2, 0.8])).unwrap();
        assert!(MultinomialRelaxation::new(&multinomial, Scheme::Categoricals, wrong).is_err());
    }
    assert!(Relaxation::new(&q, Tensor::from(0.0)).is_err(), "a tensor of zero has no gradient to take");
    // A temperature expands to the batch, never the other way.
    let ones = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, CPU)).set_requires_grad(true);
    let rates = Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
    let batch = TruncatedDistribution::new(&Poisson::new(&rates).unwrap(), &Truncation::right(15)).unwrap();
    for (law, fits, wrong) in [
        (&q, vec![vec![]], vec![vec![3], vec![1]]),
        (&batch, vec![vec![], vec![1], vec![3]], vec![vec![3, 1], vec![4, 3], vec![2]]),
    ] {
        for shape in fits {
            let z = Relaxation::new(law, ones(&shape)).unwrap().rsample(&[7]).unwrap();
            assert_eq!(z.size(), [&[7], law.batch_shape().as_slice()].concat(), "{shape:?}");
        }
        for shape in wrong {
            let message = Relaxation::new(law, ones(&shape)).unwrap_err().to_string();
            assert!(message.contains("expands to the batch shape"), "{shape:?}: {message}");
        }
    }

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
fn half_precision_log_pmf() {
    for kind in [Kind::Half, Kind::BFloat16] {
        // 20 is exact in both kinds, 20.3 is rounded: what counts is the rounded parameter.
        for rate in [20.0, 20.3] {
            let half = Tensor::full([], rate, (Kind::Double, CPU)).to_kind(kind).set_requires_grad(true);
            let mean = |rate: &Tensor| {
                let q = TruncatedDistribution::new(&Poisson::new(rate).unwrap(), &Truncation::right(60)).unwrap();
                assert_eq!((q.kind(), q.mean().kind()), (Kind::Float, Kind::Float));
                q.mean()
            };
            let (found, expected) = (mean(&half), mean(&half.detach().to_kind(Kind::Float)));
            close(&format!("{kind:?}, rate {rate}"), double(&found), double(&expected), 1e-3 / 20.0);
            close(&format!("{kind:?}, rate {rate}"), double(&found), double(&half), 1e-3 / 20.0);
            let gradient = Tensor::run_backward(&[found], &[&half], false, false).remove(0);
            assert_eq!(gradient.kind(), kind);
            assert!((double(&gradient) - 1.0).abs() < 0.01, "{kind:?}: {gradient:?}");
        }
        let logits = Tensor::zeros([4], (kind, CPU));
        assert_eq!(TruncatedDistribution::from_logits(&logits, 0).unwrap().kind(), Kind::Float);
    }
}

#[test]
fn log_pmf_of_large_terms_that_cancel() {
    // At a rate of 1,000 in float32: log pmf of 1,000 by Loader's saddle-point form, -log(2 pi 1000) / 2 - 1 / 12000 + ...
    let rate = Tensor::full([], 1000.0, (Kind::Float, CPU));
    let found = double(&Poisson::new(&rate).unwrap().log_prob(&Tensor::from(1000.0)).unwrap());
    let expected = -(std::f64::consts::TAU * 1000.0).ln() / 2.0 - 1.0 / 12_000.0 + 1.0 / 360e9;
    close("log pmf", found, expected, 1e-12);
    let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::between(900, 1100).allow_low_mass())
        .unwrap();
    close("log weight", double(&q.log_weights().select(0, 100)), expected, 1e-6);
}

#[test]
fn straight_through_value_is_an_integer() {
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
fn relaxed_density_in_probability_space() {
    let _guard = seeded(8);
    for kind in [Kind::Float, Kind::Double] {
        for n in [2, 100, 10_000] {
            let logits = Tensor::randn([n], (kind, CPU)).set_requires_grad(true);
            let q = TruncatedDistribution::one_hot(&logits).unwrap();
            for temperature in [0.01, 0.1, 1.0] {
                let relaxation = Relaxation::new(&q, temperature).unwrap();
                let y = relaxation.rsample_log_weights(&[7]).unwrap();
                let density = relaxation.log_prob(&y.detach()).unwrap();
                assert_eq!(density.size(), [7]);
                assert!(doubles(&density).iter().all(|d| d.is_finite()), "{kind:?}, n {n}, temperature {temperature}");
                let gradient = Tensor::run_backward(&[density.sum(Kind::Double)], &[&logits], true, false).remove(0);
                assert!(doubles(&gradient).iter().all(|g| g.is_finite()), "{kind:?}, n {n}, temperature {temperature}");
            }
        }
    }
}

#[test]
fn noise_shared_by_rows_or_calls() {
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
