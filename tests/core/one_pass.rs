//! The one-pass sampler against the tensor graph, on the same noise; and its noise.

use crate::common::{close, double, doubles, family};
use gengs::Error;
use gengs::prelude::*;
use gengs::sampler::{Backend, NoiseKey, OnePass, OnePassDraw};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// A family, how many of its parameters are whole numbers, a column for each parameter, and a window.
type Case = (&'static str, usize, Vec<Vec<f64>>, (i64, i64));

/// Families that walk, with a few different laws each.
fn cases() -> Vec<Case> {
    vec![
        ("poisson", 0, vec![vec![0.01, 0.7, 2.0, 11.0, 30.0]], (0, 11)),
        ("poisson", 0, vec![vec![1e-6, 0.1, 1e4]], (0, 11)),
        ("poisson", 0, vec![vec![2.0, 0.5]], (0, 0)),
        ("poisson", 0, vec![vec![80.0, 100.0, 130.0]], (60, 140)),
        ("poisson", 0, vec![vec![5.0, 5000.0]], (0, 5200)),
        ("geometric", 0, vec![vec![0.02, 0.3, 0.9]], (0, 14)),
        ("geometric", 0, vec![vec![0.1, 0.2]], (3, 40)),
        ("negative-binomial", 0, vec![vec![0.01, 3.0, 40.0], vec![0.9, 0.5, 0.3]], (0, 29)),
        ("binomial", 1, vec![vec![9.0], vec![0.01, 0.4, 0.99]], (0, 9)),
        ("binomial", 1, vec![vec![50.0], vec![0.3, 0.5]], (8, 40)),
        ("bernoulli", 0, vec![vec![0.02, 0.35, 0.9]], (0, 1)),
        ("poisson", 0, vec![vec![1e4, 1.1e4]], (9701, 10_300)),
        ("poisson", 0, vec![vec![3.0, 500.0]], (5, 5)),
        ("poisson", 0, vec![vec![3.0, 50.0, 100.0]], (41, 46)),
        ("binomial", 1, vec![vec![50.0], vec![0.3, 0.95]], (25, 50)),
        ("negative-binomial", 0, vec![vec![0.3, 30.0, 400.0], vec![0.97, 0.5, 0.3]], (13, 90)),
    ]
}

/// `z`, `kl` and their gradients in every parameter, by the one-pass sampler and by the tensor graph in float64, for the same numbers.
fn compare(kind: Kind, bound: f64) {
    let mut compared = 0;
    for (name, first, columns, (lo, hi)) in cases() {
        let leaves = |kind_of_leaf: Kind, requires_grad: bool| -> Vec<Tensor> {
            let tensor = |(i, values): (usize, &Vec<f64>)| match i < first {
                true => Tensor::from(values[0]),
                // Two rows of the batch, so that both row and latent are counted.
                false => {
                    let rounded = Tensor::from_slice(values).to_kind(kind).to_kind(kind_of_leaf);
                    rounded.repeat([2, 1]).set_requires_grad(requires_grad)
                }
            };
            columns.iter().enumerate().map(tensor).collect()
        };
        let ours = leaves(kind, true);
        let theirs = leaves(Kind::Double, true);
        let ones: Vec<Tensor> = leaves(Kind::Double, false)
            .iter()
            .enumerate()
            .map(|(i, t)| if i < first { t.copy() } else { t.select(0, 0).select(0, 0) })
            .collect();
        let truncation = Truncation::between(lo, hi).allow_low_mass();
        let prior = TruncatedDistribution::new(family(name, &ones).as_ref(), &truncation).unwrap();
        let q = TruncatedDistribution::new(family(name, &theirs).as_ref(), &truncation).unwrap();
        let key = NoiseKey::new(7, 3);
        // Noise belongs to the atom, wherever the window starts.
        let noise = key.gumbel(&[&q.batch_shape()[..], &[hi + 1]].concat(), kind).unwrap().to_kind(Kind::Double);
        let noise = noise.narrow(-1, lo, hi - lo + 1);
        for forward in [Forward::Soft, Forward::StraightThrough] {
            for temperature in [0.3, 1.0] {
                let law = family(name, &ours);
                let sampler = OnePass::new(lo, hi, temperature).unwrap().allow_low_mass();
                let sampler = sampler.forward(forward).kl_to(&prior).unwrap();
                let draw = sampler.in_one_pass().rsample(law.as_ref(), key).unwrap();
                let relaxation = Relaxation::new(&q, temperature).unwrap().forward(forward);
                let z = relaxation.rsample_with_noise(&noise).unwrap();
                let kl = q.kl(&prior).unwrap();
                for (what, found, expected) in [("z", draw.z, z), ("kl", draw.kl.unwrap(), kl)] {
                    let what =
                        format!("{kind:?} {name} {columns:?} in {lo}..={hi}, {forward:?}, {temperature}: {what}");
                    assert_eq!((found.size(), found.kind()), (expected.size(), kind), "{what}");
                    agree(&what, &found, &expected, bound);
                    if forward == Forward::StraightThrough && what.ends_with('z') {
                        assert!(doubles(&found).iter().all(|z| z.fract() == 0.0), "{what}");
                    }
                    let slopes = |of: &Tensor, leaves: &[Tensor]| {
                        Tensor::run_backward(&[of.sum(Kind::Double)], &leaves[first..], true, false)
                    };
                    for (a, b) in slopes(&found, &ours).iter().zip(slopes(&expected, &theirs)) {
                        agree(&format!("{what}, gradient"), a, &b, bound);
                        compared += a.numel();
                    }
                }
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

/// All entries to `bound`, relative to the largest: a derivative that is a small difference of large terms has their rounding.
fn agree(what: &str, found: &Tensor, expected: &Tensor, bound: f64) {
    let (found, expected) = (doubles(found), doubles(expected));
    let largest = expected.iter().fold(1.0f64, |largest, x| largest.max(x.abs()));
    for (a, b) in found.iter().zip(&expected) {
        close(what, *a / largest, *b / largest, bound);
    }
}

#[test]
fn equals_the_tensor_graph_in_float64() {
    compare(Kind::Double, 1e-10);
}

#[test]
fn equals_the_tensor_graph_in_float32() {
    compare(Kind::Float, 1e-5);
}

#[test]
fn results_depend_on_the_key_and_the_place_only() {
    let rate = (Tensor::arange(40 * 7, (Kind::Float, CPU)) * 0.01 + 0.1).reshape([40, 7]);
    let draw = |rate: &Tensor, key: NoiseKey| {
        let sampler = OnePass::new(0, 11, 0.5).unwrap();
        sampler.in_one_pass().rsample(&Poisson::new(rate).unwrap(), key).unwrap().z
    };
    let key = NoiseKey::new(1, 2);
    let whole = draw(&rate, key);
    for parts in [2, 5] {
        let rows = 40 / parts;
        let split: Vec<Tensor> = (0..parts)
            .map(|i| draw(&rate.narrow(0, i * rows, rows), NoiseKey { first_row: (i * rows) as u32, ..key }))
            .collect();
        assert_eq!(doubles(&Tensor::cat(&split, 0)), doubles(&whole), "in {parts} parts");
    }
    // A wider window leaves the noise of the atoms that both have.
    let (narrow, wide) = (key.gumbel(&[2, 3, 12], Kind::Float).unwrap(), key.gumbel(&[2, 3, 64], Kind::Float).unwrap());
    assert_eq!(doubles(&narrow), doubles(&wide.narrow(-1, 0, 12)));
    for other in [NoiseKey::new(1, 3), NoiseKey::new(2, 2), NoiseKey { first_row: 1, ..key }] {
        assert!(doubles(&draw(&rate, other)) != doubles(&whole), "{other:?}");
    }
}

#[test]
fn noise_by_counter_is_gumbel_and_independent_across_keys() {
    // 5 million numbers each; bounds are four or five standard errors.
    for kind in [Kind::Float, Kind::Double] {
        let noise = NoiseKey::new(11, 0).gumbel(&[1000, 50, 100], kind).unwrap();
        let n = 5e6f64;
        assert_eq!(noise.isfinite().all().int64_value(&[]), 1);
        let mean = double(&noise.mean(Kind::Double));
        assert!((mean - 0.577_215_664_9).abs() < 4.0 * 1.2825 / n.sqrt(), "{kind:?}: mean {mean}");
        let expected = n * (-(-(-10f64).exp()).exp_m1());
        let above = double(&noise.gt(10.0).sum(Kind::Int64));
        assert!((above - expected).abs() < 5.0 * expected.sqrt(), "{kind:?}: {above} above 10, not {expected}");
        // Uniformity of exp(-exp(-g)) in 256 bins: chi-squared with 255 degrees of freedom, mean 255, deviation 22.6.
        let uniform = noise.to_kind(Kind::Double).neg().exp().neg().exp();
        let counts = doubles(
            &(uniform * 256.0)
                .floor()
                .clamp(0.0, 255.0)
                .to_kind(Kind::Int64)
                .reshape([-1])
                .bincount(None::<&Tensor>, 256),
        );
        let chi_squared: f64 = counts.iter().map(|count| (count - n / 256.0).powi(2) / (n / 256.0)).sum();
        assert!((chi_squared - 255.0).abs() < 4.0 * 22.6, "{kind:?}: chi-squared {chi_squared}");
        // Neighbouring seeds, steps, rows, latents and atoms are uncorrelated.
        let base = NoiseKey::new(11, 5);
        let at = |key: NoiseKey| key.gumbel(&[1000, 50, 20], kind).unwrap().to_kind(Kind::Double);
        let first = at(base);
        let others = [
            ("seed", at(NoiseKey { seed: 12, ..base })),
            ("step", at(NoiseKey { step: 6, ..base })),
            ("row", at(NoiseKey { first_row: 1, ..base })),
            ("latent", first.roll([1], [1])),
            ("atom", first.roll([1], [2])),
        ];
        for (what, other) in others {
            let centred = |t: &Tensor| t - t.mean(Kind::Double);
            let correlation = double(&(centred(&first) * centred(&other)).mean(Kind::Double)) / 1.6449;
            assert!(
                correlation.abs() < 4.0 / 1e6f64.sqrt(),
                "{kind:?}: neighbouring {what}s correlate by {correlation}"
            );
        }
    }
}

#[test]
fn what_it_does_not_do_is_left_to_the_graph_or_refused() {
    let key = NoiseKey::new(0, 0);
    let skellam = Skellam::new(&Tensor::from(1.0), &Tensor::from(2.0)).unwrap();
    let sampler = OnePass::new(0, 5, 0.5).unwrap().allow_low_mass();
    let refused = sampler.in_one_pass().rsample(&skellam, key).unwrap_err();
    assert!(matches!(&refused, Error::NotInOnePass { what } if what.contains("Skellam")), "{refused}");
    assert_eq!(sampler.rsample(&skellam, key).unwrap().drawn_by, Backend::TensorGraph);
    for (lo, hi, temperature) in [(3, 2, 0.5), (0, 5, 0.0), (0, 5, f64::NAN), (0, 5, -1.0)] {
        assert!(OnePass::new(lo, hi, temperature).unwrap_err().to_string().contains("one-pass"));
    }
    let rate = Tensor::from_slice(&[1.0, 2.0]);
    let batch = TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(6)).unwrap();
    assert!(OnePass::new(0, 5, 0.5).unwrap().kl_to(&batch).unwrap_err().to_string().contains("prior"));
    assert!(key.gumbel(&[3], Kind::Float).unwrap_err().to_string().contains("latents, atoms"));
}

/// Free logits: `z`, the KL and their gradients in every logit.
#[test]
fn free_logits_equal_the_tensor_graph() {
    for (kind, bound) in [(Kind::Double, 1e-10), (Kind::Float, 1e-5)] {
        for n in [2i64, 12, 16, 45] {
            let guard = crate::common::seeded(n);
            let values = (Tensor::randn([6, 5, n], (Kind::Double, CPU)) * 2.0).to_kind(kind);
            drop(guard);
            let ours = values.copy().set_requires_grad(true);
            let theirs = values.to_kind(Kind::Double).set_requires_grad(true);
            let prior = Poisson::new(&Tensor::from(2.0)).unwrap();
            let prior = TruncatedDistribution::new(&prior, &Truncation::right(n).allow_low_mass()).unwrap();
            let q = TruncatedDistribution::from_logits(&theirs, 0).unwrap();
            let key = NoiseKey { first_row: 9, ..NoiseKey::new(5, 1 << 33) };
            let noise = key.gumbel(&[6, 5, n], kind).unwrap().to_kind(Kind::Double);
            for (forward, temperature) in
                [(Forward::Soft, 0.4), (Forward::StraightThrough, 1.0), (Forward::Soft, 1e-30)]
            {
                let sampler = OnePass::new(0, n - 1, temperature).unwrap().forward(forward);
                let draw = sampler.kl_to(&prior).unwrap().in_one_pass().rsample(&ours, key).unwrap();
                let alone = sampler.in_one_pass().rsample(&ours, key).unwrap();
                assert!(alone.kl.is_none() && doubles(&alone.z) == doubles(&draw.z));
                if temperature > 1e-3 {
                    let parts = sampler.kl_to(&prior).unwrap().in_blocks(7 * n).rsample(&ours, key).unwrap();
                    assert_eq!(parts.drawn_by, Backend::Blocks);
                    let what = format!("{kind:?}, {n} logits in parts, {forward:?}, {temperature}");
                    agree_with_gradients(&what, &parts, &draw, &[ours.shallow_clone()], bound);
                }
                let z = Relaxation::new(&q, temperature).unwrap().forward(forward).rsample_with_noise(&noise).unwrap();
                let kl = q.kl(&prior).unwrap();
                for (what, found, expected) in [("z", draw.z, z), ("kl", draw.kl.unwrap(), kl)] {
                    let what = format!("{kind:?}, {n} logits, {forward:?}, {temperature}: {what}");
                    agree(&what, &found, &expected, bound);
                    if temperature < 1e-3 && what.ends_with('z') {
                        continue;
                    }
                    let slope = |of: &Tensor, leaf: &Tensor| {
                        Tensor::run_backward(&[of.sum(Kind::Double)], &[leaf], true, false).remove(0)
                    };
                    agree(&format!("{what}, gradient"), &slope(&found, &ours), &slope(&expected, &theirs), bound);
                }
            }
        }
    }
    let wrong =
        OnePass::new(0, 5, 0.5).unwrap().rsample(&Tensor::zeros([2, 5], (Kind::Float, CPU)), NoiseKey::new(0, 0));
    assert!(wrong.unwrap_err().to_string().contains("[..., 6]"));
}

/// A last tile that is not full, and parameters that no check has seen: what comes out is what the tensor graph says, or NaN; never a panic.
#[test]
fn partial_tiles_and_hostile_parameters_do_not_panic() {
    let key = NoiseKey::new(2, 1);
    for kind in [Kind::Float, Kind::Double] {
        for latents in [1i64, 17, 40] {
            let rate = Tensor::full([latents], 1.3, (kind, CPU));
            let whole = Tensor::full([64], 1.3, (kind, CPU));
            // Straight-through draws leave weights of exactly 0 and 1 behind for the tile that follows.
            let sampler = OnePass::new(0, 11, 1e-6).unwrap();
            let draw = |rate: &Tensor| sampler.in_one_pass().rsample(&Poisson::new(rate).unwrap(), key).unwrap().z;
            assert_eq!(doubles(&draw(&rate)), doubles(&draw(&whole).narrow(0, 0, latents)), "{kind:?}, {latents}");
        }
        for shape in [vec![0i64], vec![3, 0], vec![0, 3], vec![]] {
            let values = Tensor::full(&shape, 0.4, (kind, CPU)).set_requires_grad(true);
            for sampler in [OnePass::new(0, 11, 0.5).unwrap(), OnePass::own_windows(1e-6, 0.5).unwrap()] {
                let draw = sampler.rsample(&Poisson::new(&values).unwrap(), key).unwrap();
                assert_eq!((draw.z.size(), draw.drawn_by), (shape.clone(), Backend::OnePass));
                draw.z.sum(kind).backward();
            }
            let logits = Tensor::zeros([&shape[..], &[12]].concat(), (kind, CPU));
            let sampler = OnePass::new(0, 11, 0.5).unwrap();
            assert_eq!(sampler.rsample(&logits, key).unwrap().z.size(), shape);
            let parts = sampler.in_blocks(24).rsample(&Poisson::new(&values).unwrap(), key).unwrap();
            assert_eq!((parts.z.size(), parts.z.kind()), (shape, kind));
        }
        for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300, 1e-300] {
            let values = Tensor::full([20], hostile, (Kind::Double, CPU)).to_kind(kind);
            let sampler = OnePass::new(0, 11, 0.5).unwrap().allow_low_mass();
            let draw = |law: &dyn Distribution| sampler.in_one_pass().rsample(law, key).unwrap().z;
            assert_eq!(draw(&unchecked(|| Poisson::new(&values)).unwrap()).numel(), 20);
            assert_eq!(draw(&unchecked(|| Geometric::from_logits(&values)).unwrap()).numel(), 20);
            assert_eq!(draw(&unchecked(|| NegativeBinomial::from_logits(&values, &values)).unwrap()).numel(), 20);
            let logits = values.unsqueeze(-1).repeat([1, 12]);
            assert_eq!(unchecked(|| sampler.in_one_pass().rsample(&logits, key)).unwrap().z.numel(), 20);
            // What is not a logit is refused, unless it is left unchecked.
            let is_logit = double(&values.get(0)).is_finite();
            assert_eq!(sampler.rsample(&logits, key).is_ok(), is_logit, "{hostile}");
        }
    }
}

/// One, two and three threads: bit for bit.
#[test]
fn threads_do_not_matter() {
    let guard = crate::common::seeded(4);
    let logits = Tensor::randn([1500, 20, 12], (Kind::Float, CPU));
    let rate = Tensor::rand([1500, 20], (Kind::Float, CPU)) * 3.0 + 0.01;
    let before = tch::get_num_threads();
    let results: Vec<[Vec<f64>; 2]> = [1, 2, 3]
        .into_iter()
        .map(|threads| {
            tch::set_num_threads(threads);
            let sampler = OnePass::new(0, 11, 0.5).unwrap();
            let key = NoiseKey::new(3, 4);
            let of_rate = sampler.in_one_pass().rsample(&Poisson::new(&rate).unwrap(), key).unwrap().z;
            [doubles(&of_rate), doubles(&sampler.in_one_pass().rsample(&logits, key).unwrap().z)]
        })
        .collect();
    tch::set_num_threads(before);
    drop(guard);
    assert!(results[0] == results[1] && results[0] == results[2]);
}

/// Two float64 or float32 draws and all their gradients, each in the same leaves.
fn agree_with_gradients(what: &str, found: &OnePassDraw, expected: &OnePassDraw, leaves: &[Tensor], bound: f64) {
    let pairs = [("z", &found.z, &expected.z), ("kl", found.kl.as_ref().unwrap(), expected.kl.as_ref().unwrap())];
    for (value, found, expected) in pairs {
        agree(&format!("{what}: {value}"), found, expected, bound);
        let slopes = |of: &Tensor| Tensor::run_backward(&[of.sum(Kind::Double)], leaves, true, false);
        for (a, b) in slopes(found).iter().zip(slopes(expected)) {
            agree(&format!("{what}: gradient of {value}"), a, &b, bound);
        }
    }
}

/// Each latent in a window of its own: as the tensor graph says in that same window, row by row; and the window keeps its promise.
#[test]
fn own_windows_equal_the_tensor_graph_row_by_row() {
    let laws: Vec<(&str, Vec<Vec<f64>>)> = vec![
        ("poisson", vec![vec![1e-3, 0.1, 3.7, 1000.0, 0.1, 90.0]]),
        ("geometric", vec![vec![0.02, 0.5, 0.97]]),
        ("negative-binomial", vec![vec![0.4, 3.0, 400.0], vec![0.9, 0.2, 0.5]]),
        ("bernoulli", vec![vec![0.02, 0.6]]),
    ];
    for (kind, bound) in [(Kind::Double, 1e-10), (Kind::Float, 1e-5)] {
        for (name, columns) in &laws {
            let leaf = |values: &Vec<f64>| Tensor::from_slice(values).to_kind(kind).unsqueeze(0).repeat([2, 1]);
            let leaves: Vec<Tensor> = columns.iter().map(|values| leaf(values).set_requires_grad(true)).collect();
            let ones: Vec<Tensor> = columns.iter().map(|values| Tensor::from(values[values.len() / 2])).collect();
            let prior = family(name, &ones);
            let key = NoiseKey::new(3, 8);
            let sampler = OnePass::own_windows(1e-7, 0.6).unwrap().kl_to_law(prior.as_ref()).unwrap();
            let found = sampler.in_one_pass().rsample(family(name, &leaves).as_ref(), key).unwrap();
            let latents = columns[0].len() as i64;
            for row in 0..2 {
                for latent in 0..latents {
                    let own = |of: &Tensor| of.narrow(0, row, 1).narrow(1, latent, 1);
                    let doubles_of: Vec<Tensor> = leaves
                        .iter()
                        .map(|leaf| own(leaf).detach().to_kind(Kind::Double).set_requires_grad(true))
                        .collect();
                    let law = family(name, &doubles_of);
                    let (lo, hi) = law.rows().unwrap().window(0, 1e-7, 1 << 20).unwrap();
                    let tails = (law.log_tails(lo).unwrap().0.exp(), law.log_tails(hi + 1).unwrap().1.exp());
                    assert!(
                        double(&tails.0.max()) <= 0.5e-7 && double(&tails.1.max()) <= 0.5e-7,
                        "{name}: {lo}..={hi}"
                    );
                    let truncation = Truncation::between(lo, hi);
                    let q = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap();
                    let prior = TruncatedDistribution::new(prior.as_ref(), &truncation.allow_low_mass()).unwrap();
                    let noise = key.gumbel(&[2, latents, hi + 1], kind).unwrap().to_kind(Kind::Double);
                    let noise = own(&noise).narrow(-1, lo, hi - lo + 1);
                    let z = Relaxation::new(&q, 0.6).unwrap().rsample_with_noise(&noise).unwrap();
                    let kl = q.kl(&prior).unwrap();
                    let what = format!("{kind:?} {name} row {row} latent {latent} in {lo}..={hi}");
                    for (value, found, expected) in [("z", &found.z, z), ("kl", found.kl.as_ref().unwrap(), kl)] {
                        agree(&format!("{what}: {value}"), &own(found), &expected, bound);
                        let slopes = |of: &Tensor, leaves: &[Tensor]| {
                            Tensor::run_backward(&[of.sum(Kind::Double)], leaves, true, false)
                        };
                        for (a, b) in slopes(found, &leaves).iter().zip(slopes(&expected, &doubles_of)) {
                            agree(&format!("{what}: gradient of {value}"), &own(a), &b, bound);
                        }
                    }
                }
            }
        }
    }
}

/// A window is as wide as its law: a rate of a million does not take a million atoms, and what cannot be held is refused.
#[test]
fn own_windows_are_as_wide_as_their_laws() {
    let window = |rate: f64| Poisson::new(&Tensor::from(rate)).unwrap().rows().unwrap().window(0, 1e-6, 1 << 18);
    let (lo, hi) = window(1e6).unwrap();
    assert!(hi - lo < 11_000 && lo < 1_000_000 && hi > 1_000_000, "{lo}..={hi}");
    // A single atom would have no gradient.
    assert_eq!(window(1e-9), Some((0, 1)));
    for hopeless in [f64::from(1u32 << 30), 1e30] {
        assert_eq!(window(hopeless), None);
    }
    let rate = Tensor::from_slice(&[0.1, 1e30]);
    let sampler = OnePass::own_windows(1e-6, 0.5).unwrap();
    let error = sampler.rsample(&Poisson::new(&rate).unwrap(), NoiseKey::new(0, 0)).unwrap_err().to_string();
    assert!(error.contains("window of a Poisson"), "{error}");
    assert!(OnePass::own_windows(0.0, 0.5).unwrap_err().to_string().contains("tail mass"));
    assert!(OnePass::own_windows(f64::NAN, 0.5).unwrap_err().to_string().contains("tail mass"));
}

/// By tensor operations in parts of a few latents, by one graph, and by the one-pass sampler: the same numbers for the same key, for every
/// family, those that do not walk too.
#[test]
fn parts_equal_the_graph_and_the_one_pass_sampler() {
    let key = NoiseKey { first_row: 5, ..NoiseKey::new(1, 77) };
    for (name, values, first) in crate::common::FAMILIES {
        for (kind, bound) in [(Kind::Double, 1e-10), (Kind::Float, 1e-5)] {
            let leaf = |(i, &value): (usize, &f64)| match i < first {
                true => Tensor::from(value),
                false => (Tensor::arange(12, (kind, CPU)) * 0.01 + value).reshape([3, 4]).set_requires_grad(true),
            };
            let leaves: Vec<Tensor> = values.iter().enumerate().map(leaf).collect();
            let law = family(name, &leaves);
            let support = law.support();
            let (lo, hi) = (support.lowest.unwrap_or(-7), support.highest.unwrap_or(13));
            let ones: Vec<Tensor> = values.iter().map(|&value| Tensor::from(value)).collect();
            let truncation = Truncation::between(lo, hi).allow_low_mass();
            let prior = TruncatedDistribution::new(family(name, &ones).as_ref(), &truncation).unwrap();
            for forward in [Forward::Soft, Forward::StraightThrough] {
                let sampler = OnePass::new(lo, hi, 0.7).unwrap().forward(forward).kl_to(&prior).unwrap();
                let draw = sampler.rsample(law.as_ref(), key).unwrap();
                let walks = law.rows().is_some();
                assert_eq!(draw.drawn_by, if walks { Backend::OnePass } else { Backend::TensorGraph }, "{name}");
                // Parts of five latents, the last of two.
                let parts = sampler.in_blocks(5 * (hi - lo + 1)).rsample(law.as_ref(), key).unwrap();
                assert_eq!(parts.drawn_by, Backend::Blocks);
                agree_with_gradients(&format!("{kind:?} {name} {forward:?}"), &parts, &draw, &leaves[first..], bound);
            }
        }
    }
}

/// A window that misses the law or leaves its support is what it is for the tensor graph: an error.
#[test]
fn windows_are_looked_at_before_anything_is_drawn() {
    let key = NoiseKey::new(0, 0);
    let sampler = OnePass::new(0, 11, 0.5).unwrap();
    let probs = Tensor::from_slice(&[0.3, 0.6]);
    for law in [
        Box::new(Binomial::new(4, &probs).unwrap()) as Box<dyn Distribution>,
        Box::new(Bernoulli::new(&probs).unwrap()),
        Box::new(Poisson::new(&Tensor::from_slice(&[2.0, 100.0])).unwrap()),
    ] {
        let expected = TruncatedDistribution::new(law.as_ref(), &Truncation::between(0, 11)).unwrap_err().to_string();
        let found = [
            sampler.rsample(law.as_ref(), key).map(drop),
            sampler.in_one_pass().rsample(law.as_ref(), key).map(drop),
            sampler.in_blocks(12).rsample(law.as_ref(), key).map(drop),
        ];
        for error in found {
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
    }
    let poisson = Poisson::new(&Tensor::from_slice(&[2.0, 100.0])).unwrap();
    assert_eq!(doubles(&sampler.allow_low_mass().rsample(&poisson, key).unwrap().z).len(), 2);
}

/// A prior on other atoms is no prior; one with a gradient would lose it.
#[test]
fn priors_live_on_the_atoms_of_the_window() {
    let sampler = OnePass::new(0, 11, 0.5).unwrap();
    let rate = Tensor::from(2.0);
    let beside =
        TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::between(2, 13).allow_low_mass())
            .unwrap();
    let one_hot = TruncatedDistribution::one_hot(&Tensor::zeros([12], (Kind::Double, CPU))).unwrap();
    for (prior, atoms) in [(&beside, "2..=13"), (&one_hot, "12 one-hot vectors")] {
        let message = sampler.kl_to(prior).unwrap_err().to_string();
        assert!(message.contains("0..=11") && message.contains(atoms), "{message}");
    }
    let leaf = rate.copy().set_requires_grad(true);
    let law = Poisson::new(&leaf).unwrap();
    let learned = TruncatedDistribution::new(&law, &Truncation::right(12)).unwrap();
    for error in [sampler.kl_to(&learned).map(drop), sampler.kl_to_law(&law).map(drop)] {
        assert!(error.unwrap_err().to_string().contains("without one: detach it"));
    }
    let short = Binomial::new(4, &Tensor::from(0.5)).unwrap();
    assert!(sampler.kl_to_law(&short).unwrap_err().to_string().contains("from 0 to 4"));
}

/// Where the walk does not serve, the KL to a law is there all the same, and is that of the walk.
#[test]
fn logits_have_their_kl_on_every_path() {
    let prior = DiscretizedLogistic::new(&Tensor::from(1.0), &Tensor::from(2.0)).unwrap();
    let values = (Tensor::arange(2 * 3 * 8, (Kind::Float, CPU)) * 0.37).sin().reshape([2, 3, 8]);
    let key = NoiseKey::new(4, 1);
    for (lo, hi) in [(0, 7), (-5, 2)] {
        let sampler = OnePass::new(lo, hi, 0.5).unwrap().kl_to_law(&prior).unwrap();
        let of = |kind: Kind| sampler.rsample(&values.to_kind(kind), key).unwrap();
        let (walked, by_graph) = (of(Kind::Float), of(Kind::BFloat16));
        assert_eq!((walked.drawn_by, by_graph.drawn_by), (Backend::OnePass, Backend::TensorGraph));
        let rounded = sampler.rsample(&values.to_kind(Kind::BFloat16).to_kind(Kind::Float), key).unwrap();
        for (found, expected) in [(by_graph.kl, rounded.kl), (Some(by_graph.z), Some(rounded.z))] {
            agree("half precision", &found.unwrap(), &expected.unwrap(), 1e-5);
        }
    }
}

/// Noise is a function of the atom, below zero too: two windows give their common atoms the same.
#[test]
fn noise_below_zero_belongs_to_the_atom() {
    let key = NoiseKey::new(8, 2);
    for kind in [Kind::Float, Kind::Double] {
        let wide = key.gumbel_from(-21, &[2, 3, 40], kind).unwrap();
        for lowest in [-12, -3, 0, 5] {
            let narrow = key.gumbel_from(lowest, &[2, 3, 7], kind).unwrap();
            assert_eq!(doubles(&narrow), doubles(&wide.narrow(-1, lowest + 21, 7)), "{kind:?} from {lowest}");
        }
        let mean = double(&key.gumbel_from(-500, &[50, 20, 500], kind).unwrap().mean(Kind::Double));
        assert!((mean - 0.577_215_664_9).abs() < 4.0 * 1.2825 / 5e5f64.sqrt(), "{mean}");
    }
    // So draws of a law with 1e-9 of its mass beyond either window are the same.
    let rate = Tensor::from_slice(&[1.5, 2.0, 1.0]);
    let skellam = Skellam::new(&rate, &rate).unwrap();
    let draw =
        |lo| OnePass::new(lo, 14, 0.5).unwrap().forward(Forward::StraightThrough).rsample(&skellam, key).unwrap().z;
    assert_eq!(doubles(&draw(-14)), doubles(&draw(-21)));
}

/// The derivative of the sampler is a constant of its graph, so that a second one would be wrong: it is an error.
#[test]
fn second_derivatives_are_refused() {
    let rate = Tensor::from_slice(&[1.0, 2.0]).set_requires_grad(true);
    let logits = Tensor::zeros([2, 12], (Kind::Double, CPU)).set_requires_grad(true);
    let (law, key) = (Poisson::new(&rate).unwrap(), NoiseKey::new(1, 1));
    let sampler = OnePass::new(0, 11, 0.5).unwrap();
    for (z, leaf) in [
        (sampler.rsample(&law, key).unwrap().z, &rate),
        (sampler.in_blocks(12).rsample(&law, key).unwrap().z, &rate),
        (sampler.rsample(&logits, key).unwrap().z, &logits),
    ] {
        for power in [1.0, 2.0] {
            let sum = z.pow_tensor_scalar(power).sum(Kind::Double);
            let first = Tensor::f_run_backward(&[sum], &[leaf], true, true).unwrap().remove(0);
            let again = Tensor::f_run_backward(&[first.sum(Kind::Double)], &[leaf], true, false);
            assert!(again.unwrap_err().to_string().contains("not implemented"));
        }
    }
}

type Build = fn(&[Tensor]) -> Box<dyn Distribution>;

fn negative_binomial(leaves: &[Tensor]) -> Box<dyn Distribution> {
    Box::new(NegativeBinomial::new(&leaves[0], &leaves[1]).unwrap())
}

fn negative_binomial_of_logits(leaves: &[Tensor]) -> Box<dyn Distribution> {
    Box::new(NegativeBinomial::from_logits(&leaves[0], &leaves[1]).unwrap())
}

fn poisson(leaves: &[Tensor]) -> Box<dyn Distribution> {
    Box::new(Poisson::new(&leaves[0]).unwrap())
}

/// Draws of one law in one window, with the KL to a geometric law: values and gradients equal those of the tensor graph in float64.
fn equals_the_graph(law: Build, parameters: &[f64], (lo, hi): (i64, i64)) -> Backend {
    let leaves = || parameters.iter().map(|&x| Tensor::from_slice(&[x]).set_requires_grad(true)).collect::<Vec<_>>();
    let prior = Geometric::new(&Tensor::from(0.1)).unwrap();
    let sampler = OnePass::new(lo, hi, 1.0).unwrap().allow_low_mass().kl_to_law(&prior).unwrap();
    let (ours, theirs) = (leaves(), leaves());
    let key = NoiseKey::new(9, 2);
    let one = sampler.rsample(law(&ours).as_ref(), key).unwrap();
    let graph = sampler.in_blocks(1 << 20).rsample(law(&theirs).as_ref(), key).unwrap();
    for (what, a, b) in [("z", &one.z, &graph.z), ("KL", one.kl.as_ref().unwrap(), graph.kl.as_ref().unwrap())] {
        let slope = |of: &Tensor, leaves: &[Tensor]| Tensor::run_backward(&[of], leaves, true, false);
        let (a_slopes, b_slopes) = (slope(a, &ours), slope(b, &theirs));
        // Log weights of counts of ten million are differences of numbers of a hundred million.
        let bound = if lo > 1_000_000 { 1e-5 } else { 1e-7 };
        let close = |what: String, a: f64, b: f64| {
            assert!((a - b).abs() <= bound * b.abs() + 1e-9, "{what} of {parameters:?} in {lo}..={hi}: {a}, not {b}");
        };
        close(what.into(), doubles(a)[0], doubles(b)[0]);
        for (i, (a, b)) in a_slopes.iter().zip(&b_slopes).enumerate() {
            close(format!("derivative {i} of {what}"), doubles(a)[0], doubles(b)[0]);
        }
    }
    one.drawn_by
}

/// Tails of more than ten thousand terms, and parameters at the ends of their ranges: values and gradients are those of the tensor graph in float64.
#[test]
fn long_tails_and_extreme_parameters_equal_the_graph() {
    let cases: [(Build, &[f64], (i64, i64)); 8] = [
        (negative_binomial, &[1.0, 0.997], (0, 12_000)),
        (negative_binomial, &[1.0, 0.999], (0, 30_000)),
        (negative_binomial, &[2.5, 0.999], (0, 50_000)),
        (negative_binomial, &[1e-12, 0.998], (0, 5)),
        (negative_binomial, &[1e-7, 0.999], (0, 200)),
        (negative_binomial, &[1e12, 5e-11], (15, 20)),
        (negative_binomial, &[1e20, 5e-20], (2, 14)),
        (poisson, &[1e7], (9_990_000, 10_019_000)),
    ];
    for (law, parameters, window) in cases {
        assert_eq!(equals_the_graph(law, parameters, window), Backend::OnePass, "{parameters:?} in {window:?}");
    }
}

/// Where most of the mass lies below the window, the tail above it comes first.
#[test]
fn windows_above_the_mean_of_laws_with_long_tails_equal_the_graph() {
    let cases: [(Build, &[f64], (i64, i64)); 9] = [
        (poisson, &[6_000_000.95], (6_000_001, 6_014_000)),
        (poisson, &[1e7], (10_000_500, 10_002_000)),
        (poisson, &[1e7], (10_000_001, 10_000_002)),
        (negative_binomial, &[0.5, 0.999], (600, 700)),
        (negative_binomial, &[0.5, 0.999], (500, 20_000)),
        (negative_binomial, &[1e-10, 0.9999], (2, 25)),
        (negative_binomial, &[1.0, 0.999], (1_000, 1_001)),
        (negative_binomial, &[3.0, 0.9995], (7_000, 9_000)),
        (negative_binomial, &[20.0, 0.998], (12_000, 12_100)),
    ];
    for (law, parameters, window) in cases {
        equals_the_graph(law, parameters, window);
    }
}

/// Tails of more terms than are worth their time are summed by the tensor graph, in milliseconds.
#[test]
fn tails_without_end_are_left_to_the_graph() {
    let cases: [(Build, &[f64], (i64, i64)); 5] = [
        (negative_binomial_of_logits, &[1e-9, 12.0], (0, 10)),
        (negative_binomial_of_logits, &[1e-9, 16.0], (0, 10)),
        (negative_binomial_of_logits, &[1e-9, 20.0], (0, 10)),
        (negative_binomial_of_logits, &[0.5, 14.0], (900_000, 900_100)),
        // Below the window, too: sixteen million terms that rise towards zero.
        (negative_binomial_of_logits, &[0.5, 18.0], (16_000_000, 16_000_050)),
    ];
    for (law, parameters, window) in cases {
        assert_eq!(equals_the_graph(law, parameters, window), Backend::TensorGraph, "{parameters:?} in {window:?}");
    }
}
