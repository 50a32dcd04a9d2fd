//! What a truncation says it loses, against plain sums in float64.

use crate::common::plain::{Plain, Side};
use crate::common::{FAMILIES, close, double, doubles, family, seeded};
use gengs::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tch::{Device, Kind, Tensor};

/// How far a bound may lie above the truth in the median.
const MEDIAN: f64 = 10.0;

/// Rows of a batch: laws close to each other, which share a window.
const ROWS: usize = 20;

/// Log-uniform between two powers of ten.
fn magnitude(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    10f64.powf(rng.random_range(low..high))
}

/// Random parameters of a family over the whole range it is used in; whole numbers first.
fn random_parameters(name: &str, rng: &mut ChaCha8Rng) -> Vec<f64> {
    match name {
        "poisson" => vec![magnitude(rng, -6.0, 6.0)],
        "geometric" => vec![1.0 / (1.0 + magnitude(rng, -4.0, 4.0))],
        "negative-binomial" => {
            let (r, mean) = (magnitude(rng, -1.0, 4.0), magnitude(rng, -4.0, 3.5));
            vec![r, mean / (mean + r)]
        }
        "binomial" => vec![magnitude(rng, 0.3, 5.0).round(), rng.random_range(0.001..0.999)],
        "bernoulli" => vec![rng.random_range(0.001..0.999)],
        "categorical" => (0..6).map(|_| rng.random_range(-3.0..3.0)).collect(),
        "beta-binomial" => {
            vec![magnitude(rng, 0.3, 4.0).round(), magnitude(rng, -1.0, 2.0), magnitude(rng, -1.0, 2.0)]
        }
        "hypergeometric" => {
            let n = magnitude(rng, 0.0, 4.0).round();
            let (successes, failures) = (n * magnitude(rng, 0.1, 2.0), n * magnitude(rng, 0.1, 2.0));
            vec![n, (successes + failures).ceil() + 2.0, successes.ceil() + 1.0]
        }
        "zero-inflated-poisson" => vec![rng.random_range(0.01..0.99), magnitude(rng, -6.0, 6.0)],
        "conway-maxwell-poisson" => {
            let nu = magnitude(rng, -0.5, 0.5);
            vec![magnitude(rng, -6.0, 6.0).powf(nu), nu]
        }
        "skellam" => vec![magnitude(rng, -6.0, 6.0), magnitude(rng, -6.0, 6.0)],
        "discretized-logistic" => vec![rng.random_range(-1000.0..1000.0), magnitude(rng, -1.0, 3.5)],
        "zipf" => vec![magnitude(rng, 0.5, 5.0).round(), magnitude(rng, -1.0, 1.0)],
        "mixture" => vec![
            rng.random_range(-2.0..2.0),
            rng.random_range(-2.0..2.0),
            magnitude(rng, -3.0, 3.0),
            1.0 / (1.0 + magnitude(rng, -3.0, 3.0)),
        ],
        "custom" => vec![rng.random_range(0.01..0.99)],
        _ => panic!("no family {name}"),
    }
}

/// Laws near each other: every parameter that takes a gradient moved by up to a tenth of what it may move.
fn nearby(name: &str, centre: &[f64], first: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let jitter = |rng: &mut ChaCha8Rng, i: usize, value: f64| match name {
        _ if i < first => value,
        "hypergeometric" => value,
        _ if value > 0.0 && value < 1.0 => {
            let odds = value / (1.0 - value) * rng.random_range(0.9..1.1);
            odds / (1.0 + odds)
        }
        _ => value * rng.random_range(0.9..1.1),
    };
    (0..ROWS).map(|_| centre.iter().enumerate().map(|(i, &value)| jitter(rng, i, value)).collect()).collect()
}

#[derive(Default)]
struct Ratios {
    total_variation: Vec<f64>,
    mean: Vec<f64>,
    derivatives: Vec<f64>,
}

impl Ratios {
    /// Notes bound over truth, unless the truth is so small that the plain sums, cut where little is left, no longer see all of it.
    fn note(list: &mut Vec<f64>, what: &str, bound: f64, truth: f64) {
        if truth.abs() < 1e-100 {
            return;
        }
        assert!(bound >= truth.abs(), "{what}: the bound {bound:e} is below {:e}", truth.abs());
        list.push(bound / truth.abs());
    }
}

