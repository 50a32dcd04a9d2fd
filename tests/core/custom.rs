//! Distributions of the user's own: sums that end, and what is said when they do not.

use crate::common::{close, double, doubles, on_one_thread, seeded};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

fn table(weights: &[f64]) -> impl Fn(&[Tensor], &Tensor) -> Tensor + Send + 'static {
    let weights = Tensor::from_slice(weights).log();
    move |_, k| weights.index_select(0, &k.to_kind(Kind::Int64).reshape([-1])).reshape(k.size())
}

/// The closure of a Poisson behaves as the Poisson: tails, moments, excesses, gradients, windows.
#[test]
fn a_closure_is_as_good_as_a_family() {
    for rate in [0.01, 3.0, 400.0] {
        let leaf = || Tensor::from_slice(&[rate, 1.1 * rate]).set_requires_grad(true);
        let (ours, theirs) = (leaf(), leaf());
        let poisson = Poisson::new(&theirs).unwrap();
        let custom = Custom::builder("Counts", Support::from(0))
            .parameter("rate", &ours)
            .build(|p, k| k * p[0].log() - &p[0] - (k + 1.0).lgamma())
            .unwrap();
        let unnormalized = Custom::builder("Counts", Support::from(0))
            .parameter("rate", &ours)
            .unnormalized()
            .build(|p, k| k * p[0].log() - (k + 1.0).lgamma())
            .unwrap();
        for law in [&custom, &unnormalized] {
            for k in [1, 1 + rate as i64, 2 * rate as i64 + 9, 3 * rate as i64 + 40] {
                let (below, above) = law.log_tails(k).unwrap();
                let (exact_below, exact_above) = poisson.log_tails(k).unwrap();
                let excesses = law.log_partial_expectations(k).unwrap();
                let exact_excesses = poisson.log_partial_expectations(k).unwrap();
                for (found, exact) in [
                    (below, exact_below),
                    (above, exact_above),
                    (excesses.0, exact_excesses.0),
                    (excesses.1, exact_excesses.1),
                ] {
                    for (a, b) in doubles(&found).iter().zip(doubles(&exact)) {
                        close(&format!("rate {rate}, k {k}"), *a, b, 1e-9);
                    }
                    let slope = |t: &Tensor, leaf: &Tensor| {
                        doubles(&Tensor::run_backward(&[t.sum(Kind::Double)], &[leaf], true, false)[0])
                    };
                    for (a, b) in slope(&found, &ours).iter().zip(slope(&exact, &theirs)) {
                        close(&format!("rate {rate}, k {k}, derivative"), *a, b, 1e-8);
                    }
                }
            }
            for (a, b) in doubles(&law.mean()).iter().zip(doubles(&poisson.mean())) {
                close("mean", *a, b, 1e-10);
            }
            for (a, b) in doubles(&law.variance()).iter().zip(doubles(&poisson.variance())) {
                close("variance", *a, b, 1e-9);
            }
            let truncation = Truncation::tail_mass(1e-8);
            assert_eq!(truncation.resolve(law).unwrap(), truncation.resolve(&poisson).unwrap());
        }
    }
}

