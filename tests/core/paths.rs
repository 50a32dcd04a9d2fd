//! One draw, several paths: whatever is asked for, the one-pass sampler, the tensor graph and its parts give the same numbers, gradients and
//! errors, and they are those of a float64 reference.

use crate::common::{FAMILIES, doubles, family};
use gengs::prelude::*;
use gengs::relaxation::{FiniteOrder, Order};
use gengs::sampler::{NoiseKey, OnePass, OnePassDraw};
use gengs::{Error, Result};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// What is drawn from.
#[derive(Debug, Clone)]
enum Source {
    /// A family by its place in `FAMILIES`, and a factor for each latent's parameters.
    Family(usize, Vec<f64>),
    /// Logits of the window's atoms, all moved by an offset; one may be left out: the first, which a prior may leave out too, or one in the middle.
    Logits { left_out: Option<LeftOut>, broken: Option<f64>, offset: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum LeftOut {
    First,
    Middle,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Central,
    FromZero,
    BelowTheSupport,
    BeyondTheSupport,
    InTheTail,
    OneAtom,
    Own,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Prior {
    None,
    Law,
    Truncated,
    /// On the integers beside the window.
    Moved,
    OneHot,
    /// With an atom that has no mass.
    Holed,
    Batch,
    WithGradient,
}

/// One combination of everything.
#[derive(Debug, Clone)]
struct Combination {
    source: Source,
    kind: Kind,
    shape: Vec<i64>,
    place: Place,
    prior: Prior,
    forward: Forward,
    temperature: f64,
    /// Exact draws with a gradient of this order; else relaxed ones.
    order: Option<Order>,
    allow_low_mass: bool,
    threads: i32,
    key: NoiseKey,
}

fn pick<T: Clone>(random: &mut ChaCha8Rng, of: &[T]) -> T {
    of[random.random_range(0..of.len())].clone()
}

fn combination(random: &mut ChaCha8Rng) -> Combination {
    let shapes = [vec![], vec![1], vec![3], vec![2, 5], vec![17], vec![3, 0], vec![0, 2], vec![2, 1, 3]];
    // One in thirty is large enough for several threads.
    let shape = if random.random_range(0..30) == 0 { vec![20, 35] } else { pick(random, &shapes) };
    let count = shape.iter().product::<i64>() as usize;
    let source = if random.random_range(0..4) == 0 {
        let broken = if random.random_range(0..6) == 0 { Some(pick(random, &[f64::NAN, f64::INFINITY])) } else { None };
        let left_out = pick(random, &[None, Some(LeftOut::First), Some(LeftOut::Middle)]);
        Source::Logits { left_out, broken, offset: pick(random, &[0.0, 0.0, -300.0, 3e4, -1e30]) }
    } else {
        Source::Family(
            random.random_range(0..FAMILIES.len()),
            (0..count).map(|_| random.random_range(0.9..1.1)).collect(),
        )
    };
    let places = [
        Place::Central,
        Place::Central,
        Place::FromZero,
        Place::BelowTheSupport,
        Place::BeyondTheSupport,
        Place::InTheTail,
        Place::OneAtom,
        Place::Own,
    ];
    let good = [Prior::None, Prior::Law, Prior::Law, Prior::Truncated, Prior::Holed];
    let bad = [Prior::Moved, Prior::OneHot, Prior::Batch, Prior::WithGradient];
    let prior = if random.random_range(0..6) == 0 { pick(random, &bad) } else { pick(random, &good) };
    let kind = pick(random, &[Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16]);
    // In float16 it would leave out all atoms.
    let source = match source {
        Source::Logits { left_out, broken, offset } if kind == Kind::Half => {
            Source::Logits { left_out, broken, offset: offset.max(-300.0) }
        }
        source => source,
    };
    Combination {
        source,
        kind,
        shape,
        place: pick(random, &places),
        prior,
        forward: pick(random, &[Forward::Soft, Forward::StraightThrough]),
        temperature: pick(random, &[0.2, 0.5, 1.0]),
        order: pick(random, &[None, None, Some(Order::First), Some(Order::Second), Some(Order::Third)]),
        allow_low_mass: random.random(),
        threads: pick(random, &[1, 2]),
        key: NoiseKey { first_row: random.random_range(0..9), ..NoiseKey::new(random.random(), random.random()) },
    }
}

/// Parameters as leaves: those before the first with a gradient are whole numbers.
fn leaves(c: &Combination, kind: Kind) -> (Vec<Tensor>, usize) {
    let Source::Family(number, factors) = &c.source else { unreachable!("a family") };
    let (_, typical, first) = FAMILIES[*number];
    let leaf = |(i, &value): (usize, &f64)| {
        if i < first {
            return Tensor::from(value);
        }
        let values: Vec<f64> = factors.iter().map(|factor| value * factor).collect();
        let rounded = Tensor::from_slice(&values).reshape(&c.shape).to_kind(c.kind);
        rounded.to_kind(kind).set_requires_grad(true)
    };
    (typical.iter().enumerate().map(leaf).collect(), first)
}

/// The window, from the typical law of the family; that of logits is around zero.
fn window(c: &Combination) -> (i64, i64) {
    let (mean, deviation, support) = match &c.source {
        Source::Logits { .. } => (2.0, 2.0, Support::INTEGERS),
        Source::Family(number, _) => {
            let (name, typical, _) = FAMILIES[*number];
            let law = family(name, &typical.iter().map(|&value| Tensor::from(value)).collect::<Vec<_>>());
            (law.mean().double_value(&[]), law.variance().double_value(&[]).sqrt(), law.support())
        }
    };
    let at = |deviations: f64| (mean + deviations * deviation).round() as i64;
    let inside = |k: i64| k.max(support.lowest.unwrap_or(k)).min(support.highest.unwrap_or(k));
    match c.place {
        Place::Central | Place::Own => (inside(at(-3.0)), inside(at(3.0))),
        Place::FromZero => (inside(0), inside(at(4.0).max(3))),
        Place::BelowTheSupport => (support.lowest.unwrap_or(at(-3.0)) - 2, inside(at(2.0))),
        Place::BeyondTheSupport => (inside(at(-2.0)), support.highest.unwrap_or(at(3.0)) + 3),
        Place::InTheTail => (inside(at(4.0)), inside(at(6.0) + 3)),
        Place::OneAtom => (inside(at(0.0)), inside(at(0.0))),
    }
}

fn logits(c: &Combination, n: i64) -> Tensor {
    let Source::Logits { left_out, broken, offset } = &c.source else { unreachable!("logits") };
    let shape = [c.shape.as_slice(), &[n]].concat();
    let count = shape.iter().product::<i64>();
    let values = (Tensor::arange(count, (Kind::Double, CPU)) * 0.7).sin() * 2.0;
    let mut values = values.reshape(&shape) + *offset;
    if let Some(place) = left_out
        && n > 1
        && count > 0
    {
        let place = if *place == LeftOut::First { 0 } else { n / 2 };
        let _ = values.select(-1, place).fill_(f64::NEG_INFINITY);
    }
    if let Some(broken) = broken
        && count > 0
    {
        let _ = values.select(-1, 0).fill_(*broken);
    }
    values = values.to_kind(c.kind);
    values
}

/// Values and their gradients: `z`, and the KL.
#[derive(Debug)]
struct Found {
    kind: Kind,
    values: Vec<Tensor>,
    gradients: Vec<Vec<Tensor>>,
}

fn found(draw: OnePassDraw, leaves: &[Tensor]) -> Found {
    let values: Vec<Tensor> = [Some(draw.z), draw.kl].into_iter().flatten().collect();
    let kind = values[0].kind();
    let gradients = values.iter().map(|value| slopes(value, leaves)).collect();
    Found { kind, values, gradients }
}

fn slopes(of: &Tensor, leaves: &[Tensor]) -> Vec<Tensor> {
    if of.numel() == 0 {
        return leaves.iter().map(Tensor::zeros_like).collect();
    }
    let gradients = Tensor::run_backward(&[of.sum(Kind::Double)], leaves, true, false);
    gradients
        .iter()
        .zip(leaves)
        .map(|(g, leaf)| if g.defined() { g.shallow_clone() } else { leaf.zeros_like() })
        .collect()
}

/// A prior as it is handed to the sampler.
enum Given {
    None,
    Law(Box<dyn Distribution>),
    Truncated(TruncatedDistribution),
}

fn prior(c: &Combination, (lo, hi): (i64, i64)) -> Given {
    let scalar = |x: f64| Tensor::from(x).to_kind(if c.kind == Kind::Double { Kind::Double } else { Kind::Float });
    let n = hi - lo + 1;
    let table = || (Tensor::arange(n, (Kind::Double, CPU)) * 1.3).cos();
    let on = |logits: &Tensor, lowest| TruncatedDistribution::from_logits(logits, lowest).unwrap();
    match c.prior {
        Prior::None => Given::None,
        // On all integers, so that only the window decides.
        Prior::Law => Given::Law(Box::new(DiscretizedLogistic::new(&scalar(1.5), &scalar(2.5)).unwrap())),
        Prior::Truncated => Given::Truncated(on(&table(), lo)),
        Prior::Moved => Given::Truncated(on(&table(), lo + 1)),
        Prior::OneHot => Given::Truncated(TruncatedDistribution::one_hot(&table()).unwrap()),
        Prior::Holed => {
            let holed = table();
            if n > 1 {
                let _ = holed.get(0).fill_(f64::NEG_INFINITY);
            }
            Given::Truncated(on(&holed, lo))
        }
        Prior::Batch => Given::Truncated(on(&table().repeat([2, 1]), lo)),
        Prior::WithGradient => Given::Truncated(on(&table().set_requires_grad(true), lo)),
    }
}

fn sampler<'a>(c: &Combination, (lo, hi): (i64, i64), prior: &'a Given) -> Result<OnePass<'a>> {
    let sampler = match (c.place, c.order) {
        (Place::Own, None) => OnePass::own_windows(1e-9, c.temperature)?,
        (Place::Own, Some(order)) => OnePass::finite_order_in_own_windows(1e-9, order)?,
        (_, None) => OnePass::new(lo, hi, c.temperature)?,
        (_, Some(order)) => OnePass::finite_order(lo, hi, order)?,
    };
    let sampler = sampler.forward(c.forward);
    let sampler = if c.allow_low_mass { sampler.allow_low_mass() } else { sampler };
    match prior {
        Given::None => Ok(sampler),
        Given::Law(law) => sampler.kl_to_law(law.as_ref()),
        Given::Truncated(law) => sampler.kl_to(law),
    }
}

/// Free logits are not looked at where a combination accepts anything.
fn looked_at<T>(c: &Combination, run: impl FnOnce() -> T) -> T {
    if c.allow_low_mass { unchecked(run) } else { run() }
}

/// The same by the tensor graph in float64, from the noise of the key; and the smallest distance between the two heaviest atoms of a draw.
fn reference(c: &Combination, (lo, hi): (i64, i64), given: &Given) -> Result<(Found, f64)> {
    let n = hi - lo + 1;
    let (q, leaves) = match &c.source {
        Source::Logits { .. } => {
            let leaf = logits(c, n).to_kind(Kind::Double).set_requires_grad(true);
            (looked_at(c, || TruncatedDistribution::from_logits(&leaf, lo))?, vec![leaf])
        }
        Source::Family(number, _) => {
            let (leaves, first) = leaves(c, Kind::Double);
            let law = family(FAMILIES[*number].0, &leaves);
            let truncation = Truncation::between(lo, hi);
            let truncation = if c.allow_low_mass { truncation.allow_low_mass() } else { truncation };
            (
                TruncatedDistribution::new(law.as_ref(), &truncation)?,
                leaves[first..].iter().map(Tensor::shallow_clone).collect(),
            )
        }
    };
    let prior = match given {
        Given::None => None,
        Given::Law(law) => {
            Some(TruncatedDistribution::new(law.as_ref(), &Truncation::between(lo, hi).allow_low_mass())?)
        }
        Given::Truncated(prior) => Some(TruncatedDistribution::from_logits(&prior.log_weights().detach(), lo)?),
    };
    let latents = c.shape.last().copied().unwrap_or(1);
    let rows = c.shape.iter().rev().skip(1).product::<i64>();
    let drawn_in = if c.kind == Kind::Double { Kind::Double } else { Kind::Float };
    let noise = c.key.gumbel_from(lo, &[rows, latents, n], drawn_in)?.to_kind(Kind::Double);
    let noise = noise.reshape([c.shape.as_slice(), &[n]].concat());
    let z = match c.order {
        None => Relaxation::new(&q, c.temperature)?.forward(c.forward).rsample_with_noise(&noise)?,
        Some(order) => {
            // The uniform number behind the noise of atom 0.
            let noise = c.key.gumbel_from(0, &[rows, latents, 1], Kind::Double)?;
            finite_order(&q, lo, order, &-(-(-noise).exp()).expm1().reshape(&c.shape))
        }
    };
    let kl = prior.map(|prior| q.kl(&prior)).transpose()?;
    let gap = if n > 1 && z.numel() > 0 {
        let top = (q.log_weights() + noise).topk(2, -1, true, true).0;
        (top.select(-1, 0) - top.select(-1, 1)).min().double_value(&[])
    } else {
        f64::INFINITY
    };
    let draw = [Some(z), kl].into_iter().flatten().collect::<Vec<_>>();
    let gradients = draw.iter().map(|value| slopes(value, &leaves)).collect();
    Ok((Found { kind: Kind::Double, values: draw, gradients }, gap))
}

/// Exact draws by the inverse of the distribution function, with the weights of least norm by linear algebra: with
/// `v(x) = (1, x, ...)`, `G = E[v v']` and `m_d = E[x^d]`, `z + sum_d (G^-1 v(z))_d (m_d - m_d.detach()) / d`.
fn finite_order(q: &TruncatedDistribution, lo: i64, order: Order, uniform: &Tensor) -> Tensor {
    let weights = q.log_weights().exp();
    let fixed = weights.detach();
    let sum = |t: Tensor| t.sum_dim_intlist(-1, false, Kind::Double);
    let index = sum(fixed.cumsum(-1, Kind::Double).le_tensor(&uniform.unsqueeze(-1)).to_kind(Kind::Double));
    let index = index.clamp_max(q.len() as f64 - 1.0);
    let rows = Tensor::arange(q.len(), (Kind::Double, CPU));
    // From the heaviest atom, and scaled, or float64 would not be enough for G.
    let mode = fixed.argmax(-1, true).to_kind(Kind::Double);
    let distance = &rows - &mode;
    let distance = &distance - sum(&fixed * &distance).unsqueeze(-1);
    let scale = sum(&fixed * distance.square()).sqrt();
    let scale = scale.where_self(&scale.gt(1e-15), &scale.ones_like()).unsqueeze(-1);
    let x = &distance / &scale;
    let at_draw = x.expand_as(&fixed).gather(-1, &index.to_kind(Kind::Int64).unsqueeze(-1), false).squeeze_dim(-1);
    let orders = FiniteOrder::new(q, order).unwrap().orders();
    let mut parts = Vec::new();
    for degree in 1..=order.degree() {
        let moment = |weights: &Tensor, d: i64| sum(weights * x.pow_tensor_scalar(d));
        let entry = |i: i64| (0..degree).map(|j| moment(&fixed, i + j)).collect::<Vec<_>>();
        let rows: Vec<Tensor> = (0..degree).map(|i| Tensor::stack(&entry(i), -1)).collect();
        let inverse = Tensor::linalg_inv_ex(&Tensor::stack(&rows, -2), false).0;
        let v = Tensor::stack(&(0..degree).map(|d| at_draw.pow_tensor_scalar(d)).collect::<Vec<_>>(), -1);
        let u = inverse.matmul(&v.unsqueeze(-1)).squeeze_dim(-1);
        for d in 1..=degree {
            let u = u.select(-1, d - 1);
            let u = u.where_self(&orders.eq(degree), &u.zeros_like()) * scale.squeeze_dim(-1);
            let m = moment(&weights, d);
            parts.push(u * (&m - m.detach()) / d as f64);
        }
    }
    parts.into_iter().fold(index + lo as f64, |z, part| z + part)
}

/// Fails unless two lists of numbers agree, relative to the largest; infinities and numbers that are none where the other has them.
fn agree(what: &str, found: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let (found, expected) = (doubles(found), doubles(expected));
    let finite = expected.iter().filter(|x| x.is_finite());
    let largest = finite.fold(1.0f64, |largest, x| largest.max(x.abs()));
    for (a, b) in found.iter().zip(&expected) {
        let same = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= bound * largest;
        assert!(same, "{what}: {a} instead of {b}, off by {:e} (bound {:e})", (a - b).abs(), bound * largest);
    }
}

fn compare(what: &str, one: &Found, other: &Found, (bound, slope_bound): (f64, f64), compare_z: bool) {
    assert_eq!(one.values.len(), other.values.len(), "{what}: a KL is there or not");
    for (i, (a, b)) in one.values.iter().zip(&other.values).enumerate() {
        if i == 0 && !compare_z {
            continue;
        }
        let name = ["z", "KL"][i];
        agree(&format!("{what}: {name}"), a, b, bound);
        // A KL that is infinite has no gradient to speak of.
        if b.isfinite().all().int64_value(&[]) == 1 {
            for (a, b) in one.gradients[i].iter().zip(&other.gradients[i]) {
                agree(&format!("{what}: gradient of {name}"), a, b, slope_bound);
            }
        }
    }
}

/// What kind of error, and of what.
fn describe(error: &Error) -> String {
    error.to_string()
}

/// Runs one combination on every path; says what came of it.
fn walk(c: &Combination) -> &'static str {
    let what = format!("{c:?}");
    let (lo, hi) = window(c);
    let given = prior(c, (lo, hi));
    tch::set_num_threads(c.threads);
    let exact = reference(c, (lo, hi), &given);
    let bad_prior = matches!(c.prior, Prior::Moved | Prior::OneHot | Prior::Batch | Prior::WithGradient)
        || c.place == Place::Own && matches!(c.prior, Prior::Holed | Prior::Truncated);
    let sampler = match sampler(c, (lo, hi), &given) {
        Ok(sampler) => sampler,
        Err(error) => {
            assert!(bad_prior, "{what}: {error}");
            return "refused prior";
        }
    };
    assert!(!bad_prior, "{what}: a prior on other atoms, of a batch or with a gradient was accepted");

