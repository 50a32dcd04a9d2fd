//! The estimators against the exact gradient: bias by z-score, variance by what theory and peers say.

use crate::common::{double, doubles, draws, seeded};
use gengs::estimators::{EstimatorKind, Expectation, Setting};
use gengs::laboratory::{Certificate, Measurement, ObjectiveKind, Problem, ProblemConfig, certify};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

use EstimatorKind as E;
use ObjectiveKind::{Constant, Floor, Network, Quadratic, Sigmoid, Step};

fn problem(family: &str, parameters: &[f64], latents: i64, objective: ObjectiveKind, atoms: Option<i64>) -> Problem {
    problem_in(Kind::Double, family, parameters, latents, objective, atoms)
}

fn problem_in(
    kind: Kind,
    family: &str,
    parameters: &[f64],
    latents: i64,
    objective: ObjectiveKind,
    atoms: Option<i64>,
) -> Problem {
    let config = ProblemConfig {
        family: family.into(),
        parameters: parameters.to_vec(),
        truncation: atoms.map(Truncation::right),
        latents,
        objective,
        target: 4.0,
        kind,
    };
    Problem::new(&config).unwrap()
}

fn measure(problem: &Problem, estimator: EstimatorKind, temperature: f64, draws: i64) -> Vec<Certificate> {
    let _guard = seeded(0);
    // Calls of a thousand estimates.
    let warm_up = draws.div_euclid(2_000).clamp(5, 100);
    let how = Measurement { estimator, temperature, samples: None, draws, warm_up, seed: 1 };
    certify(problem, &how).unwrap()
}

/// Estimators whose expectation is the exact gradient of one latent.
fn unbiased() -> impl Iterator<Item = EstimatorKind> {
    E::ALL.into_iter().filter(|kind| kind.is_unbiased(1) && *kind != E::Exact)
}

/// Eight families, in windows of about ten atoms: bias does not depend on the size of the window, time does.
const LAWS: [(&str, &[f64], Option<i64>); 8] = [
    ("poisson", &[2.0], Some(10)),
    ("geometric", &[0.5], Some(10)),
    ("negative-binomial", &[3.0, 0.4], Some(10)),
    ("binomial", &[6.0, 0.4], None),
    ("bernoulli", &[0.35], None),
    ("categorical", &[0.1, -0.4, 0.9, 0.3, -1.0], None),
    ("beta-binomial", &[6.0, 2.0, 3.0], None),
    ("zero-inflated-poisson", &[0.3, 2.5], Some(10)),
];

/// Every unbiased estimator on every law and objective; fails with the worst.
fn none_is_refuted(draws: i64) {
    let mut refuted = Vec::new();
    let mut measured = 0;
    for (family, parameters, atoms) in LAWS {
        for objective in [Quadratic, Sigmoid, Network] {
            // Float32: rounding is a thousandth of a standard error, and draws take half the time.
            let problem = problem_in(Kind::Float, family, parameters, 1, objective, atoms);
            // One at a time is all at once where there is one.
            for estimator in unbiased().filter(|&kind| !matches!(kind, E::GoOne | E::GoDequantizedOne)) {
                for certificate in measure(&problem, estimator, 1.0, draws) {
                    measured += 1;
                    assert!(certificate.claims_unbiased && certificate.std > 0.0, "{certificate:?}");
                    if certificate.is_refuted() {
                        refuted.push(certificate);
                    }
                }
            }
        }
    }
    assert!(refuted.is_empty(), "{refuted:#?}");
    assert_eq!(measured, 3 * 11 * 15, "certificates");
}

#[test]
fn estimators_that_claim_to_be_unbiased_are() {
    none_is_refuted(draws(200_000));
}

#[test]
#[ignore = "ten million draws for each of 495 gradients: an hour of one core"]
fn estimators_that_claim_to_be_unbiased_are_in_ten_million_draws() {
    none_is_refuted(10_000_000);
}

/// Several coupled latents: what claims to be unbiased is; GO with all of them dequantised at once does not claim it, and is not.
#[test]
fn coupled_latents() {
    let problem = problem("poisson", &[1.5], 3, Network, Some(8));
    for estimator in E::ALL.into_iter().filter(|kind| kind.is_unbiased(3) && *kind != E::Vimco) {
        for certificate in measure(&problem, estimator, 1.0, draws(200_000)) {
            assert!(!certificate.is_refuted(), "{certificate:?}");
        }
    }
    assert!(!E::GoDequantized.is_unbiased(3));
    let go = &measure(&problem, E::GoDequantized, 1.0, 200_000)[0];
    assert!(go.z.abs() > 8.0, "{go:?}");
}