#[test]
fn fixed_tables_and_two_sided_laws() {
    let law = Custom::builder("Table", Support::between(0, 3)).build(table(&[0.1, 0.2, 0.3, 0.4])).unwrap();
    close("mean of a table", double(&law.mean()), 2.0, 1e-12);
    let q = TruncatedDistribution::new(&law, &Truncation::between(1, 3)).unwrap();
    assert_eq!(doubles(&q.log_weights().exp()).iter().map(|w| (w * 1e4).round()).collect::<Vec<_>>(), [3e3, 3e3, 4e3]);
    // A discrete Laplace law, p(k) = (1 - a) / (1 + a) a^|k|, on all integers.
    let a = Tensor::from(0.6).set_requires_grad(true);
    let laplace = Custom::builder("DiscreteLaplace", Support::INTEGERS)
        .parameter("a", &a)
        .build(|p, k| k.abs() * p[0].log() + p[0].neg().log1p() - p[0].log1p())
        .unwrap();
    close("mean", double(&laplace.mean()), 0.0, 1e-12);
    close("variance", double(&laplace.variance()), 2.0 * 0.6 / 0.16, 1e-12);
    close("P(X >= 3)", double(&laplace.log_tails(3).unwrap().1.exp()), 0.6f64.powi(3) / 1.6, 1e-12);
    close("P(X < -4)", double(&laplace.log_tails(-4).unwrap().0.exp()), 0.6f64.powi(5) / 1.6, 1e-12);
    let (lo, hi) = Truncation::tail_mass(1e-4).resolve(&laplace).unwrap();
    assert_eq!(lo, -hi);
    let _guard = seeded(2);
    let mean = double(&laplace.sample(&[100_000]).unwrap().mean(Kind::Double));
    assert!(mean.abs() < 4.0 * (7.5f64 / 1e5).sqrt(), "{mean}");
}

#[test]
fn a_bound_ends_a_sum_that_the_ratio_test_does_not_trust() {
    // p(k) proportional to exp(-sqrt k): ratios rise to one, and the rest is below its integral, 2 (sqrt k + 1) exp(-sqrt k).
    let law = Custom::builder("Stretched", Support::from(0))
        .tail_bound(|_, k| ((k - 1.0).sqrt() + 1.0).log() - (k - 1.0).sqrt() + 2f64.ln())
        .unnormalized()
        .build(|_, k| -k.sqrt())
        .unwrap();
    let (mut z, mut mean) = (0.0, 0.0);
    for k in (0..20_000).rev() {
        let p = (-f64::from(k).sqrt()).exp();
        z += p;
        mean += p * f64::from(k);
    }
    close("mean", double(&law.mean()), mean / z, 1e-12);
}

#[test]
fn what_cannot_be_summed_is_named() {
    on_one_thread();
    let builder = |name: &str| Custom::builder(name, Support::from(1));
    let message = |outcome: gengs::Result<Custom>| outcome.unwrap_err().to_string();

    let found = message(builder("Zeta").build(|_, k| k.log() * -2.0 - (std::f64::consts::PI.powi(2) / 6.0).ln()));
    assert!(found.contains("tail of Zeta") && found.contains("bound on the tail"), "{found}");
    let found = message(builder("Half").build(|_, k| k * -1.0));
    assert!(found.contains("total mass of Half") && found.contains("unnormalized"), "{found}");
    let found = message(builder("Broken").build(|_, k| (k - 3.0).log()));
    assert!(found.contains("log-pmf of Broken") && found.contains("NaN"), "{found}");
    let found = message(builder("Flat").build(|_, _| Tensor::from(0.0)));
    assert!(found.contains("log-pmf of Flat at two atoms") && found.contains("[2]"), "{found}");
    let p = Tensor::from_slice(&[0.5, f64::NAN]);
    let found = message(builder("Geo").parameter("p", &p).build(|p, k| k * p[0].log()));
    assert!(found.contains("p of Geo is NaN"), "{found}");
    let found =
        message(Custom::builder("Empty", Support::from(0)).unnormalized().build(|_, k| k.full_like(f64::NEG_INFINITY)));
    assert!(found.contains("Empty"), "{found}");
    let found = message(Custom::builder("Wide", Support::between(0, 1 << 40)).build(|_, k| k * 0.0));
    assert!(found.contains("support of Wide"), "{found}");
    // A law with no first atom has no first n.
    let skellam = Skellam::new(&Tensor::from(1.0), &Tensor::from(2.0)).unwrap();
    let found = Truncation::right(5).resolve(&skellam).unwrap_err().to_string();
    assert!(found.contains("Skellam") && found.contains("no first atom"), "{found}");
}

