//! Windows, tails, and the finite law that is left.

use crate::common::{close, double, doubles};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

fn poisson(rates: &[f64]) -> Poisson {
    Poisson::new(&Tensor::from_slice(rates)).unwrap()
}

#[test]
fn a_window_that_misses_the_mass_is_an_error_unless_asked_for() {
    let law = poisson(&[2.0, 40.0]);
    let message = TruncatedDistribution::new(&law, &Truncation::right(12)).unwrap_err().to_string();
    assert!(
        message.contains("0..=11") && message.contains("mean 40") && message.contains("allow_low_mass"),
        "{message}"
    );
    let q = TruncatedDistribution::new(&law, &Truncation::right(12).allow_low_mass()).unwrap();
    // Merged, the last atom takes what is beyond.
    close("mean of the row that fits", doubles(&q.mean())[0], 2.0, 1e-5);
    close("mean of the row that does not", doubles(&q.mean())[1], 11.0, 1e-6);
    let renormalised = TruncatedDistribution::new(&law, &Truncation::right(12).allow_low_mass().renormalize()).unwrap();
    close("total", doubles(&renormalised.log_weights().exp()).iter().sum(), 2.0, 1e-12);
}

#[test]
fn windows_outside_the_support_are_errors() {
    let law = Binomial::new(5, &Tensor::from(0.5)).unwrap();
    for truncation in [
        Truncation::right(0),
        Truncation::between(3, 2),
        Truncation::between(-1, 2),
        Truncation::between(0, 6),
        Truncation::tail_mass(0.0),
        Truncation::tail_mass(f64::NAN),
        Truncation::tail_mass(1.0),
    ] {
        let message = TruncatedDistribution::new(&law, &truncation).unwrap_err().to_string();
        assert!(message.contains("must be"), "{truncation:?}: {message}");
    }
    // More atoms than there are is all of them.
    assert_eq!(TruncatedDistribution::new(&law, &Truncation::right(50)).unwrap().len(), 6);
}

#[test]
fn tail_mass_finds_the_smallest_window_that_holds() {
    for (rates, eps) in
        [(vec![2.0], 1e-6), (vec![1e-4], 1e-6), (vec![1000.0], 1e-6), (vec![1e6], 1e-6), (vec![0.1, 300.0], 1e-4)]
    {
        let law = poisson(&rates);
        let (lo, hi) = Truncation::tail_mass(eps).resolve(&law).unwrap();
        let outside = |lo: i64, hi: i64| {
            let mass = law.log_tails(lo).unwrap().0.exp() + law.log_tails(hi + 1).unwrap().1.exp();
            double(&mass.max())
        };
        assert!(outside(lo, hi) <= eps, "{rates:?}: {lo}..={hi} leaves {}", outside(lo, hi));
        assert!(
            outside(lo, hi - 1) > eps / 2.0 && (lo == 0 || outside(lo + 1, hi) > eps / 2.0),
            "{rates:?}: {lo}..={hi} is too wide"
        );
        if rates == [1e6] {
            assert!(hi - lo < 11_000, "{lo}..={hi}");
            let mean = double(&TruncatedDistribution::new(&law, &Truncation::between(lo, hi)).unwrap().mean());
            close("mean at a rate of a million", mean, 1e6, 1e-6);
        }
    }
    let (lo, hi) = Truncation::tail_mass(1e-3).resolve(&Binomial::new(100, &Tensor::from(0.5)).unwrap()).unwrap();
    // P(X <= 33) = 0.000437, P(X <= 34) = 0.000895, by scipy.stats.binom.
    assert_eq!((lo, hi), (34, 66));
    let empty = Poisson::new(&Tensor::zeros([0], (Kind::Double, CPU))).unwrap();
    assert!(Truncation::tail_mass(1e-3).resolve(&empty).unwrap_err().to_string().contains("at least one row"));
}

