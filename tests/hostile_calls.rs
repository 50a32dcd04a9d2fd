//! Public functions, called with tensors and numbers of any kind, shape, size and value: an error, or the documented shape and kind, finite
//! numbers, and those of a reference in float64. Never a panic.

mod common;

use common::doubles;
use gengs::distributions::{FAMILIES, LARGEST_ATOM};
use gengs::prelude::*;
use gengs::random::gumbel;
use gengs::sampler::{NoiseKey, OnePass};
use gengs::{Result, TruncationError};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::{Device, Kind, Tensor};

const CPU: Device = Device::Cpu;

/// Where arguments come from.
struct Source(ChaCha8Rng);

impl Source {
    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())].clone()
    }

    /// One time in so many.
    fn rarely(&mut self, times: u32) -> bool {
        self.0.random_range(0..times) == 0
    }

    fn number(&mut self, usual: f64) -> f64 {
        if !self.rarely(12) {
            return usual * self.0.random_range(0.8..1.2);
        }
        self.pick(&[
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            -1.0,
            1e300,
            -1e300,
            1e-300,
            5e-324,
            1e30,
            0.5,
            1.0,
        ])
    }

    fn integer(&mut self, usual: i64) -> i64 {
        if !self.rarely(10) {
            return usual;
        }
        self.pick(&[i64::MIN, i64::MAX, -1, 0, 1, 1 << 31, 1 << 40, LARGEST_ATOM, -LARGEST_ATOM - 1, 17])
    }

    fn shape(&mut self, usual: &[i64]) -> Vec<i64> {
        if !self.rarely(8) {
            return usual.to_vec();
        }
        let dims = self.0.random_range(0..4);
        (0..dims).map(|_| self.pick(&[0, 1, 2, 3, 5])).collect()
    }

    /// A shape to draw in, which may be hopeless.
    fn sample_shape(&mut self) -> Vec<i64> {
        if self.rarely(10) {
            return self.pick(&[
                vec![-1],
                vec![1 << 40],
                vec![i64::MAX, 2],
                vec![1 << 20, 1 << 20],
                vec![i64::MIN],
                vec![3, -2],
            ]);
        }
        self.pick(&[vec![], vec![2], vec![0], vec![3, 1], vec![1]])
    }

    fn kind(&mut self) -> Kind {
        if self.rarely(8) {
            return self.pick(&[
                Kind::Int64,
                Kind::Int,
                Kind::Uint8,
                Kind::Bool,
                Kind::ComplexFloat,
                Kind::ComplexDouble,
            ]);
        }
        self.pick(&[Kind::Float, Kind::Float, Kind::Double, Kind::Double, Kind::Half, Kind::BFloat16])
    }

    /// A tensor about these values, of about this shape; seldom one that takes no memory and has 2^38 numbers.
    fn tensor(&mut self, usual: f64, shape: &[i64]) -> Tensor {
        if self.rarely(60) {
            return Tensor::full([1, 1], usual, (Kind::Float, CPU)).expand([1 << 19, 1 << 19], false);
        }
        let shape = self.shape(shape);
        let count = shape.iter().product::<i64>();
        let values: Vec<f64> = (0..count).map(|_| usual * self.0.random_range(0.8..1.2)).collect();
        let mut tensor = Tensor::from_slice(&values).reshape(&shape);
        if count > 0 && self.rarely(10) {
            let (place, broken) = (self.0.random_range(0..count), self.number(f64::NAN));
            let _ = tensor.reshape([-1]).get(place).fill_(broken);
        }
        tensor = tensor.to_kind(self.kind());
        // Other ways to lie in memory: turned round, every second number, one number for all.
        match self.0.random_range(0..8) {
            0 if tensor.dim() == 2 => tensor.tr().contiguous().tr(),
            1 => Tensor::stack(&[&tensor, &tensor], -1).select(-1, 1),
            2 if count > 0 => tensor.reshape([-1]).narrow(0, 0, 1).expand(1.max(count), false).reshape(&shape),
            3 if count > 0 && tensor.is_floating_point() => tensor.set_requires_grad(true),
            _ => tensor,
        }
    }
}

/// A finite, real tensor.
fn is_finite(tensor: &Tensor) -> bool {
    tensor.numel() > 1 << 24 || tensor.to_kind(Kind::Double).isfinite().all().int64_value(&[]) == 1
}