/// An atom that was hardly drawn, or never, refutes nobody: its whole part of the gradient is missing then, whatever the baseline.
#[test]
fn atoms_that_were_hardly_drawn_refute_no_claim() {
    let laws: [(&str, &[f64]); 11] = [
        ("bernoulli", &[1e-7]),
        ("bernoulli", &[1e-4]),
        ("bernoulli", &[3e-4]),
        ("poisson", &[1e-9]),
        ("geometric", &[0.999999999]),
        ("skellam", &[1e-3, 1e-3]),
        ("beta-binomial", &[9.0, 1e-6, 1.0]),
        ("beta-binomial", &[9.0, 0.0005, 1.0]),
        ("categorical", &[0.0, 15.0, 0.0]),
        ("categorical", &[-30.0, 0.0, 30.0, 0.0]),
        ("zero-inflated-poisson", &[0.9999, 3.0]),
    ];
    for (family, parameters) in laws {
        for objective in [Quadratic, Constant] {
            let mut problem = problem(family, parameters, 1, objective, None);
            if family == "bernoulli" {
                let config = ProblemConfig { target: 1.0, ..problem.config().clone() };
                problem = Problem::new(&config).unwrap();
            }
            for estimator in unbiased().filter(|&kind| problem.admits(kind)) {
                for seed in 0..draws(40).min(10) / 2 {
                    let _guard = seeded(0);
                    let how =
                        Measurement { estimator, temperature: 0.5, samples: None, draws: 2_000, warm_up: 1, seed };
                    for certificate in certify(&problem, &how).unwrap() {
                        assert!(!certificate.is_refuted(), "{certificate:?}");
                    }
                }
            }
        }
    }
}

/// Around the mean of the objective, no digits are lost to its size.
#[test]
fn the_exact_gradient_is_exact_for_large_counts_and_for_constants() {
    for rate in [1e5, 1e6, 1e7] {
        let exact = measure(&problem("poisson", &[rate], 1, Quadratic, None), E::Exact, 1.0, 2)[0].exact;
        // The derivative of rate + (rate - 4)^2; all but 1e-9 of the mass is in the window.
        let expected = 1.0 + 2.0 * (rate - 4.0);
        assert!((exact / expected - 1.0).abs() < 2e-8, "{exact}, not {expected}");
    }
    for logits in [[0.0, 15.0, 0.0], [0.0, 20.0, 0.0], [-30.0, 0.0, 30.0]] {
        for c in measure(&problem("categorical", &logits, 1, Constant, None), E::Exact, 1.0, 2) {
            assert_eq!(c.exact, 0.0, "{c:?}");
        }
    }
}

/// A counter-proof: a biased estimator is found out by the same measurement.
#[test]
fn bias_is_found() {
    let problem = problem("poisson", &[5.0], 1, Quadratic, None);
    let certificate = &measure(&problem, E::Gengs, 0.5, draws(400_000))[0];
    // Forty standard errors of 400,000 draws, and at least half of them.
    let bound = -20.0 * (certificate.draws as f64 / 400_000.0).sqrt();
    assert!(certificate.z < bound && !certificate.claims_unbiased && !certificate.is_refuted(), "{certificate:?}");
}

#[test]
fn reinmax_is_unbiased_for_quadratics() {
    for (family, parameters, atoms) in LAWS {
        let problem = problem(family, parameters, 1, Quadratic, atoms);
        for certificate in measure(&problem, E::ReinMax, 1.0, draws(400_000)) {
            assert!(certificate.z.abs() < 4.0, "{certificate:?}");
        }
    }
}

/// For the Poisson the flow past an atom is its own mass, so that the estimate is `f'(z + u)`: for `(z - 4)^2` its variance is `4 (rate + 1/12)`.
#[test]
fn go_has_the_variance_of_the_slope() {
    for (rate, exact, at_most) in [(0.5, -6.0, 1.6), (5.0, 3.0, 4.6), (30.0, 53.0, 11.2)] {
        let problem = problem("poisson", &[rate], 1, Quadratic, None);
        let c = &measure(&problem, E::GoDequantized, 1.0, draws(400_000))[0];
        let std = (4.0f64 * (rate + 1.0 / 12.0)).sqrt();
        assert!((c.exact - exact).abs() < 1e-5 && c.z.abs() < 4.0, "{c:?}");
        // The standard error of a standard deviation, of a law whose kurtosis is at most 3 + 1 / rate.
        let error = std * ((2.0 + 1.0 / rate) / 4.0 / c.draws as f64).sqrt();
        assert!((c.std - std).abs() < 4.0 * error && c.std <= at_most, "{c:?}: not {std}");
    }
}