/// At a scale of a million, windows are as wide as the law, not as its mean; the mean is right to what is stated, and to rounding.
#[test]
fn windows_follow_the_width_of_the_law() {
    let t = |x: f64| Tensor::from(x);
    let laws: [Box<dyn Distribution>; 7] = [
        Box::new(Poisson::new(&t(1e6)).unwrap()),
        Box::new(ConwayMaxwellPoisson::new(&t(1e6), &t(1.0)).unwrap()),
        Box::new(Skellam::new(&t(1e6), &t(2e5)).unwrap()),
        Box::new(DiscretizedLogistic::new(&t(1e6), &t(300.0)).unwrap()),
        Box::new(Binomial::new(10_000_000, &t(0.1)).unwrap()),
        Box::new(Hypergeometric::new(2_000_000, &t(1e8), &t(5e7)).unwrap()),
        Box::new(BetaBinomial::new(2_000_000, &t(5e6), &t(5e6)).unwrap()),
    ];
    for law in laws {
        let q = TruncatedDistribution::new(law.as_ref(), &Truncation::tail_mass(1e-6)).unwrap();
        assert!(q.len() < 20_000, "{}: {} atoms", law.name(), q.len());
        let (mean, exact) = (double(&q.mean()), double(&law.mean()));
        let stated = double(&q.truncation_error().unwrap().mean);
        assert!((mean - exact).abs() <= stated + 1e-8 * exact, "{}: mean {mean}", law.name());
    }
}

#[test]
fn both_tails_are_merged_into_the_ends() {
    let law = poisson(&[20.0]);
    let (lo, hi) = (15, 28);
    let q = TruncatedDistribution::new(&law, &Truncation::between(lo, hi)).unwrap();
    let pmf = doubles(&law.log_prob(&Tensor::arange(200, (Kind::Double, CPU))).unwrap().exp());
    let weights = doubles(&q.log_weights().exp());
    close("first", weights[0], pmf[..=15].iter().sum(), 1e-13);
    close("last", weights[13], pmf[28..].iter().sum(), 1e-13);
    for k in 16..28 {
        close("interior", weights[k - 15], pmf[k], 1e-13);
    }
}

#[test]
fn a_single_atom_is_certain() {
    for truncation in [Truncation::right(1), Truncation::between(3, 3)] {
        let q = TruncatedDistribution::new(&poisson(&[3.0]), &truncation.allow_low_mass()).unwrap();
        assert_eq!(doubles(q.log_weights()), [0.0]);
    }
}

#[test]
fn kl_and_entropy_are_the_plain_sums() {
    let truncation = Truncation::right(10);
    let q = TruncatedDistribution::new(&poisson(&[1.5, 4.0]), &truncation).unwrap();
    let p = TruncatedDistribution::new(&poisson(&[2.0]), &truncation).unwrap();
    let weights = |law: &TruncatedDistribution, row: i64| doubles(&law.log_weights().select(0, row).exp());
    let (kl, entropy) = (doubles(&q.kl(&p).unwrap()), doubles(&q.entropy()));
    for row in 0..2 {
        let (a, b) = (weights(&q, row as i64), weights(&p, 0));
        close("kl", kl[row], a.iter().zip(&b).map(|(a, b)| a * (a / b).ln()).sum(), 1e-12);
        close("entropy", entropy[row], -a.iter().map(|a| a * a.ln()).sum::<f64>(), 1e-12);
    }
    assert!(doubles(&q.kl(&q).unwrap()).iter().all(|&kl| kl == 0.0));
    let other = TruncatedDistribution::new(&poisson(&[2.0]), &Truncation::right(11)).unwrap();
    let message = q.kl(&other).unwrap_err().to_string();
    assert!(message.contains("0..=9") && message.contains("0..=10"), "{message}");
}