/// The same numbers in the plainest form.
fn plain(tensor: &Tensor) -> Tensor {
    tensor.detach().to_kind(Kind::Double).contiguous().copy()
}

#[track_caller]
fn documented(found: &Tensor, shape: &[i64], kind: Kind) {
    assert_eq!((found.size().as_slice(), found.kind()), (shape, kind));
}

#[track_caller]
fn agree(found: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(found.size(), expected.size());
    for (a, b) in doubles(found).iter().zip(doubles(expected)) {
        assert!(*a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= bound * b.abs().max(1.0), "{a} instead of {b}");
    }
}

fn broadcast(a: &[i64], b: &[i64]) -> Vec<i64> {
    let dims = a.len().max(b.len());
    let at = |s: &[i64], i: usize| if i + s.len() < dims { 1 } else { s[i + s.len() - dims] };
    (0..dims).map(|i| if at(a, i) == 1 { at(b, i) } else { at(a, i) }).collect()
}

/// A law of some family, and the same law from plain tensors.
fn law(s: &mut Source) -> Result<[Box<dyn Distribution>; 2]> {
    let entry = s.pick(&FAMILIES);
    let shape = s.pick(&[vec![], vec![3], vec![2, 3]]);
    let parameter = |s: &mut Source, i: usize| {
        if i < entry.whole { Tensor::from(entry.typical[i]) } else { s.tensor(entry.typical[i], &shape) }
    };
    let parameters: Vec<Tensor> = (0..entry.typical.len()).map(|i| parameter(s, i)).collect();
    let found = entry.distribution(&parameters)?;
    let again = entry.distribution(&parameters.iter().map(plain).collect::<Vec<_>>()).unwrap();
    Ok([found, again])
}

fn truncation(s: &mut Source) -> Truncation {
    let window = match s.0.random_range(0..4) {
        0 => Truncation::right(s.integer(12)),
        1 => Truncation::between(s.integer(0), s.integer(9)),
        2 => Truncation::between(s.integer(-3), s.integer(20)),
        _ => Truncation::tail_mass(s.number(1e-4)),
    };
    let window = match s.0.random_range(0..3) {
        0 => window,
        1 => window.renormalize(),
        _ => window.merge_at_mean(),
    };
    if s.rarely(3) { window.allow_low_mass() } else { window }
}

/// A truncated law that is sound, of one of the kinds there are.
fn sound(s: &mut Source) -> TruncatedDistribution {
    let kind = s.pick(&[Kind::Float, Kind::Double]);
    let shape = s.pick(&[vec![], vec![3], vec![2, 3], vec![0, 2]]);
    let rate = Tensor::full(&shape, 2.5, (kind, CPU)).set_requires_grad(s.rarely(2));
    let logits = Tensor::zeros([shape.as_slice(), &[6]].concat(), (kind, CPU));
    match s.0.random_range(0..5) {
        0 => TruncatedDistribution::from_logits(&logits, -2),
        1 => TruncatedDistribution::one_hot(&logits),
        2 => TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(8).merge_at_mean()),
        3 => Multinomial::from_logits(2, &logits.narrow(-1, 0, 3)).unwrap().enumerate(),
        _ => TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(12)),
    }
    .unwrap()
}

fn is_vector(q: &TruncatedDistribution) -> bool {
    q.atoms().dim() == 2 && q.mean().dim() == q.batch_shape().len() + 1
}

/// The shape of draws.
fn drawn(q: &TruncatedDistribution, sample_shape: &[i64]) -> Vec<i64> {
    [sample_shape, &q.mean().size()].concat()
}

type Call = fn(&mut Source) -> Result<()>;

fn of_law(
    s: &mut Source,
    call: impl FnOnce(&mut Source, &dyn Distribution, &dyn Distribution) -> Result<()>,
) -> Result<()> {
    let [found, again] = law(s)?;
    call(s, found.as_ref(), again.as_ref())
}