    // The paths: the walk, where it serves; whatever serves; parts of a few latents.
    let n = hi - lo + 1;
    let mut outcomes: Vec<(&str, Result<Found>)> = Vec::new();
    match &c.source {
        Source::Logits { .. } => {
            let leaf = || logits(c, n).set_requires_grad(true);
            let walked = leaf();
            let walk = looked_at(c, || sampler.in_one_pass().rsample(&walked, c.key));
            if !matches!(walk, Err(Error::NotInOnePass { .. })) {
                outcomes.push(("walk", walk.map(|draw| found(draw, &[walked]))));
            }
            let drawn = leaf();
            let draw = looked_at(c, || sampler.rsample(&drawn, c.key));
            outcomes.push(("draw", draw.map(|draw| found(draw, &[drawn]))));
        }
        Source::Family(number, _) => {
            let law = |leaves: &[Tensor]| family(FAMILIES[*number].0, leaves);
            let kind = c.kind;
            let (walked, first) = leaves(c, kind);
            let walk = sampler.in_one_pass().rsample(law(&walked).as_ref(), c.key);
            if !matches!(walk, Err(Error::NotInOnePass { .. })) {
                outcomes.push(("walk", walk.map(|draw| found(draw, &walked[first..]))));
            }
            let (drawn, _) = leaves(c, kind);
            outcomes
                .push(("draw", sampler.rsample(law(&drawn).as_ref(), c.key).map(|draw| found(draw, &drawn[first..]))));
            let (parted, _) = leaves(c, kind);
            let parts = sampler.in_blocks(4 * n).rsample(law(&parted).as_ref(), c.key);
            outcomes.push(("parts", parts.map(|draw| found(draw, &parted[first..]))));
        }
    }
    if c.place == Place::Own {
        return own_windows(c, &what, outcomes);
    }
    let (exact, gap) = match exact {
        Ok(exact) => exact,
        Err(expected) => {
            for (path, outcome) in outcomes {
                let error = outcome.err().unwrap_or_else(|| panic!("{what}, {path}: no error, but {expected}"));
                assert_eq!(describe(&error), describe(&expected), "{what}, {path}");
            }
            return "refused";
        }
    };
    let drawn_in = if c.kind == Kind::Double { Kind::Double } else { Kind::Float };
    // Rounding of log weights is divided by the temperature; gradients are those of leaves in their own kind.
    let warmth = if c.order.is_none() { c.temperature } else { 1.0 };
    let bound = if drawn_in == Kind::Double { 1e-10 } else { 2e-5 } / warmth;
    let slope_bound = match c.kind {
        // The reference inverts a matrix.
        Kind::Double if c.order == Some(Order::Third) => 1e-7,
        Kind::Double => 1e-9,
        Kind::Float => 1e-4,
        Kind::Half => 4e-3,
        _ => 3e-2,
    } / warmth;
    let broken = matches!(c.source, Source::Logits { broken: Some(_), .. });
    if c.order.is_some() && !broken {
        same_integers_and_slopes(c, &what, &outcomes);
    }
    for (path, outcome) in outcomes {
        let what = format!("{what} in {lo}..={hi}, {path}");
        let one = outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(one.kind, drawn_in, "{what}");
        if broken {
            continue;
        }
        // Where two atoms are as heavy but for rounding, either may be drawn.
        let compare_z = drawn_in == Kind::Double || c.forward == Forward::Soft || c.order.is_some() || gap > 1e-4;
        compare(&what, &one, &exact, (bound, slope_bound), compare_z);
        if c.forward == Forward::StraightThrough || c.order.is_some() {
            assert!(doubles(&one.values[0]).iter().all(|z| z.fract() == 0.0), "{what}: not whole");
        }
    }
    "drawn"
}