/// A Poisson process counted by `h` has mean `rate` and variance `rate (1 - 9/35 t)` at temperature `t < 1` (Campbell's theorem: the integrals of the cubic
/// and of its square), so that the gradient of `(z - 4)^2` is off by `-9/35 t` at every rate. The standard deviations are those of
/// 400,000 draws of an implementation in PyTorch, where it drew arrivals enough.
#[test]
fn cubic_arrival_times_have_the_bias_of_the_process() {
    let rows = [
        (0.5, 0.5, Some(9.6)),
        (0.5, 0.1, Some(21.0)),
        (5.0, 0.5, Some(5.5)),
        (5.0, 0.1, Some(7.8)),
        (30.0, 0.5, None),
        (30.0, 0.1, Some(28.0)),
    ];
    for (rate, temperature, std) in rows {
        let problem = problem("poisson", &[rate], 1, Quadratic, None);
        let c = &measure(&problem, E::EatCubic, temperature, draws(400_000))[0];
        let error = c.std / (c.draws as f64).sqrt();
        assert!((c.bias + 9.0 / 35.0 * temperature).abs() < 4.0 * error, "{c:?}");
        // Two digits were noted down.
        assert!(std.is_none_or(|std: f64| (c.std / std - 1.0).abs() < 0.05), "{c:?}: standard deviation {std:?}");
    }
}

/// Three times less than leave-one-out for as many evaluations of `f`.
#[test]
fn a_learned_control_variate_of_dequantised_counts_beats_leave_one_out() {
    let problem = problem("poisson", &[5.0], 1, Quadratic, None);
    let how = |estimator, warm_up| Measurement {
        estimator,
        temperature: 1.0,
        samples: None,
        draws: draws(200_000),
        warm_up,
        seed: 3,
    };
    let guard = seeded(0);
    let leave_one_out = certify(&problem, &how(E::ReinforceLoo, 0)).unwrap().remove(0);
    let relax = certify(&problem, &how(E::RelaxDequantized, 500)).unwrap().remove(0);
    drop(guard);
    assert!(!relax.is_refuted(), "{relax:?}");
    let at_equal_cost = |c: &Certificate| c.std * (c.evaluations as f64).sqrt();
    let ratio = at_equal_cost(&leave_one_out) / at_equal_cost(&relax);
    assert!(ratio > 3.0, "{ratio}: {leave_one_out:?} {relax:?}");
}

/// REBAR's scale and temperature descend its variance.
#[test]
fn rebar_learns() {
    let problem = problem("poisson", &[5.0], 1, Quadratic, None);
    let std = |warm_up| {
        let _guard = seeded(0);
        let how = Measurement {
            estimator: E::Rebar,
            temperature: 0.5,
            samples: None,
            draws: draws(40_000),
            warm_up,
            seed: 5,
        };
        certify(&problem, &how).unwrap()[0].std
    };
    let (before, after) = (std(0), std(400));
    assert!(after < 0.8 * before, "{before} before, {after} after");
}

/// Gumbel-Rao has the expectation of straight-through and less variance.
#[test]
fn gumbel_rao_is_straight_through_with_less_variance() {
    let problem = problem("binomial", &[6.0, 0.4], 1, Sigmoid, None);
    let st = &measure(&problem, E::GengsSt, 0.5, draws(400_000))[0];
    let rao = &measure(&problem, E::GumbelRao, 0.5, draws(100_000))[0];
    let error = (st.std * st.std / st.draws as f64 + rao.std * rao.std / rao.draws as f64).sqrt();
    assert!((st.mean - rao.mean).abs() < 4.0 * error, "{st:?} {rao:?}");
    assert!(rao.std < 0.8 * st.std, "{st:?} {rao:?}");
}

fn setting(width: i64) -> Setting {
    Setting { width, features: None, temperature: 0.5, device: Device::Cpu }
}