/// Each function by name.
const CALLS: &[(&str, Call)] = &[
    ("Distribution::mean, variance", |s| {
        of_law(s, |_, law, again| {
            for (found, expected) in [(law.mean(), again.mean()), (law.variance(), again.variance())] {
                documented(&found, &law.batch_shape(), Kind::Double);
                agree(&found, &expected, 1e-10);
                assert!(is_finite(&found));
            }
            Ok(())
        })
    }),
    ("Distribution::log_prob", |s| {
        of_law(s, |s, law, again| {
            let value = s.tensor(2.0, &law.batch_shape());
            let value =
                if value.is_floating_point() && value.numel() < 1 << 20 && s.rarely(2) { value.round() } else { value };
            let found = law.log_prob(&value)?;
            documented(&found, &broadcast(&value.size(), &law.batch_shape()), Kind::Double);
            agree(&found, &again.log_prob(&plain(&value))?, 1e-9);
            Ok(())
        })
    }),
    ("Distribution::log_tails", |s| {
        of_law(s, |s, law, _| {
            let k = s.integer(4).clamp(-LARGEST_ATOM, LARGEST_ATOM);
            let (below, above) = law.log_tails(k)?;
            documented(&below, &law.batch_shape(), Kind::Double);
            agree(&(below.exp() + above.exp()), &above.ones_like(), 1e-8);
            Ok(())
        })
    }),
    ("Distribution::sample", |s| {
        of_law(s, |s, law, _| {
            let shape = s.sample_shape();
            let draws = law.sample(&shape)?;
            documented(&draws, &[shape, law.batch_shape()].concat(), law.kind());
            assert!(is_finite(&draws) && law.log_prob(&draws)?.isfinite().all().int64_value(&[]) == 1);
            Ok(())
        })
    }),
    ("Multinomial::new, sample, log_prob", |s| {
        let probs = s.tensor(0.3, &[2, 3]);
        let law = Multinomial::new(s.integer(4), &probs)?;
        let shape = s.sample_shape();
        let draws = law.sample(&shape)?;
        documented(&draws, &[shape, law.batch_shape(), vec![law.classes()]].concat(), law.kind());
        assert!(is_finite(&law.log_prob(&draws)?));
        Ok(())
    }),
    ("MultinomialRelaxation::rsample", |s| {
        let law = Multinomial::new(s.integer(4), &s.tensor(0.3, &[2, 3]))?;
        let scheme = s.pick(&[Scheme::Enumeration, Scheme::Categoricals, Scheme::ConditionalBinomials]);
        let relaxation = MultinomialRelaxation::new(&law, scheme, s.number(0.5))?;
        let shape = s.sample_shape();
        let z = relaxation.forward(s.pick(&[Forward::Soft, Forward::StraightThrough])).rsample(&shape)?;
        documented(&z, &[shape, law.batch_shape(), vec![law.classes()]].concat(), law.kind());
        assert!(is_finite(&z));
        let total = law.total_count() as f64;
        agree(
            &z.sum_dim_intlist(-1, false, Kind::Double),
            &Tensor::full(&z.size()[..z.dim() - 1], total, (Kind::Double, CPU)),
            1e-4,
        );
        Ok(())
    }),
    ("TruncatedDistribution::new", |s| {
        of_law(s, |s, law, again| {
            let truncation = truncation(s);
            let q = TruncatedDistribution::new(law, &truncation)?;
            documented(q.log_weights(), &[law.batch_shape(), vec![q.len()]].concat(), law.kind());
            let total = q.log_weights().to_kind(Kind::Double).exp().sum_dim_intlist(-1, false, Kind::Double);
            agree(&total, &total.ones_like(), 1e-4);
            let expected = TruncatedDistribution::new(again, &truncation)?;
            agree(&q.log_weights().exp(), &expected.log_weights().exp(), 1e-5);
            if q.len() < 100_000 {
                let TruncationError { total_variation, mean, .. } = q.truncation_error()?;
                assert!(
                    total_variation.ge(0.0).all().int64_value(&[]) == 1 && mean.ge(0.0).all().int64_value(&[]) == 1
                );
            }
            Ok(())
        })
    }),
    ("TruncatedDistribution::from_logits", |s| {
        let logits = s.tensor(1.0, &[2, 5]);
        let lowest = s.integer(0);
        let q = TruncatedDistribution::from_logits(&logits, lowest)?;
        agree(q.log_weights(), &plain(&logits).log_softmax(-1, Kind::Double), 1e-6);
        assert_eq!(doubles(&q.atoms().select(0, 0)), [lowest as f64]);
        Ok(())
    }),
    ("TruncatedDistribution::one_hot", |s| {
        let logits = s.tensor(1.0, &[2, 5]);
        let q = TruncatedDistribution::one_hot(&logits)?;
        agree(q.log_weights(), &plain(&logits).log_softmax(-1, Kind::Double), 1e-6);
        Ok(())
    }),
    ("TruncatedDistribution::expectation", |s| {
        let q = sound(s);
        let values = s.tensor(2.0, &[q.len()]);
        let found = q.expectation(|_| values.shallow_clone())?;
        documented(&found, &q.batch_shape(), q.kind());
        let terms = plain(q.log_weights()).exp() * plain(&values);
        agree(&found, &terms.sum_dim_intlist(-1, false, Kind::Double), 1e-4);
        Ok(())
    }),
    ("TruncatedDistribution::mean, variance, entropy", |s| {
        let q = sound(s);
        assert!(is_finite(&q.mean()) && is_finite(&q.variance()) && is_finite(&q.entropy()));
        documented(&q.entropy(), &q.batch_shape(), q.kind());
        Ok(())
    }),
    ("TruncatedDistribution::kl", |s| {
        let (q, p) = (sound(s), sound(s));
        let p = if s.rarely(3) {
            p
        } else {
            TruncatedDistribution::new(&Poisson::new(&Tensor::from(1.0))?, &Truncation::right(12))?
        };
        let kl = q.kl(&p)?;
        assert_eq!(kl.size(), broadcast(&q.batch_shape(), &p.batch_shape()));
        assert!(kl.ge(-1e-6).all().int64_value(&[]) == 1);
        Ok(())
    }),
    ("TruncatedDistribution::log_prob", |s| {
        let q = sound(s);
        let draws = q.sample(&[2])?;
        let value = if s.rarely(2) { draws } else { s.tensor(2.0, &draws.size()) };
        let found = q.log_prob(&value)?;
        let rows = if is_vector(&q) { value.size()[..value.dim() - 1].to_vec() } else { value.size() };
        documented(&found, &broadcast(&rows, &q.batch_shape()), q.kind());
        assert!(found.le(1e-6).all().int64_value(&[]) == 1);
        agree(&found, &q.log_prob(&plain(&value))?, 1e-9);
        Ok(())
    }),
    ("TruncatedDistribution::sample", |s| {
        let (q, shape) = (sound(s), s.sample_shape());
        let draws = q.sample(&shape)?;
        documented(&draws, &drawn(&q, &shape), q.kind());
        assert!(q.log_prob(&draws)?.isfinite().all().int64_value(&[]) == 1);
        Ok(())
    }),
    ("Relaxation::rsample", |s| {
        let (q, shape) = (sound(s), s.sample_shape());
        let temperature = s.number(0.5);
        let relaxation = Relaxation::new(&q, temperature)?.forward(s.pick(&[Forward::Soft, Forward::StraightThrough]));
        let z = relaxation.rsample(&shape)?;
        documented(&z, &drawn(&q, &shape), q.kind());
        assert!(is_finite(&z));
        Ok(())
    }),
    ("Relaxation::new with a tensor", |s| {
        let q = sound(s);
        let temperature = s.tensor(0.5, &q.batch_shape());
        let z = Relaxation::new(&q, temperature)?.rsample(&[2])?;
        documented(&z, &drawn(&q, &[2]), q.kind());
        assert!(is_finite(&z));
        Ok(())
    }),
    ("Relaxation::rsample_with_noise", |s| {
        let q = sound(s);
        let noise = s.tensor(0.7, &q.log_weights().size());
        let found = Relaxation::new(&q, 0.5)?.rsample_with_noise(&noise)?;
        assert_eq!(found.kind(), q.kind());
        if is_finite(&noise) && q.atoms().dim() == 1 {
            let weights = ((plain(q.log_weights()) + plain(&noise)) / 0.5).softmax(-1, Kind::Double);
            agree(&found, &weights.matmul(&plain(q.atoms())), 1e-3);
        }
        Ok(())
    }),
    ("Relaxation::rsample_log_weights, transform, log_prob", |s| {
        let q = sound(s);
        let relaxation = Relaxation::new(&q, s.number(0.5))?;
        let shape = s.sample_shape();
        let drawn_weights = relaxation.rsample_log_weights(&shape)?;
        let y = if s.rarely(2) { drawn_weights } else { s.tensor(-1.5, &q.log_weights().size()) };
        let (z, density) = (relaxation.transform(&y)?, relaxation.log_prob(&y)?);
        assert_eq!(z.kind(), q.kind());
        documented(&density, &broadcast(&y.size()[..y.dim() - 1], &q.batch_shape()), Kind::Double);
        Ok(())
    }),
    ("noise::gumbel", |s| {
        let (shape, kind) = (s.sample_shape(), s.kind());
        let noise = gumbel(&shape, kind, CPU)?;
        documented(&noise, &shape, kind);
        assert!(is_finite(&noise));
        Ok(())
    }),
    ("NoiseKey::gumbel_from", |s| {
        let shape = if s.rarely(3) { s.sample_shape() } else { s.shape(&[2, 3, 7]) };
        let (kind, lowest) = (s.kind(), s.integer(-4));
        let noise = NoiseKey::new(3, 4).gumbel_from(lowest, &shape, kind)?;
        documented(&noise, &shape, kind);
        assert!(is_finite(&noise));
        Ok(())
    }),
    ("OnePass::draw", |s| {
        of_law(s, |s, law, again| {
            let sampler = if s.rarely(3) {
                OnePass::own_windows(s.number(1e-6), s.number(0.5))?
            } else {
                OnePass::new(s.integer(0), s.integer(11), s.number(0.5))?
            };
            let sampler = if s.rarely(3) { sampler.allow_low_mass() } else { sampler };
            let draw = sampler.draw(law, NoiseKey::new(5, 6))?;
            documented(&draw.z, &law.batch_shape(), law.kind());
            assert!(is_finite(&draw.z));
            agree(
                &draw.z,
                &sampler.draw(again, NoiseKey::new(5, 6))?.z,
                if law.kind() == Kind::Double { 1e-9 } else { f64::INFINITY },
            );
            Ok(())
        })
    }),
    ("OnePass::draw_logits", |s| {
        let logits = s.tensor(1.0, &[2, 3, 12]);
        let draw = OnePass::new(0, s.integer(11), s.number(0.5))?.draw_logits(&logits, NoiseKey::new(5, 6))?;
        assert_eq!(draw.z.size(), logits.size()[..logits.dim() - 1]);
        assert!(is_finite(&draw.z));
        Ok(())
    }),
    ("Custom", |s| {
        let rate = s.tensor(3.0, &[2]);
        let kind = s.kind();
        let lie = s.rarely(6);
        let custom = Custom::builder("Counts", Support::from(0)).parameter("rate", &rate);
        let custom = if s.rarely(3) { custom.range(s.integer(0), s.integer(60)) } else { custom };
        let custom = custom.unnormalized().build(move |p, k| {
            let log_pmf: Tensor = k * p[0].log() - (k + 1.0).lgamma();
            if lie { log_pmf.to_kind(kind) } else { log_pmf }
        })?;
        documented(&custom.mean(), &rate.size(), Kind::Double);
        Ok(())
    }),
];