/// Pairs of different families in the same window; and the sentence when the windows differ.
#[test]
fn kl_of_every_pair() {
    let scalar = |x: f64| Tensor::full([], x, (Kind::Double, Device::Cpu));
    let laws: Vec<Box<dyn Distribution>> = vec![
        Box::new(Poisson::new(&scalar(3.0)).unwrap()),
        Box::new(NegativeBinomial::new(&scalar(2.0), &scalar(0.5)).unwrap()),
        Box::new(ConwayMaxwellPoisson::new(&scalar(4.0), &scalar(1.5)).unwrap()),
        Box::new(Skellam::new(&scalar(5.0), &scalar(2.0)).unwrap()),
        Box::new(DiscretizedLogistic::new(&scalar(3.0), &scalar(1.0)).unwrap()),
        Box::new(Binomial::new(30, &scalar(0.1)).unwrap()),
    ];
    let truncated = |law: &dyn Distribution, hi| TruncatedDistribution::new(law, &Truncation::between(0, hi)).unwrap();
    for p in &laws {
        for q in &laws {
            let (p, q) = (truncated(p.as_ref(), 12), truncated(q.as_ref(), 12));
            let (w, v) = (doubles(p.log_weights()), doubles(q.log_weights()));
            let expected: f64 = w.iter().zip(&v).map(|(a, b)| a.exp() * (a - b)).sum();
            close("kl", double(&p.kl(&q).unwrap()), expected, 1e-12);
            assert!(expected >= 0.0);
        }
    }
    let message = truncated(laws[0].as_ref(), 12).kl(&truncated(laws[1].as_ref(), 13)).unwrap_err().to_string();
    assert!(message.contains("0..=12") && message.contains("0..=13") && message.contains("same window"), "{message}");
}

/// A law on the even integers alone, by the public trait and nothing but what it asks for.
#[derive(Debug)]
struct Even {
    log_q: Tensor,
}

impl Distribution for Even {
    fn name(&self) -> &str {
        "Even"
    }

    fn kind(&self) -> Kind {
        Kind::Double
    }

    fn parameters(&self) -> Vec<gengs::distributions::Parameter> {
        vec![gengs::distributions::Parameter::scalar("log_q", &self.log_q)]
    }

    fn with_parameters(&self, mut values: Vec<Tensor>) -> Box<dyn Distribution> {
        Box::new(Even { log_q: values.remove(0) })
    }

    fn support(&self) -> Support {
        Support::from(0)
    }

    fn mean(&self) -> Tensor {
        let q = self.log_q.exp();
        2.0 * &q / (1.0 - q)
    }

    fn variance(&self) -> Tensor {
        let q = self.log_q.exp();
        let rest: Tensor = 1.0 - &q;
        4.0 * q / rest.square()
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        let half = k / 2.0;
        let log_pmf = &half * &self.log_q + (-self.log_q.exp()).log1p();
        let even = half.eq_tensor(&half.floor());
        log_pmf.where_self(&even, &log_pmf.full_like(f64::NEG_INFINITY))
    }
}

#[test]
fn defaults_of_the_trait_hold_for_a_law_with_gaps() {
    // P(X >= 2 m) = q^m.
    let law = Even { log_q: Tensor::from_slice(&[0.99f64.ln(), 0.5f64.ln()]) };
    for k in [0, 1, 2, 199, 200, 201, 1000] {
        let (below, above) = law.log_tails(k).unwrap();
        for (i, q) in [0.99f64, 0.5].into_iter().enumerate() {
            let exact = q.powi((k as i32 + 1) / 2);
            close(&format!("P(X >= {k})"), doubles(&above.exp())[i], exact, 1e-12);
            close(&format!("P(X < {k})"), doubles(&below.exp())[i], 1.0 - exact, 1e-12);
        }
    }
    let q = TruncatedDistribution::new(&law, &Truncation::tail_mass(1e-9)).unwrap();
    assert_eq!(doubles(&q.kl(&q).unwrap()), [0.0, 0.0]);
    close("mean", doubles(&q.mean())[0], 198.0, 1e-6);
    let _guard = seeded(5);
    assert!(doubles(&law.sample(&[1000]).unwrap()).iter().all(|k| k % 2.0 == 0.0));
}