/// `f`'s own parameters get the gradient of `E f` at integers, from every estimator whose `f` sees integers; the surrogate's value is an estimate
/// of `E f`.
#[test]
fn the_functions_own_parameters_are_trained_too() {
    let rate = Tensor::full([20_000, 2], 2.0, (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let distribution = Poisson::new(&rate).unwrap();
    let law = TruncatedDistribution::new(&distribution, &Truncation::right(12)).unwrap();
    let second_moments: f64 = doubles(&law.expectation(Tensor::square).unwrap().select(0, 0)).iter().sum();
    let square = |z: &Tensor, a: &Tensor| z.square().sum_dim_intlist(-1, false, None::<Kind>) * a;
    for kind in
        E::ALL.into_iter().filter(|kind| !matches!(kind, E::Exact | E::Gengs | E::EatSigmoid | E::EatCubic | E::Vimco))
    {
        let _guard = seeded(2);
        let a = Tensor::from(1.5).set_requires_grad(true);
        let f = |z: &Tensor| square(z, &a);
        let expectation = Expectation::new(&law, &f).unwrap().samples(2).unwrap().distribution(&distribution);
        let estimate = kind.build(&setting(2)).unwrap().estimate(&expectation).unwrap();
        assert_eq!(estimate.surrogate.size(), [20_000], "{kind}");
        let mean = estimate.surrogate.mean(Kind::Double);
        let slope = double(&Tensor::run_backward(&[&mean], &[&a], true, false)[0]);
        // 40,000 independent rows of squares whose variance is below 300.
        let error = (300.0f64 / 40_000.0).sqrt();
        assert!((slope - second_moments).abs() < 4.0 * error, "{kind}: {slope}, not {second_moments}");
        assert!((double(&mean) - 1.5 * second_moments).abs() < 6.0 * error, "{kind}: {mean:?}");
        assert!(estimate.info.evaluations >= 2, "{kind}");
    }
}

/// Vectors: the multinomial's outcomes, through all estimators that take them.
#[test]
fn vectors_are_latents_too() {
    let problem = problem("multinomial", &[3.0, 0.7, 0.2, 0.1], 1, Network, None);
    let mut measured = 0;
    for kind in E::ALL.into_iter().filter(|&kind| problem.admits(kind)) {
        for certificate in measure(&problem, kind, 0.5, draws(100_000)) {
            assert!(!certificate.is_refuted(), "{certificate:?}");
            assert!(certificate.cosine > 0.0, "{certificate:?}");
            measured += 1;
        }
    }
    assert_eq!(measured, 17 * 3);
}

#[test]
fn what_does_not_fit_is_an_error_in_one_sentence() {
    let law = TruncatedDistribution::from_logits(&Tensor::zeros([3, 2, 4], (Kind::Float, Device::Cpu)), 0).unwrap();
    let scalar = TruncatedDistribution::from_logits(&Tensor::zeros([4], (Kind::Float, Device::Cpu)), 0).unwrap();
    let one_hot = TruncatedDistribution::one_hot(&Tensor::zeros([3, 2, 4], (Kind::Float, Device::Cpu))).unwrap();
    let sum = |z: &Tensor| z.sum_dim_intlist(-1, false, None::<Kind>);
    let wrong = |z: &Tensor| z.shallow_clone();
    let estimate = |kind: EstimatorKind, law: &TruncatedDistribution, f: &dyn Fn(&Tensor) -> Tensor| {
        kind.build(&setting(2)).unwrap().estimate(&Expectation::new(law, f).unwrap()).unwrap_err().to_string()
    };
    assert!(Expectation::new(&scalar, &sum).unwrap_err().to_string().contains("[rows..., latents]"));
    assert!(Expectation::new(&law, &sum).unwrap().samples(0).unwrap_err().to_string().contains("at least 1"));
    assert!(estimate(E::Gengs, &law, &wrong).contains("one number for each sample of each row"));
    assert!(estimate(E::ReinforceLoo, &law, &sum).contains("at least 2"));
    assert!(estimate(E::Vimco, &law, &sum).contains("at least 2"));
    assert!(estimate(E::GoDequantized, &one_hot, &sum).contains("successive integers"));
    assert!(estimate(E::EatCubic, &law, &sum).contains("a `Poisson`"));
    let wide = TruncatedDistribution::from_logits(&Tensor::zeros([1, 9, 12], (Kind::Float, Device::Cpu)), 0).unwrap();
    assert!(estimate(E::Exact, &wide, &sum).contains("12^9"));
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for kind in [E::Gengs, E::GumbelRao, E::EatCubic, E::Rebar, E::Relax] {
            let error = kind.build(&Setting { temperature, ..setting(2) }).unwrap_err().to_string();
            assert!(error.contains("temperature") && error.contains("positive"), "{kind}: {error}");
        }
    }
}

/// The surrogate's gradient in a leaf, `[rows, latents, ...]`, averaged over the rows, and its standard errors.
fn gradient(kind: EstimatorKind, of: &Expectation<'_>, leaf: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let mut estimator = kind.build(&setting(leaf.size()[1])).unwrap();
    let surrogate = estimator.estimate(of).unwrap().surrogate;
    let each = Tensor::run_backward(&[surrogate.sum(Kind::Double)], &[leaf], true, false).remove(0);
    let rows = each.size()[0] as f64;
    let errors: Tensor = each.std_dim([0].as_slice(), true, false) / rows.sqrt();
    (doubles(&each.mean_dim(0, false, Kind::Double)), doubles(&errors))
}

/// GO by differences has the exact gradient of three coupled latents, by enumeration: for integers, one-hot vectors and moved ends, of functions
/// with and without a slope.
#[test]
fn differences_from_atom_to_atom_are_unbiased_for_any_atoms() {
    let _guard = seeded(11);
    let rows = 20_000;
    let logits =
        Tensor::from_slice(&[0.3, -0.8, 0.5, 0.1, 1.0, 0.0, -0.4, 0.2, -2.0, 0.4, 0.9, -0.1]).reshape([1, 3, 4]);
    let leaf = logits.expand([rows, 3, 4], false).copy().set_requires_grad(true);
    let rate = Tensor::from_slice(&[0.5, 1.5, 3.0]).expand([rows, 3], false).copy().set_requires_grad(true);
    let poisson = Poisson::new(&rate).unwrap();
    let moved_ends = Truncation::right(5).merge_at_mean().allow_low_mass();
    let laws = [
        (TruncatedDistribution::from_logits(&leaf, -1).unwrap(), &leaf),
        (TruncatedDistribution::one_hot(&leaf).unwrap(), &leaf),
        (TruncatedDistribution::new(&poisson, &Truncation::right(6).allow_low_mass()).unwrap(), &rate),
        (TruncatedDistribution::new(&poisson, &moved_ends).unwrap(), &rate),
    ];
    for (law, leaf) in laws {
        let vectors = law.atoms().size() == [4, 4];
        // One number a latent, so that the latents are coupled alike for all atoms.
        let numbers = |z: &Tensor| {
            let weights = Tensor::from_slice(&[0.0, 1.0, -1.0, 2.0]);
            if vectors { z.matmul(&weights) } else { z.shallow_clone() }
        };
        let step = |z: &Tensor| numbers(z).sum_dim_intlist(-1, false, Kind::Double).ge(2.0).to_kind(Kind::Double);
        let floor = |z: &Tensor| (numbers(z) / 2.0).floor().prod_dim_int(-1, false, Kind::Double);
        let smooth = |z: &Tensor| numbers(z).sum_dim_intlist(-1, false, Kind::Double).sin();
        for f in [&step as &dyn Fn(&Tensor) -> Tensor, &floor, &smooth] {
            let of = Expectation::new(&law, f).unwrap();
            let first = Expectation::new(&law, f).unwrap();
            let (exact, _) = gradient(E::Exact, &first, leaf);
            for kind in [E::Go, E::GoOne] {
                let (mean, error) = gradient(kind, &of, leaf);
                for ((mean, exact), error) in mean.iter().zip(&exact).zip(&error) {
                    assert!(
                        (mean - exact).abs() < 4.5 * error + 1e-12,
                        "{kind} {law:?}: {mean}, not {exact}, +- {error}"
                    );
                }
            }
        }
    }
}

/// Whoever claims to be unbiased is, for laws that leave out atoms, hold next to no mass between two modes, or move their end atoms; and
/// straight-through has the expectation of its average.
#[test]
fn claims_hold_for_laws_with_gaps_and_moved_ends() {
    let _guard = seeded(12);
    const NONE: f64 = f64::NEG_INFINITY;
    // Laws of so many equal rows, with their parameter.
    type Law = Box<dyn Fn(i64) -> (TruncatedDistribution, Tensor)>;
    let leaf = |rows: i64, one: &[f64], latents: i64, own: &[i64]| {
        let one = Tensor::from_slice(one).reshape([&[1, latents], own].concat());
        one.expand([&[rows, latents], own].concat(), false).copy().set_requires_grad(true)
    };
    let from_logits = |logits: &'static [f64], latents: i64| -> Law {
        Box::new(move |rows| {
            let leaf = leaf(rows, logits, latents, &[logits.len() as i64 / latents]);
            (TruncatedDistribution::from_logits(&leaf, -1).unwrap(), leaf)
        })
    };
    let moved = |truncation: Truncation, rates: &'static [f64]| -> Law {
        Box::new(move |rows| {
            let leaf = leaf(rows, rates, rates.len() as i64, &[]);
            let law = Poisson::new(&leaf).unwrap();
            (TruncatedDistribution::new(&law, &truncation.merge_at_mean().allow_low_mass()).unwrap(), leaf)
        })
    };
    let modes: Law = Box::new(move |rows| {
        let leaf = leaf(rows, &[1.0], 1, &[]);
        let laws = [leaf.shallow_clone(), leaf.full_like(25.0)].map(|rate| Poisson::new(&rate).unwrap());
        let laws = laws.into_iter().map(|law| Box::new(law) as Box<dyn Distribution>).collect();
        let law = Mixture::new(&Categorical::from_logits(&Tensor::from_slice(&[0.0, 0.3])).unwrap(), laws).unwrap();
        (TruncatedDistribution::new(&law, &Truncation::right(45)).unwrap(), leaf)
    });
    // One parameter, so that no entry of the gradient is that of an atom which is hardly ever drawn.
    let thin: Law = Box::new(move |rows| {
        let leaf = leaf(rows, &[1.0], 1, &[]);
        let logits = leaf.unsqueeze(-1) * Tensor::from_slice(&[0.3, -12.0, -30.0, 1.0, -200.0, 0.5]);
        (TruncatedDistribution::from_logits(&logits, -1).unwrap(), leaf)
    });
    let skellam: Law = Box::new(move |rows| {
        let leaf = leaf(rows, &[1.5], 1, &[]);
        let law = Skellam::new(&leaf, &leaf.full_like(1.0)).unwrap();
        (TruncatedDistribution::new(&law, &Truncation::between(-2, 2).merge_at_mean()).unwrap(), leaf)
    });
    let laws = [
        ("a gap", from_logits(&[0.3, NONE, 1.0], 1)),
        ("gaps everywhere", from_logits(&[NONE, 0.3, NONE, NONE, 1.0, -0.5, NONE, 0.2, NONE], 1)),
        ("thin", thin),
        ("two latents", from_logits(&[0.3, NONE, 1.0, -60.0, 0.8, NONE, -0.2, 0.1], 2)),
        ("two modes", modes),
        ("moved end", moved(Truncation::right(4), &[2.0])),
        ("moved ends of two latents", moved(Truncation::between(1, 4), &[2.0, 3.0])),
        ("Skellam, moved", skellam),
    ];
    for (name, law) in &laws {
        let ((one, one_leaf), (law, leaf)) = (law(2), law(4_000));
        let latents = law.batch_shape()[1];
        let sum = |z: &Tensor| z.sum_dim_intlist(-1, false, Kind::Double);
        let square = |z: &Tensor| sum(z).square();
        let sine = |z: &Tensor| (sum(z) * 0.3).sin();
        for f in [&square as &dyn Fn(&Tensor) -> Tensor, &sine] {
            let exact = gradient(E::Exact, &Expectation::new(&one, f).unwrap(), &one_leaf).0;
            let of = |kind: E| {
                let of = Expectation::new(&law, f).unwrap().samples(kind.fewest_samples()).unwrap();
                gradient(kind, &of, &leaf)
            };
            let check = |kind: E, expected: &[f64], other: &[f64]| {
                let (mean, error) = of(kind);
                for (i, (mean, expected)) in mean.iter().zip(expected).enumerate() {
                    let error = error[i].hypot(other[i]);
                    let close = (mean - expected).abs() < 4.5 * error + 1e-9;
                    assert!(close, "{kind}, {name}: {mean}, not {expected}, +- {error}");
                }
            };
            let integers = !name.contains("moved");
            let claims =
                |kind: &E| kind.is_unbiased(latents) && *kind != E::Vimco && (integers || !kind.needs_integers());
            for kind in E::ALL.into_iter().filter(claims) {
                check(kind, &exact, &vec![0.0; exact.len()]);
            }
            let (straight_through, error) = of(E::GengsSt);
            check(E::GumbelRao, &straight_through, &error);
        }
    }
}

