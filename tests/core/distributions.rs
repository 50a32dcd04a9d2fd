//! Every family: pmf, tails, moments, samples, and what it refuses.

use crate::common::{FAMILIES, close, double, doubles, family, seeded, wide_window};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn tensors(values: &[f64], kind: Kind) -> Vec<Tensor> {
    values.iter().map(|&value| Tensor::full([], value, (kind, CPU))).collect()
}

fn typical(name: &str, values: &[f64]) -> Box<dyn Distribution> {
    family(name, &tensors(values, Kind::Double))
}

fn t(values: &[f64]) -> Tensor {
    Tensor::from_slice(values)
}

/// The atoms that hold all but 1e-12 of the mass of the typical laws.
fn atoms(law: &dyn Distribution) -> Tensor {
    let (lo, hi) = wide_window(law);
    Tensor::arange_start(lo, hi + 1, (Kind::Double, CPU))
}

#[test]
fn pmf_moments_and_tails_agree() {
    for (name, values, _) in FAMILIES {
        let law = typical(name, values);
        let ks = doubles(&atoms(law.as_ref()));
        let pmf = doubles(&law.log_prob(&atoms(law.as_ref())).unwrap().exp());
        let sum = |f: &dyn Fn(f64) -> f64| pmf.iter().zip(&ks).map(|(p, &k)| p * f(k)).sum::<f64>();
        close(&format!("{name}: total mass"), sum(&|_| 1.0), 1.0, 1e-12);
        let mean = sum(&|k| k);
        close(&format!("{name}: mean"), double(&law.mean()), mean, 1e-10);
        close(&format!("{name}: variance"), double(&law.variance()), sum(&|k| (k - mean).powi(2)), 1e-9);
        for k in -9..=13 {
            let (below, above) = law.log_tails(k).unwrap();
            let edge = k as f64;
            close(&format!("{name}: P(X < {k})"), double(&below.exp()), sum(&|x| f64::from(x < edge)), 1e-12);
            close(&format!("{name}: P(X >= {k})"), double(&above.exp()), sum(&|x| f64::from(x >= edge)), 1e-12);
            let (below, above) = law.log_partial_expectations(k).unwrap();
            close(&format!("{name}: E({k} - X)+"), double(&below.exp()), sum(&|x| (edge - x).max(0.0)), 1e-11);
            close(&format!("{name}: E(X - {k})+"), double(&above.exp()), sum(&|x| (x - edge).max(0.0)), 1e-11);
        }
    }
}

#[test]
fn outside_the_support_the_pmf_is_zero_and_the_gradient_finite() {
    for (name, values, first) in FAMILIES {
        let leaves = tensors(values, Kind::Double);
        let leaves: Vec<Tensor> =
            leaves.into_iter().enumerate().map(|(i, t)| t.set_requires_grad(i >= first)).collect();
        let law = family(name, &leaves);
        let beyond = law.support().highest.map_or(f64::INFINITY, |highest| (highest + 1) as f64);
        let below = law.support().lowest.map_or(f64::NEG_INFINITY, |lowest| (lowest - 1) as f64);
        let log_prob = law.log_prob(&Tensor::from_slice(&[below, 0.5, 1.0, beyond])).unwrap();
        let found = doubles(&log_prob);
        assert!(found[2].is_finite());
        assert!([0, 1, 3].iter().all(|&i| found[i] == f64::NEG_INFINITY), "{name}: {found:?}");
        let gradients = Tensor::run_backward(&[log_prob.select(0, 2)], &leaves[first..], false, false);
        assert!(gradients.iter().all(|g| double(g).is_finite()), "{name}");
    }
}