/// Three atoms on an endless support, as a closure and as a law of the user's own: tails are the finite sums, nothing beyond.
#[test]
fn few_atoms_on_an_endless_support_have_tails() {
    on_one_thread();
    let log_pmf = |k: &Tensor| {
        let at = |place: f64, weight: f64| k.eq(place).to_kind(Kind::Double) * weight;
        (at(2.0, 0.2) + at(3.0, 0.3) + at(5.0, 0.5)).log()
    };
    #[derive(Debug)]
    struct Three(fn(&Tensor) -> Tensor);
    impl Distribution for Three {
        fn name(&self) -> &str {
            "Three"
        }
        fn kind(&self) -> Kind {
            Kind::Double
        }
        fn parameters(&self) -> Vec<gengs::distributions::Parameter> {
            vec![gengs::distributions::Parameter::scalar("nothing", &Tensor::from(0.0))]
        }
        fn with_parameters(&self, _: Vec<Tensor>) -> Box<dyn Distribution> {
            Box::new(Self(self.0))
        }
        fn support(&self) -> Support {
            Support::INTEGERS
        }
        fn mean(&self) -> Tensor {
            Tensor::from(3.8)
        }
        fn variance(&self) -> Tensor {
            Tensor::from(1.56)
        }
        fn log_pmf(&self, k: &Tensor) -> Tensor {
            (self.0)(k)
        }
    }
    let custom = |support| Custom::builder("Few", support).build(move |_, k| log_pmf(k)).unwrap();
    let ranged = Custom::builder("Few", Support::INTEGERS).range(0, 9).build(move |_, k| log_pmf(k)).unwrap();
    let laws: [Box<dyn Distribution>; 4] = [
        Box::new(custom(Support::INTEGERS)),
        Box::new(custom(Support::from(0))),
        Box::new(ranged),
        Box::new(Three(log_pmf)),
    ];
    let atoms = [(2i32, 0.2), (3, 0.3), (5, 0.5)];
    let (all, some) = ([-3i32, 0, 2, 3, 4, 5, 6, 40, 3_000], [-3, 3, 6]);
    for (i, law) in laws.iter().enumerate() {
        for &k in if i == 0 { &all[..] } else { &some } {
            let below: f64 = atoms.iter().filter(|(atom, _)| *atom < k).map(|(_, p)| p).sum();
            let (found_below, found_above) = law.log_tails(i64::from(k)).unwrap();
            close(&format!("P(X < {k})"), double(&found_below.exp()), below, 1e-12);
            close(&format!("P(X >= {k})"), double(&found_above.exp()), 1.0 - below, 1e-12);
            let excess: f64 = atoms.iter().map(|(atom, p)| p * f64::from((atom - k).max(0))).sum();
            let found = law.log_partial_expectations(i64::from(k)).unwrap().1;
            close(&format!("E max(X - {k}, 0)"), double(&found.exp()), excess, 1e-12);
        }
        let truncations = [Truncation::tail_mass(1e-6), Truncation::between(0, 4), Truncation::between(3, 8)];
        for truncation in truncations.into_iter().take(if i == 0 { 3 } else { 1 }) {
            let (lo, hi) = truncation.resolve(law.as_ref()).unwrap();
            let q = TruncatedDistribution::new(law.as_ref(), &truncation).unwrap();
            let weights = doubles(&q.log_weights().exp());
            for (k, weight) in (lo..=hi).zip(weights) {
                let stands_for = |atom: i64| atom == k || (k == lo && atom < k) || (k == hi && atom > k);
                let mass: f64 = atoms.iter().filter(|(atom, _)| stands_for(i64::from(*atom))).map(|(_, p)| p).sum();
                close(&format!("{k} of {lo}..={hi}"), weight, mass, 1e-7);
            }
            assert!(double(&q.entropy()).is_finite() && double(&q.kl(&q).unwrap()) == 0.0);
            let error = q.truncation_error().unwrap();
            assert!(doubles(&error.total_variation).iter().all(|x| x.is_finite()), "{error:?}");
        }
        let _guard = seeded(4);
        assert!(doubles(&law.sample(&[500]).unwrap()).iter().all(|k| [2.0, 3.0, 5.0].contains(k)));
    }
}