/// No claim where a function refutes it; and every estimator takes every function.
#[test]
fn a_claim_holds_or_is_not_made() {
    let mut refused = Vec::new();
    for objective in [Quadratic, Sigmoid, Step, Constant, Floor] {
        for latents in [1, 2] {
            let problem = problem_in(Kind::Double, "poisson", &[2.5], latents, objective, Some(12));
            for kind in E::ALL.into_iter().filter(|&kind| problem.admits(kind)) {
                let _guard = seeded(0);
                let how = Measurement {
                    estimator: kind,
                    temperature: 0.5,
                    samples: None,
                    draws: draws(20_000),
                    warm_up: 2,
                    seed: 1,
                };
                for c in certify(&problem, &how).unwrap() {
                    assert!(!c.is_refuted(), "{c:?}");
                    assert_eq!((c.needs_of_f, c.needs_of_law), (kind.needs_of_f(), kind.needs_of_law()));
                    let numbers = [c.exact, c.mean, c.bias, c.z, c.std, c.mse];
                    assert!(numbers.iter().all(|number| number.is_finite()), "{c:?}");
                    assert!(c.cosine.is_nan() == (objective == Constant) || kind == E::Vimco, "{c:?}");
                    if !c.claims_unbiased && kind.is_unbiased(latents) {
                        refused.push((objective, kind));
                    }
                    if objective == Constant {
                        assert_eq!(c.exact, 0.0, "{c:?}");
                    }
                }
            }
        }
    }
    for objective in [Step, Floor] {
        for kind in [E::Rebar, E::Relax, E::GoDequantized, E::GoDequantizedOne] {
            assert!(refused.contains(&(objective, kind)), "{objective:?} {kind}");
        }
    }
    assert!(refused.iter().all(|(objective, _)| matches!(objective, Step | Floor)), "{refused:?}");
}