/// Draws of finite order are the same integers on every path, with the same gradients but for the last digits of their
/// kind.
fn same_integers_and_slopes(c: &Combination, what: &str, outcomes: &[(&str, Result<Found>)]) {
    let found: Vec<&Found> = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).collect();
    let bound: f64 = match c.kind {
        Kind::Double => 1e-10,
        Kind::Float => 1e-5,
        Kind::Half => 2e-3,
        _ => 2e-2,
    };
    for other in found.iter().skip(1) {
        assert!(found[0].values[0].equal(&other.values[0]), "{what}: other integers");
        compare(what, found[0], other, (bound.min(1e-5), bound), true);
    }
}

/// In windows of their own, latents have no common reference; a window for all of them leaves out as little.
fn own_windows(c: &Combination, what: &str, outcomes: Vec<(&str, Result<Found>)>) -> &'static str {
    let errors: Vec<Option<String>> =
        outcomes.iter().map(|(_, outcome)| outcome.as_ref().err().map(describe)).collect();
    assert!(errors.iter().all(|error| *error == errors[0]), "{what}: {errors:?}");
    let found: Vec<Found> = outcomes.into_iter().filter_map(|(_, outcome)| outcome.ok()).collect();
    let Some((first, rest)) = found.split_first() else { return "refused" };
    let slope_bound = if matches!(c.kind, Kind::Half | Kind::BFloat16) { 5e-2 } else { 2e-3 };
    for other in rest {
        let compare_z = c.order.is_none() && c.forward == Forward::Soft;
        compare(what, other, first, (1e-3, slope_bound), compare_z);
    }
    "drawn"
}

fn run(count: usize) {
    let _guard = crate::common::seeded(1);
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..count {
        let c = combination(&mut random);
        *ended.entry(walk(&c)).or_default() += 1;
    }
    tch::set_num_threads(1);
    println!("{count} combinations: {ended:?}");
    for (how, fewest) in [("drawn", 3), ("refused", 10), ("refused prior", 10)] {
        assert!(ended.get(how).copied().unwrap_or(0) * fewest > count, "{ended:?}");
    }
}

#[test]
fn every_path_gives_the_same_values_gradients_and_errors() {
    run(500);
}

#[test]
#[ignore = "a minute or more: 5,000 combinations"]
fn every_path_gives_the_same_values_gradients_and_errors_at_length() {
    run(5_000);
}