#[test]
fn samples_follow_the_pmf() {
    let _guard = seeded(41);
    let n = 100_000i64;
    for (name, values, _) in FAMILIES {
        let law = typical(name, values);
        let draws = law.sample(&[n]).unwrap();
        assert_eq!((draws.size(), draws.kind()), (vec![n], Kind::Double), "{name}");
        // 3.89 is 1e-4 on both sides of a normal.
        let error = double(&(draws.mean(Kind::Double) - law.mean()));
        assert!(error.abs() < 3.89 * (double(&law.variance()) / n as f64).sqrt(), "{name}: mean off by {error}");
        let ks = atoms(law.as_ref());
        let pmf = doubles(&law.log_prob(&ks).unwrap().exp());
        // Atoms with fewer than ten expected draws, at either end, share a bin.
        let frequent = |&p: &f64| p * n as f64 > 10.0;
        let first = pmf.iter().position(frequent).unwrap();
        let wide = pmf[first..].iter().take_while(|&p| frequent(p)).count().min(pmf.len() - first - 1);
        let draws = (draws - ks.double_value(&[first as i64])).clamp(0.0, wide as f64).to_kind(Kind::Int64);
        let counts = doubles(&draws.bincount(None::<&Tensor>, wide as i64 + 1));
        let mut expected: Vec<f64> = pmf[first..first + wide].iter().map(|p| p * n as f64).collect();
        expected[0] += pmf[..first].iter().sum::<f64>() * n as f64;
        expected.push(pmf[first + wide..].iter().sum::<f64>() * n as f64);
        let chi_squared: f64 = counts.iter().zip(&expected).map(|(o, e)| (o - e).powi(2) / e).sum();
        // Wilson and Hilferty: the cube root of chi-squared over its degrees of freedom is nearly normal; 3.72 is 1e-4.
        let freedom = wide as f64;
        let spread = 2.0 / (9.0 * freedom);
        let score = ((chi_squared / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
        assert!(score < 3.72, "{name}: chi-squared {chi_squared} with {freedom} degrees of freedom");
    }
}

#[test]
fn shapes_broadcast() {
    let total_count = Tensor::from_slice(&[1.0, 2.0, 3.0]);
    let probs = Tensor::from_slice(&[0.2, 0.7]).unsqueeze(-1);
    let law = NegativeBinomial::new(&total_count, &probs).unwrap();
    assert_eq!(law.batch_shape(), [2, 3]);
    assert_eq!(law.sample(&[5]).unwrap().size(), [5, 2, 3]);
    // Every entry is the law of its own two numbers.
    let ks = Tensor::from_slice(&[0.0, 1.0, 4.0]).reshape([3, 1, 1]);
    let found = law.log_prob(&ks).unwrap();
    for (i, p) in [0.2, 0.7].into_iter().enumerate() {
        for (j, r) in [1.0, 2.0, 3.0].into_iter().enumerate() {
            let alone = NegativeBinomial::new(&Tensor::from(r), &Tensor::from(p)).unwrap();
            let expected = doubles(&alone.log_prob(&ks.reshape([3])).unwrap());
            assert_eq!(doubles(&found.select(1, i as i64).select(1, j as i64)), expected);
        }
    }
    assert!(law.log_prob(&Tensor::zeros([4], (Kind::Double, CPU))).unwrap_err().to_string().contains("batch shape"));
    let wrong = NegativeBinomial::new(&total_count, &Tensor::from_slice(&[0.1, 0.2]));
    assert!(wrong.unwrap_err().to_string().contains("NegativeBinomial"));
}

#[test]
fn probs_and_logits_are_the_same_law() {
    let probs = Tensor::from_slice(&[1e-12, 0.2, 0.5, 0.999]);
    let odds: Tensor = &probs / (1.0 - &probs);
    let logits = odds.log();
    let one = Tensor::from(1.5);
    let pairs: [(Box<dyn Distribution>, Box<dyn Distribution>); 4] = [
        (Box::new(Geometric::new(&probs).unwrap()), Box::new(Geometric::from_logits(&logits).unwrap())),
        (Box::new(Binomial::new(7, &probs).unwrap()), Box::new(Binomial::from_logits(7, &logits).unwrap())),
        (Box::new(Bernoulli::new(&probs).unwrap()), Box::new(Bernoulli::from_logits(&logits).unwrap())),
        (
            Box::new(NegativeBinomial::new(&one, &probs).unwrap()),
            Box::new(NegativeBinomial::from_logits(&one, &logits).unwrap()),
        ),
    ];
    for (left, right) in pairs {
        let value = Tensor::from(1.0);
        let (left_log_prob, right_log_prob) = (left.log_prob(&value).unwrap(), right.log_prob(&value).unwrap());
        for (a, b) in doubles(&left_log_prob).iter().zip(doubles(&right_log_prob)) {
            close(left.name(), *a, b, 1e-12);
        }
    }
}

#[test]
fn wrong_parameters_are_named() {
    let message = |outcome: gengs::Result<()>| outcome.unwrap_err().to_string();
    for (value, shown) in [(0.0, "is 0,"), (-2.5, "-2.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let found = message(Poisson::new(&t(&[1.0, value, 3.0])).map(drop));
        assert!(found.contains("rate of Poisson") && found.contains(shown) && found.contains("positive"), "{found}");
        let found = message(NegativeBinomial::new(&t(&[value]), &t(&[0.5])).map(drop));
        assert!(found.contains("total_count") && found.contains(shown), "{found}");
    }
    for value in [0.0, 1.0, -0.1, 1.5, f64::NAN] {
        let wrong = t(&[0.5, value]);
        let messages = [
            message(Geometric::new(&wrong).map(drop)),
            message(Bernoulli::new(&wrong).map(drop)),
            message(Binomial::new(3, &wrong).map(drop)),
            message(NegativeBinomial::new(&t(&[1.0]), &wrong).map(drop)),
        ];
        assert!(messages.iter().all(|m| m.contains("probs of") && m.contains("(0, 1)")), "{messages:?}");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(message(Geometric::from_logits(&t(&[value])).map(drop)).contains("logits"));
    }
    assert!(message(Binomial::new(0, &t(&[0.5])).map(drop)).contains("total_count"));
    assert!(message(Categorical::from_logits(&t(&[0.0, f64::NAN])).map(drop)).contains("NaN"));
    assert!(message(Categorical::from_logits(&t(&[f64::NEG_INFINITY; 2])).map(drop)).contains("largest logit"));
    assert!(message(Categorical::from_logits(&Tensor::from(1.0)).map(drop)).contains("classes"));
    assert!(message(Categorical::new(&Tensor::from(1.0)).map(drop)).contains("classes"));
    assert!(message(Categorical::new(&t(&[0.5, 0.0])).map(drop)).contains("probs of Categorical is 0"));
    assert!(message(Poisson::new(&Tensor::from(3i64)).map(drop)).contains("floating-point"));
}

/// The same guard for every family: a value outside its domain is an error, inside of the guard none, and the guard ends with its closure, whatever ends that.
#[test]
fn values_go_unchecked_inside_of_the_guard_alone() {
    let nan = || t(&[0.5, f64::NAN]);
    let categorical = || Categorical::new(&t(&[0.2, 0.8])).unwrap();
    let mixture =
        |law: Poisson| Mixture::new(&categorical(), vec![Box::new(law), Box::new(Poisson::new(&t(&[2.0])).unwrap())]);
    type Build<'a> = &'a dyn Fn() -> gengs::Result<Box<dyn Distribution>>;
    let builds: [Build; 14] = [
        &|| Ok(Box::new(Poisson::new(&nan())?)),
        &|| Ok(Box::new(Geometric::new(&nan())?)),
        &|| Ok(Box::new(Geometric::from_logits(&nan())?)),
        &|| Ok(Box::new(Bernoulli::from_logits(&nan())?)),
        &|| Ok(Box::new(Binomial::from_logits(3, &nan())?)),
        &|| Ok(Box::new(BetaBinomial::new(3, &nan(), &nan())?)),
        &|| Ok(Box::new(NegativeBinomial::from_logits(&nan(), &nan())?)),
        &|| Ok(Box::new(Categorical::new(&nan())?)),
        &|| Ok(Box::new(Categorical::from_logits(&nan())?)),
        &|| Ok(Box::new(ZeroInflatedPoisson::from_logits(&nan(), &nan())?)),
        &|| Ok(Box::new(Skellam::new(&nan(), &nan())?)),
        &|| Ok(Box::new(DiscretizedLogistic::new(&nan(), &nan())?)),
        &|| Ok(Box::new(Zipf::new(5, &nan())?)),
        &|| Ok(Box::new(mixture(Poisson::new(&nan())?)?)),
    ];
    for build in builds {
        let error = build().unwrap_err().to_string();
        assert!(error.contains("NaN"), "{error}");
        assert_eq!(unchecked(build).unwrap().kind(), Kind::Double, "{error}");
        assert!(build().is_err());
    }
    let window = Truncation::right(3);
    let far = Poisson::new(&t(&[50.0])).unwrap();
    assert!(TruncatedDistribution::new(&far, &window).is_err());
    assert!(unchecked(|| TruncatedDistribution::new(&far, &window)).is_ok());
    // Those that cannot be built without a look, and what is no value of a tensor, are checked always; and a panic ends the guard too.
    assert!(unchecked(|| ConwayMaxwellPoisson::new(&nan(), &nan())).is_err());
    assert!(unchecked(|| Hypergeometric::new(3, &nan(), &nan())).is_err());
    assert!(unchecked(|| Binomial::new(0, &nan())).is_err());
    assert!(std::panic::catch_unwind(|| unchecked(|| panic!("a panic inside of the guard"))).is_err());
    assert!(Poisson::new(&nan()).is_err());
}

/// Positive weights and their logarithms make the same law.
#[test]
fn a_categorical_of_weights_is_that_of_their_logarithms() {
    let weights = t(&[2.0, 0.5, 1.5]);
    let (of_weights, of_logits) =
        (Categorical::new(&weights).unwrap(), Categorical::from_logits(&weights.log()).unwrap());
    let k = t(&[0.0, 1.0, 2.0]);
    let probs = doubles(&of_weights.log_prob(&k).unwrap().exp());
    assert_eq!(probs, doubles(&of_logits.log_prob(&k).unwrap().exp()));
    probs.iter().zip([0.5, 0.125, 0.375]).for_each(|(found, exact)| assert!((found - exact).abs() < 1e-15, "{found}"));
}

/// Where mass would flow to atoms that no draw can be, a hypergeometric law has no gradient, and says so.
#[test]
fn a_hypergeometric_law_has_a_gradient_where_mass_stays_in_its_support() {
    let law = |draws, population: f64, successes: f64| {
        let [population, successes] = [population, successes].map(|x| Tensor::from(x).set_requires_grad(true));
        let law = Hypergeometric::new(draws, &population, &successes)?;
        let (lo, hi) = (law.support().lowest.unwrap(), law.support().highest.unwrap());
        let weights = TruncatedDistribution::new(&law, &Truncation::between(lo, hi))?.log_weights().exp();
        let ks = Tensor::arange_start(lo, hi + 1, (Kind::Double, Device::Cpu));
        let slope = |of: Tensor| doubles(&Tensor::run_backward(&[of], &[&successes], true, false)[0])[0];
        Ok::<_, gengs::Error>((slope(weights.sum(Kind::Double)), slope((weights * ks).sum(Kind::Double))))
    };
    for (draws, population, successes) in [(6, 20.0, 9.0), (6, 12.0, 6.0), (1, 2.0, 1.0), (7, 30.5, 9.25)] {
        let (total, mean) = law(draws, population, successes).unwrap();
        close("derivative of the total", total, 0.0, 1e-12);
        close("derivative of the mean", mean, draws as f64 / population, 1e-12);
    }
    for (draws, population, successes) in [(7, 10.0, 8.0), (15, 20.0, 9.0), (5, 8.0, 3.0), (7, 10.0, 2.0)] {
        let refused = law(draws, population, successes).unwrap_err().to_string();
        assert!(refused.contains("successes and failures") && refused.contains("gradient"), "{refused}");
        let [population, successes] = [population, successes].map(Tensor::from);
        assert!(Hypergeometric::new(draws, &population, &successes).is_ok());
    }
}

/// Negative binomials at the ends of their parameters' ranges: tails are the sums of the pmf, and many trials make a Poisson.
#[test]
fn tails_of_extreme_negative_binomials() {
    let law = |r: f64, p: f64| NegativeBinomial::new(&Tensor::from(r), &Tensor::from(p)).unwrap();
    for r in [1e-300, 1e-100, 1e-18, 1e-15, 1e-12, 1e-9, 1e-7, 1e-3, 0.05] {
        for p in [0.5, 0.9, 0.99, 0.999] {
            let law = law(r, p);
            let ks = Tensor::arange_start(2, 60_000, (Kind::Double, CPU));
            let exact = double(&law.log_prob(&ks).unwrap().logsumexp(-1, false));
            let (below, above) = law.log_tails(2).unwrap();
            close(&format!("log P(X >= 2) of NB({r:e}, {p})"), double(&above), exact, 1e-9);
            assert!(double(&below) <= 0.0 && double(&below) > -1.0);
        }
    }
    // Odds so large that mass lies beyond the longest sum: then the other side is summed, or there is none.
    for logits in [20.0, 25.0, 28.0, 30.0, 100.0] {
        let law = NegativeBinomial::from_logits(&Tensor::from(1e-9), &Tensor::from(logits)).unwrap();
        let few =
            double(&law.log_prob(&Tensor::arange_start(1, 10, (Kind::Double, CPU))).unwrap().exp().sum(Kind::Double));
        // P(X >= 1) = 1 - (1 - p)^r, where -log(1 - p) is the logits' softplus.
        let exact = -f64::exp_m1(-1e-9 * f64::ln_1p(f64::exp(logits))) - few;
        let above = double(&law.log_tails(10).unwrap().1.exp());
        assert!((above / exact - 1.0).abs() < 1e-7, "P(X >= 10) at logits {logits}: {above:e}, not {exact:e}");
    }
    let poisson = Poisson::new(&Tensor::from(50.0)).unwrap();
    for r in [1e9, 1e12, 1e15, 1e20, 1e29] {
        let law = law(r, 50.0 / (50.0 + r));
        for k in [16, 40, 46, 90] {
            let ((a, b), (c, d)) = (law.log_tails(k).unwrap(), poisson.log_tails(k).unwrap());
            close(&format!("log P(X < {k}) of NB({r:e})"), double(&a), double(&c), 1e-6);
            close(&format!("log P(X >= {k}) of NB({r:e})"), double(&b), double(&d), 1e-6);
        }
    }
}