fn run(count: usize) {
    let _guard = common::seeded(9);
    let mut source = Source(ChaCha8Rng::seed_from_u64(11));
    let mut tally: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut failures = Vec::new();
    for number in 0..count {
        let (name, call) = CALLS[number % CALLS.len()];
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut source)));
        let counts = tally.entry(name).or_default();
        counts[0] += 1;
        match outcome {
            Ok(Ok(())) => counts[1] += 1,
            Ok(Err(error)) => {
                let text = error.to_string();
                if text.is_empty() || text.contains("Exception raised") {
                    failures.push(format!("{name}, call {number}: not a sentence: {text}"));
                }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default();
                failures.push(format!("{name}, call {number}: {}", text.chars().take(300).collect::<String>()));
            }
        }
    }
    std::panic::set_hook(hook);
    for (name, [calls, fine]) in &tally {
        println!("{calls:6} calls, {fine:6} of them Ok: {name}");
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.iter().take(400).cloned().collect::<Vec<_>>().join("\n")
    );
    let fine: usize = tally.values().map(|[_, fine]| fine).sum();
    assert!(3 * fine > count, "{fine} of {count} calls are Ok");
}

#[test]
fn calls_end_with_an_error_or_with_the_right_numbers() {
    run(5_000);
}

#[test]
#[ignore = "some minutes: 100,000 calls"]
fn calls_end_with_an_error_or_with_the_right_numbers_at_length() {
    run(100_000);
}