#[test]
fn excluded_classes_cost_nothing() {
    let minus = f64::NEG_INFINITY;
    let logits = Tensor::from_slice(&[0.0, minus, 1.0]).set_requires_grad(true);
    let q = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    let p = TruncatedDistribution::from_logits(&Tensor::from_slice(&[0.3, minus, 0.0]), 0).unwrap();
    let everywhere = TruncatedDistribution::from_logits(&Tensor::zeros([3], (Kind::Double, CPU)), 0).unwrap();
    let total = q.entropy() + q.kl(&p).unwrap() + q.kl(&everywhere).unwrap();
    assert!(double(&total).is_finite());
    let gradient = Tensor::run_backward(&[total], &[&logits], false, false).remove(0);
    assert!(doubles(&gradient).iter().all(|g| g.is_finite()), "{gradient:?}");
    assert_eq!(double(&everywhere.kl(&q).unwrap()), f64::INFINITY);
}

#[test]
fn log_prob_of_a_hard_sample_is_its_log_weight() {
    let q = TruncatedDistribution::new(&poisson(&[1.5, 4.0]), &Truncation::between(0, 9)).unwrap();
    let z = Tensor::from_slice(&[3.0, 0.0, 9.0, 5.0]).reshape([2, 2]);
    let expected: Vec<f64> = [(0, 3), (1, 0), (0, 9), (1, 5)]
        .iter()
        .map(|&(row, k)| double(&q.log_weights().select(0, row).select(0, k)))
        .collect();
    assert_eq!(doubles(&q.log_prob(&z).unwrap()), expected);
    let one_hot = TruncatedDistribution::one_hot(&Tensor::from_slice(&[0.0, 2.0, 1.0])).unwrap();
    let vector = Tensor::from_slice(&[0.0, 0.0, 1.0]);
    assert_eq!(double(&one_hot.log_prob(&vector).unwrap()), double(&one_hot.log_weights().select(0, 2)));
    assert_eq!(doubles(&one_hot.mean()), doubles(&one_hot.log_weights().exp()));
}

#[test]
fn logits_need_an_atom_dimension() {
    for wrong in [Tensor::from(1.0), Tensor::zeros([3, 0], (Kind::Float, CPU)), Tensor::from_slice(&[1i64, 2])] {
        assert!(TruncatedDistribution::from_logits(&wrong, 0).is_err());
        assert!(TruncatedDistribution::one_hot(&wrong).is_err());
    }
}

/// What is no atom has no mass, and a value broadcasts as for the law itself.
#[test]
fn log_prob_between_the_atoms_is_minus_infinity() {
    let law = Poisson::new(&Tensor::from_slice(&[0.5, 2.0, 6.0])).unwrap();
    let q = TruncatedDistribution::new(&law, &Truncation::right(20)).unwrap();
    for wrong in [2.7, -0.5, -1.0, 20.0, 1e300, f64::NAN, f64::INFINITY] {
        let found = doubles(&q.log_prob(&Tensor::from(wrong)).unwrap());
        assert_eq!(found, [f64::NEG_INFINITY; 3], "{wrong}");
    }
    let column = Tensor::from_slice(&[0.0, 1.0, 2.0, 3.0]).reshape([4, 1]);
    let found = q.log_prob(&column).unwrap();
    assert_eq!(found.size(), [4, 3]);
    for (a, b) in doubles(&found).iter().zip(doubles(&law.log_prob(&column).unwrap())) {
        close("interior", *a, b, 1e-12);
    }
    assert_eq!(doubles(&q.log_prob(&Tensor::from_slice(&[2i64, 2, 2])).unwrap()), doubles(&found.select(0, 2)));
    assert!(q.log_prob(&Tensor::zeros([4], (Kind::Double, CPU))).unwrap_err().to_string().contains("batch shape"));

    let one_hot = TruncatedDistribution::one_hot(&Tensor::from_slice(&[0.0, 1.0, 2.0])).unwrap();
    for wrong in [[0.0, 0.0, 0.0], [0.3, 0.3, 0.4], [1.0, 1.0, 0.0], [0.0, 2.0, 0.0]] {
        assert_eq!(double(&one_hot.log_prob(&Tensor::from_slice(&wrong)).unwrap()), f64::NEG_INFINITY, "{wrong:?}");
    }
    assert!(one_hot.log_prob(&Tensor::from_slice(&[0.0, 1.0])).unwrap_err().to_string().contains("[3]"));
    assert!(one_hot.log_prob(&Tensor::from(2.0)).is_err());

    // Atoms at their tails' means are atoms of their own row alone.
    let moved = TruncatedDistribution::new(&law, &Truncation::right(8).merge_at_mean()).unwrap();
    let last = moved.atoms().select(-1, 7);
    assert_eq!(doubles(&moved.log_prob(&last).unwrap()), doubles(&moved.log_weights().select(-1, 7)));
    assert_eq!(doubles(&moved.log_prob(&Tensor::from(7.0)).unwrap()), [f64::NEG_INFINITY; 3]);
}