/// Modes far apart are all found, or their range is asked for.
#[test]
fn a_law_with_two_modes_is_whole() {
    on_one_thread();
    let two_modes = |far: f64| {
        move |p: &[Tensor], k: &Tensor| {
            let near: Tensor = (k - &p[0]).square() * -0.5;
            near.logaddexp(&((k - far).square() * -0.5))
        }
    };
    let centre = Tensor::from_slice(&[3.0, 4.0]);
    for far in [500.0, -500.0, 5_000.0, 100_000.0] {
        let builder = || Custom::builder("Modes", Support::INTEGERS).parameter("centre", &centre).unnormalized();
        let law = builder().build(two_modes(far)).unwrap();
        close("mean", doubles(&law.mean())[0], (3.0 + far) / 2.0, 1e-9);
        close("mean", doubles(&law.mean())[1], (4.0 + far) / 2.0, 1e-9);
        // A tail that starts between the modes holds the far one.
        let between = (far / 2.0) as i64;
        let (below, above) = law.log_tails(between).unwrap();
        close("above", doubles(&above.exp())[0], 0.5, 1e-9);
        close("below", doubles(&below.exp())[0], 0.5, 1e-9);
        let range = builder().range(-600, 101_000).build(two_modes(far)).unwrap();
        close("mean", doubles(&range.mean())[0], (3.0 + far) / 2.0, 1e-9);
    }
    // Normalised, it is known not to be whole, and the range helps.
    let normalized =
        move |p: &[Tensor], k: &Tensor| two_modes(3_000_000.0)(p, k) - (8.0 * std::f64::consts::PI).ln() / 2.0;
    let builder = || Custom::builder("Modes", Support::INTEGERS).parameter("centre", &centre);
    let message = builder().build(normalized).unwrap_err().to_string();
    assert!(message.contains("total mass of Modes") && message.contains("`range`"), "{message}");
    let law = builder().range(-100, 3_000_100).build(normalized).unwrap();
    // The sum of a discrete Gaussian is that of its integral to 5e-9.
    close("mean", doubles(&law.mean())[0], 1_500_001.5, 1e-8);
    let message = builder().range(5, 2).build(normalized).unwrap_err().to_string();
    assert!(message.contains("range of Modes"), "{message}");
}

/// A little mass far away is found, and counted in the mean, or its range is asked for.
#[test]
fn a_little_mass_far_away_is_part_of_a_normalised_law() {
    on_one_thread();
    for (far, share, is_found) in [(1e7, 9e-7, false), (1e6, 1e-7, false), (-1e5, 1e-9, true), (3e4, 1e-6, true)] {
        let log_pmf = move |_: &[Tensor], k: &Tensor| {
            let near = (k * 3f64.ln() - 3.0 - (k.clamp_min(0.0) + 1.0).lgamma() + (1.0f64 - share).ln())
                .where_self(&k.ge(0.0), &k.full_like(f64::NEG_INFINITY));
            near.where_self(&k.ne(far), &k.full_like(share.ln()))
        };
        let builder = || Custom::builder("Far", Support::INTEGERS);
        let mean = 3.0 * (1.0 - share) + share * far;
        match builder().build(log_pmf) {
            Ok(law) if is_found => close("mean", double(&law.mean()), mean, 1e-9),
            Err(error) if !is_found => assert!(error.to_string().contains("`range`"), "{error}"),
            other => panic!("{far}: {other:?}"),
        }
        let law = builder().range(far.min(-5.0) as i64, far.max(60.0) as i64).build(log_pmf).unwrap();
        close("mean in its range", double(&law.mean()), mean, 1e-9);
    }
}