#[test]
fn what_does_not_fit_an_expectation_is_an_error() {
    let logits = Tensor::zeros([3, 2, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let law = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    let sum = |z: &Tensor| z.sum_dim_intlist(-1, false, None::<Kind>);
    let whole = |z: &Tensor| z.detach().to_kind(Kind::Int64).sum_dim_intlist(-1, false, Kind::Int64);
    let double = |z: &Tensor| z.sum_dim_intlist(-1, false, Kind::Double);
    let truth = |z: &Tensor| z.select(-1, 0).ge(1.0);
    let other = TruncatedDistribution::from_logits(&Tensor::zeros([4], (Kind::Float, Device::Cpu)), 2).unwrap();
    let wide = TruncatedDistribution::from_logits(&Tensor::zeros([5, 4], (Kind::Float, Device::Cpu)), 0).unwrap();
    let context = Tensor::zeros([2, 7], (Kind::Float, Device::Cpu));
    for kind in E::ALL.into_iter().filter(|kind| !kind.needs_poisson()) {
        let estimate = |of: Expectation<'_>| kind.build(&setting(2)).unwrap().estimate(&of.samples(2).unwrap());
        let of = |f| Expectation::new(&law, f).unwrap();
        assert!(estimate(of(&whole)).unwrap_err().to_string().contains("floating"), "{kind}");
        assert!(estimate(of(&truth)).unwrap_err().to_string().contains("floating"), "{kind}");
        assert_eq!(estimate(of(&double)).unwrap().surrogate.kind(), Kind::Float, "{kind}");
        assert!(estimate(of(&sum).prior(&other)).unwrap_err().to_string().contains("different atoms"), "{kind}");
        assert!(estimate(of(&sum).prior(&wide)).unwrap_err().to_string().contains("batch shape"), "{kind}");
        assert!(estimate(of(&sum).context(&context)).unwrap_err().to_string().contains("features"), "{kind}");
        let holed = Tensor::from_slice(&[0.0f32, f32::NEG_INFINITY, 0.0, 0.0]);
        let holed = TruncatedDistribution::from_logits(&holed, 0).unwrap();
        assert!(estimate(of(&sum).prior(&holed)).unwrap_err().to_string().contains("infinite"), "{kind}");
        let many = of(&sum).samples(1 << 40).unwrap();
        let error = kind.build(&setting(2)).unwrap().estimate(&many).unwrap_err().to_string();
        assert!(error.contains("memory"), "{kind}: {error}");
    }
}

/// A law is a Poisson by its type; a temperature that is none changes nothing.
#[test]
fn a_name_makes_no_poisson_and_a_bad_temperature_is_refused() {
    let rate = Tensor::full([3, 1], 1.637, (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let log_pmf = |p: &[Tensor], k: &Tensor| k * p[0].log() - &p[0] - (k + 1.0).lgamma();
    let custom = Custom::builder("Poisson", Support::from(0)).parameter("rate", &rate).build(log_pmf).unwrap();
    let law = TruncatedDistribution::new(&custom, &Truncation::right(12)).unwrap();
    let f = |z: &Tensor| z.squeeze_dim(-1);
    let of = Expectation::new(&law, &f).unwrap().distribution(&custom);
    let error = E::EatCubic.build(&setting(1)).unwrap().estimate(&of).unwrap_err().to_string();
    assert!(error.contains("must be a `Poisson`"), "{error}");
    let poisson = Poisson::new(&(&rate * 1e9)).unwrap();
    let of = Expectation::new(&law, &f).unwrap().distribution(&poisson);
    let error = E::EatCubic.build(&setting(1)).unwrap().estimate(&of).unwrap_err().to_string();
    assert!(error.contains("memory"), "{error}");
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for kind in E::ALL {
            assert!(kind.build(&setting(1)).unwrap().set_temperature(temperature).is_err(), "{kind}");
        }
    }
}

/// A bound that includes the prior carries the prior's own gradient, that of the KL.
#[test]
fn a_prior_that_is_included_is_trained() {
    let _guard = seeded(13);
    let rows = 40_000;
    let logits = Tensor::from_slice(&[0.3, -0.5, 0.9, 0.1]).expand([rows, 1, 4], false).copy();
    let law = TruncatedDistribution::from_logits(&logits, 0).unwrap();
    let own = Tensor::from_slice(&[0.5, 0.2, -0.7, 0.4]).set_requires_grad(true);
    let prior = TruncatedDistribution::from_logits(&own, 0).unwrap();
    let nothing = |z: &Tensor| z.squeeze_dim(-1) * 0.0;
    let of = Expectation::new(&law, &nothing).unwrap().prior(&prior);
    let estimate = E::Nvil.build(&setting(1)).unwrap().estimate(&of).unwrap();
    assert!(estimate.info.includes_prior);
    let found = Tensor::run_backward(&[estimate.surrogate.mean(Kind::Double)], &[&own], true, false).remove(0);
    let kl = law.kl(&prior).unwrap().mean(Kind::Double);
    let exact = Tensor::run_backward(&[kl], &[&own], true, false).remove(0);
    for (found, exact) in doubles(&found).iter().zip(doubles(&exact)) {
        // A mean of indicators of 40,000 rows.
        assert!((found - exact).abs() < 4.5 * 0.5 / 200.0, "{found}, not {exact}");
    }
}

/// A call with values that are no numbers is forgotten by the next; and inside `no_grad`, an estimate has its value.
#[test]
fn one_broken_call_is_forgotten() {
    let _guard = seeded(14);
    let leaf = Tensor::zeros([50, 2, 4], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let law = TruncatedDistribution::from_logits(&leaf, 0).unwrap();
    let sound = |z: &Tensor| z.square().sum_dim_intlist(-1, false, None::<Kind>);
    for broken in [f64::NAN, f64::INFINITY, 1e39] {
        let bad = move |z: &Tensor| z.sum_dim_intlist(-1, false, None::<Kind>) * 0.0 + broken;
        for kind in E::ALL.into_iter().filter(|kind| !kind.needs_poisson()) {
            let mut estimator = kind.build(&setting(2)).unwrap();
            let samples = kind.fewest_samples();
            let _ = estimator.estimate(&Expectation::new(&law, &bad).unwrap().samples(samples).unwrap());
            let of = Expectation::new(&law, &sound).unwrap().samples(samples).unwrap();
            let surrogate = estimator.estimate(&of).unwrap().surrogate;
            let slopes = Tensor::run_backward(&[surrogate.sum(Kind::Double)], &[&leaf], true, false).remove(0);
            assert!(doubles(&slopes).iter().all(|x| x.is_finite()), "{kind} after {broken}");
            let value = tch::no_grad(|| estimator.estimate(&of)).unwrap().surrogate;
            assert!(doubles(&value).iter().all(|x| x.is_finite()), "{kind}");
        }
    }
}
