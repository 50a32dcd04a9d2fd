//! Parameters from 1e-30 to 1e30, NaN, infinities, nothing at all: an error that names the value, or a finite, correct result.

use crate::common::{FAMILIES, doubles, draws, family, seeded, try_family};
use gengs::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// A number that a network, a file or a user may come up with.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-30.0..30.0f64).prop_map(|exponent| 10f64.powf(exponent)),
        2 => 0.001..0.999f64,
        2 => 0.5..40.0f64,
        1 => (-30.0..30.0f64).prop_map(|exponent| -(10f64.powf(exponent))),
        1 => prop_oneof![
            Just(0.0), Just(-0.0), Just(1.0), Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY),
            Just(f64::MIN_POSITIVE), Just(f64::MAX), Just(5e-324),
        ],
    ]
}

/// A whole number for those families that take one; most often a moderate one.
fn count() -> impl Strategy<Value = f64> {
    prop_oneof![6 => (1..60i64).prop_map(|n| n as f64), 1 => Just(0.0), 1 => Just(-3.0), 1 => Just(1e5), 1 => Just(1e18)]
}

fn window() -> impl Strategy<Value = Truncation> {
    let truncation = prop_oneof![
        (1..30i64).prop_map(Truncation::right),
        (-5..20i64, 0..30i64).prop_map(|(lo, n)| Truncation::between(lo, lo + n)),
        (-12.0..-0.5f64).prop_map(|exponent| Truncation::tail_mass(10f64.powf(exponent))),
    ];
    (truncation, 0..3, any::<bool>()).prop_map(|(truncation, tail, allow_low_mass)| {
        let truncation = if allow_low_mass { truncation.allow_low_mass() } else { truncation };
        match tail {
            0 => truncation,
            1 => truncation.renormalize(),
            _ => truncation.merge_at_mean(),
        }
    })
}

/// An error must say what is wrong with which value; the rest is nothing's fault but ours.
fn is_plain(error: &gengs::Error) -> bool {
    use gengs::Error::{InvalidParameter, Shape, TooLarge, WindowMissesMass};
    matches!(error, InvalidParameter { .. } | Shape { .. } | TooLarge { .. } | WindowMissesMass { .. })
}

/// Everything that a user would ask of a law, finite and consistent.
fn examine(name: &str, values: &[f64], kind: Kind, truncation: &Truncation) -> Result<bool, TestCaseError> {
    let first = FAMILIES.iter().find(|family| family.0 == name).map_or(0, |family| family.2);
    let leaves: Vec<Tensor> = values
        .iter()
        .enumerate()
        .map(|(i, &v)| match i < first {
            true => Tensor::from(v),
            false => Tensor::full([2], v, (Kind::Double, CPU)).to_kind(kind).set_requires_grad(true),
        })
        .collect();
    let law = match try_family(name, &leaves) {
        Ok(law) => law,
        Err(error) => {
            prop_assert!(is_plain(&error), "{error}");
            return Ok(false);
        }
    };
    let q = match TruncatedDistribution::new(law.as_ref(), truncation) {
        Ok(q) => q,
        Err(error) => {
            prop_assert!(is_plain(&error), "{error}");
            return Ok(false);
        }
    };
    let total: Vec<f64> = doubles(&q.log_weights().to_kind(Kind::Double).logsumexp(-1, false));
    prop_assert!(total.iter().all(|total| total.abs() < 1e-5), "log of the total mass {total:?}");
    let (lo, hi) = truncation.resolve(law.as_ref()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let merged = doubles(&q.mean());
    if truncation.tail() != Tail::MergeAtMean {
        let slack = 1e-5 * (lo.abs().max(hi.abs()) as f64 + 1.0);
        prop_assert!(merged.iter().all(|m| *m >= lo as f64 - slack && *m <= hi as f64 + slack), "mean {merged:?}");
    }
    let relaxed =
        Relaxation::new(&q, 0.5).and_then(|r| r.rsample(&[])).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let quantities = [
        ("mean", q.mean()),
        ("variance", q.variance()),
        ("entropy", q.entropy()),
        ("kl", q.kl(&q).map_err(|error| TestCaseError::fail(error.to_string()))?),
        ("relaxed", relaxed),
    ];
    for (what, quantity) in quantities {
        let found = doubles(&quantity);
        // An end atom at its tail's mean may lie beyond what float32 holds.
        let overflows = truncation.tail() == Tail::MergeAtMean && kind != Kind::Double;
        prop_assert!(overflows || found.iter().all(|x| x.is_finite()), "{what} {found:?}");
    }
    Ok(true)
}

#[test]
fn parameters_of_every_size() {
    let _guard = seeded(0);
    let case = (0..FAMILIES.len())
        .prop_flat_map(|i| {
            let (name, typical, first) = FAMILIES[i];
            let counts = proptest::collection::vec(count(), first);
            let values = proptest::collection::vec(value(), typical.len() - first);
            (Just(name), counts, values, prop_oneof![Just(Kind::Float), Just(Kind::Double)], window())
        })
        .no_shrink();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let cases = draws(10_000) as u32;
    let mut runner = TestRunner::new_with_rng(Config { cases, failure_persistence: None, ..Config::default() }, rng);
    let accepted = std::cell::Cell::new(0u32);
    let outcome = runner.run(&case, |(name, counts, values, kind, truncation)| {
        let values = [counts, values].concat();
        accepted.set(accepted.get() + u32::from(examine(name, &values, kind, &truncation)?));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(accepted.get() > cases / 5, "only {} of the laws were accepted", accepted.get());
}

#[test]
fn zero_size_batches() {
    for (name, values, first) in FAMILIES {
        for shape in [vec![0i64], vec![3, 0]] {
            let leaves: Vec<Tensor> = values
                .iter()
                .enumerate()
                .map(|(i, &v)| if i < first { Tensor::from(v) } else { Tensor::full(&shape, v, (Kind::Float, CPU)) })
                .collect();
            let law = family(name, &leaves);
            assert_eq!(law.batch_shape(), shape, "{name}");
            let support = law.support();
            let lo = support.lowest.unwrap_or(-3);
            let window = Truncation::between(lo, support.highest.unwrap_or(9).min(lo + 9));
            for truncation in [window, window.renormalize(), window.merge_at_mean()] {
                let q = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap();
                assert_eq!((q.mean().size(), q.kl(&q).unwrap().size()), (shape.clone(), shape.clone()), "{name}");
                let z = Relaxation::new(&q, 0.5).unwrap().rsample(&[4]).unwrap();
                assert_eq!(z.size(), [&[4][..], &shape[..]].concat(), "{name}");
                assert_eq!(q.truncation_error().unwrap().mean.size(), shape, "{name}");
            }
            assert_eq!(law.sample(&[4]).unwrap().size(), [&[4][..], &shape[..]].concat(), "{name}");
            let message = Truncation::tail_mass(1e-3).resolve(law.as_ref()).unwrap_err().to_string();
            assert!(message.contains("at least one row"), "{name}: {message}");
        }
    }
    let multinomial = Multinomial::new(3, &Tensor::ones([0, 4], (Kind::Float, CPU))).unwrap();
    for scheme in [Scheme::Enumeration, Scheme::Categoricals, Scheme::ConditionalBinomials] {
        let z = MultinomialRelaxation::new(&multinomial, scheme, 0.5).unwrap().rsample(&[2]).unwrap();
        assert_eq!(z.size(), [2, 0, 4], "{scheme:?}");
    }
    assert_eq!(multinomial.sample(&[2]).unwrap().size(), [2, 0, 4]);
}