fn check_bounds(sets: usize, seed: u64) {
    let _guard = seeded(0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut ratios = Ratios::default();
    for batch in 0..sets.div_ceil(ROWS) {
        let (name, _, first) = FAMILIES[batch % FAMILIES.len()];
        let centre = random_parameters(name, &mut rng);
        let rows = nearby(name, &centre, first, &mut rng);
        let columns: Vec<Tensor> = (0..centre.len())
            .map(|i| match i < first {
                true => Tensor::from(centre[i]),
                false => Tensor::from_slice(&rows.iter().map(|row| row[i]).collect::<Vec<_>>()),
            })
            .collect();
        let law = family(name, &columns);
        let eps = magnitude(&mut rng, -12.0, -0.5);
        let (mut lo, mut hi) = Truncation::tail_mass(eps).resolve(law.as_ref()).unwrap();
        if name == "categorical" || name == "bernoulli" {
            (lo, hi) = if rng.random() { (0, hi.max(1) - 1) } else { (lo + 1, hi.max(lo + 1)) };
        }
        let q = TruncatedDistribution::new(law.as_ref(), &Truncation::between(lo, hi).allow_low_mass()).unwrap();
        let error = q.truncation_error().unwrap();
        let (total_variation, mean) = (doubles(&error.total_variation), doubles(&error.mean));
        for (i, row) in rows.iter().enumerate() {
            let what = format!("{name} {row:?} in {lo}..={hi}");
            let plain = Plain::new(name, row);
            let (below, above) = (plain.below(lo), plain.above(hi));
            Ratios::note(&mut ratios.total_variation, &what, total_variation[i], below.mass + above.mass);
            Ratios::note(&mut ratios.mean, &format!("{what}, mean"), mean[i], above.excess - below.excess);
            let found: Vec<f64> =
                error.mean_derivatives.iter().flat_map(|(_, each)| doubles(&each.select(0, i as i64))).collect();
            let difference = |j: usize| above.derivatives[j] - below.derivatives[j];
            assert_eq!(found.len(), above.derivatives.len(), "{name}");
            for (j, &bound) in found.iter().enumerate() {
                Ratios::note(&mut ratios.derivatives, &format!("{what}, derivative {j}"), bound, difference(j));
            }
        }
    }
    for (what, mut list) in [
        ("total variation", ratios.total_variation),
        ("mean", ratios.mean),
        ("derivative of the mean", ratios.derivatives),
    ] {
        list.sort_by(f64::total_cmp);
        let (median, worst) = (list[list.len() / 2], list[list.len() - 1]);
        println!("{what}: {} bounds hold; over the truth by {median:.9} in the median, {worst:.6} at most", list.len());
        assert!(median < MEDIAN && list.len() > sets / 2, "{what}: {median}");
    }
}

#[test]
fn bounds_hold_on_3000_random_laws() {
    check_bounds(3_000, 1);
}

#[test]
#[ignore = "100,000 random laws: some ten minutes in a release build"]
fn bounds_hold_on_100000_random_laws() {
    check_bounds(100_000, 2);
}

/// The same quantities by subtraction, in windows that lose enough for float64 to see it, for every way to treat the tail.
#[test]
fn bounds_are_the_differences_of_the_means_and_their_gradients() {
    for (name, values, first) in FAMILIES {
        let leaves: Vec<Tensor> =
            values.iter().enumerate().map(|(i, &v)| Tensor::from(v).set_requires_grad(i >= first)).collect();
        let law = family(name, &leaves);
        let (lo, hi) = Truncation::tail_mass(0.2).resolve(law.as_ref()).unwrap();
        let window = Truncation::between(lo, hi).allow_low_mass();
        for truncation in [window, window.renormalize(), window.merge_at_mean()] {
            let q = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap();
            let error = q.truncation_error().unwrap();
            let difference = law.mean() - q.mean();
            let what = format!("{name}, {truncation:?}");
            close(&what, double(&error.mean), double(&difference).abs(), 1e-6);
            let gradients = Tensor::run_backward(&[difference], &leaves[first..], true, false);
            let bounds: Vec<f64> = error.mean_derivatives.iter().flat_map(|(_, bound)| doubles(bound)).collect();
            for (gradient, bound) in gradients.iter().zip(bounds) {
                close(&what, bound, double(gradient).abs(), 1e-6);
            }
        }
    }
}

/// `E[k | tail]` as the last atom: the mean and its derivatives are the distribution's own.
#[test]
fn tails_merged_at_their_means_keep_the_mean() {
    for (name, values, first) in FAMILIES {
        let leaves: Vec<Tensor> =
            values.iter().enumerate().map(|(i, &v)| Tensor::from(v).set_requires_grad(i >= first)).collect();
        let law = family(name, &leaves);
        let (lo, hi) = Truncation::tail_mass(0.1).resolve(law.as_ref()).unwrap();
        let truncation = Truncation::between(lo, hi).allow_low_mass().merge_at_mean();
        let q = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap();
        close(name, double(&q.mean()), double(&law.mean()), 1e-10);
        close(name, double(&q.log_weights().exp().sum(Kind::Double)), 1.0, 1e-10);
        let of_truncated = Tensor::run_backward(&[q.mean()], &leaves[first..], true, false);
        let of_law = Tensor::run_backward(&[law.mean()], &leaves[first..], true, false);
        for (a, b) in of_truncated.iter().zip(&of_law) {
            close(&format!("{name}: derivative"), double(a), double(b), 1e-9);
        }
        let atoms = doubles(q.atoms());
        assert!(atoms.windows(2).all(|pair| pair[0] < pair[1]), "{name}: {atoms:?}");
        // What is drawn from it, hard or relaxed, are these atoms.
        let _guard = seeded(3);
        let draws = q.sample(&[200]).unwrap();
        assert!(doubles(&draws).iter().all(|draw| atoms.contains(draw)), "{name}");
        let log_prob = doubles(&q.log_prob(&draws).unwrap().exp());
        assert!(log_prob.iter().all(|p| *p > 0.0), "{name}");
        let straight = Relaxation::new(&q, 0.5).unwrap().forward(Forward::StraightThrough).rsample(&[200]).unwrap();
        assert!(doubles(&straight).iter().all(|draw| atoms.contains(draw)), "{name}");
    }
}

#[test]
fn nothing_is_lost_of_laws_that_were_finite() {
    let q = TruncatedDistribution::from_logits(&Tensor::from_slice(&[0.1f32, 0.4, 0.2]), 0).unwrap();
    let error = q.truncation_error().unwrap();
    assert_eq!((double(&error.total_variation), double(&error.mean)), (0.0, 0.0));
    let binomial = Binomial::new(5, &Tensor::from(0.3)).unwrap();
    let error = TruncatedDistribution::new(&binomial, &Truncation::right(6)).unwrap().truncation_error().unwrap();
    assert_eq!((double(&error.total_variation), double(&error.mean)), (0.0, 0.0));
    assert_eq!(error.mean_derivatives[0].0, "probs");
    assert_eq!(double(&error.mean_derivatives[0].1), 0.0);
    let side: Side = Plain::new("binomial", &[5.0, 0.3]).above(5);
    assert_eq!((side.mass, side.excess), (0.0, 0.0));
}

/// Renormalised windows that hold next to nothing: the errors are those of plain sums, and the bounds hold.
#[test]
fn bounds_of_windows_with_little_mass_hold() {
    let _guard = seeded(0);
    // A family, its parameters, the first that takes a gradient, and a window.
    type Case = (&'static str, &'static [f64], usize, (i64, i64));
    let cases: [Case; 8] = [
        ("negative-binomial", &[3.0, 0.4], 0, (40, 45)),
        ("geometric", &[0.5], 0, (30, 35)),
        ("negative-binomial", &[1e-6, 0.5], 0, (1, 5)),
        ("poisson", &[300.0], 0, (0, 30)),
        ("poisson", &[5.0], 0, (60, 70)),
        ("binomial", &[1000.0, 0.999], 1, (500, 520)),
        ("geometric", &[0.001], 0, (9000, 9020)),
        ("poisson", &[2.0], 0, (1, 6)),
    ];
    for (name, parameters, first, (lo, hi)) in cases {
        let mean_error = |shift: &dyn Fn(usize, f64) -> f64| {
            let shifted: Vec<f64> = parameters.iter().enumerate().map(|(i, &x)| shift(i, x)).collect();
            let law = family(name, &shifted.iter().map(|&x| Tensor::from(x)).collect::<Vec<_>>());
            let ks = Tensor::arange_start(lo, hi + 1, (Kind::Double, Device::Cpu));
            let weights: Vec<f64> = doubles(&law.log_prob(&ks).unwrap().softmax(-1, Kind::Double));
            let inside: f64 = weights.iter().zip(lo..).map(|(weight, k)| weight * k as f64).sum();
            law.mean().double_value(&[]) - inside
        };
        let law = family(name, &parameters.iter().map(|&x| Tensor::from(x)).collect::<Vec<_>>());
        let truncation = Truncation::between(lo, hi).renormalize().allow_low_mass();
        let error = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap().truncation_error().unwrap();
        let bounds = |what: String, bound: f64, truth: f64, rounding: f64| {
            let truth = truth.abs();
            let holds = bound >= truth * (1.0 - rounding) && bound <= truth * (1.0 + 1e-5 + rounding);
            assert!(holds, "{name} {parameters:?} in {lo}..={hi}: bound {bound:e} of {what}, which is {truth:e}");
        };
        bounds("the mean".into(), error.mean.double_value(&[]), mean_error(&|_, x| x), 1e-12);
        for (i, (parameter, bound)) in error.mean_derivatives.iter().enumerate() {
            let i = i + first;
            let h = parameters[i] * 1e-4;
            let at = |steps: f64| mean_error(&|j, x| if i == j { x + steps * h } else { x });
            let slope = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * h);
            // What rounding leaves of the difference: eight units of the last place of its terms, over the step.
            let rounding = 8.0 * f64::EPSILON * at(0.0).abs() / (h * slope.abs());
            bounds(parameter.clone(), bound.double_value(&[]), slope, 1e-6 + rounding);
        }
    }
}