/// Logits that are no law are refused, not drawn from.
#[test]
fn logits_without_a_law_are_refused() {
    let (nan, minus) = (f64::NAN, f64::NEG_INFINITY);
    for wrong in [[0.0, nan, 1.0], [minus; 3], [0.0, f64::INFINITY, 0.0]] {
        let logits = Tensor::from_slice(&wrong);
        for refused in [TruncatedDistribution::from_logits(&logits, 0), TruncatedDistribution::one_hot(&logits)] {
            assert!(refused.unwrap_err().to_string().contains("logit"), "{wrong:?}");
        }
    }
    for lowest in [i64::MAX, i64::MIN, 1 << 40] {
        assert!(TruncatedDistribution::from_logits(&Tensor::from_slice(&[0.0, 1.0]), lowest).is_err());
    }
}

/// An expectation is of one number for each atom, of any real kind.
#[test]
fn expectations_of_other_shapes_are_refused() {
    let rate = Tensor::from_slice(&[1.0f32, 2.0]);
    let q = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(6)).unwrap();
    for shape in [&[][..], &[5], &[6, 1], &[3, 6], &[2, 2, 6]] {
        let message = q.expectation(|_| Tensor::zeros(shape, (Kind::Float, CPU))).unwrap_err().to_string();
        assert!(message.contains("one number per atom"), "{shape:?}: {message}");
    }
    let mean = doubles(&q.mean());
    for kind in [Kind::Double, Kind::Int64, Kind::Half] {
        let found = q.expectation(|z| z.to_kind(kind)).unwrap();
        assert_eq!(found.kind(), Kind::Float);
        close("mean", doubles(&found)[1], mean[1], 1e-6);
    }
}

/// Mean and derivatives of laws far from zero are right to the rounding of their deviations, not of their counts.
#[test]
fn means_far_from_zero_keep_their_digits() {
    let leaf = |x: f64| Tensor::from(x).set_requires_grad(true);
    let mean_of = |law: &dyn Distribution, truncation: Truncation, leaf: &Tensor| {
        let mean = TruncatedDistribution::new(law, &truncation).unwrap().mean();
        (double(&mean), double(&Tensor::run_backward(&[&mean], &[leaf], true, false)[0]))
    };
    let close = |what: &str, found: f64, exact: f64, bound: f64| {
        assert!((found - exact).abs() <= bound * exact.abs(), "{what}: {found}, not {exact}");
    };
    let merged = || Truncation::tail_mass(1e-12).merge_at_mean();

    let probs = leaf(0.999_999);
    let (mean, slope) = mean_of(&Binomial::new(1_000_000, &probs).unwrap(), merged(), &probs);
    close("mean of a binomial", mean, 999_999.0, 1e-12);
    close("its derivative", slope, 1e6, 1e-6);

    let rate = leaf(1e7);
    let (mean, slope) = mean_of(&Poisson::new(&rate).unwrap(), merged(), &rate);
    close("mean of a Poisson", mean, 1e7, 1e-10);
    close("its derivative", slope, 1.0, 1e-6);

    let first = leaf(1e-10);
    let law = Skellam::new(&first, &Tensor::from(1e4)).unwrap();
    let (mean, slope) = mean_of(&law, merged(), &first);
    close("mean of a Skellam", mean, 1e-10 - 1e4, 1e-10);
    close("its derivative", slope, 1.0, 1e-5);
}
