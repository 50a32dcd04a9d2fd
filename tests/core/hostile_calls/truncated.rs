//! Laws in a window.

use super::Call;
use super::expected::{agree, broadcast, documented, is_finite, plain};
use super::laws::of_law;
use super::source::{CPU, Source};
use crate::common::doubles;
use gengs::TruncationError;
use gengs::prelude::*;
use rand::RngExt;
use tch::{Kind, Tensor};

pub fn truncation(s: &mut Source) -> Truncation {
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
pub fn sound(s: &mut Source) -> TruncatedDistribution {
    let kind = s.pick(&[Kind::Float, Kind::Double]);
    let shape = s.pick(&[vec![], vec![3], vec![2, 3], vec![0, 2], vec![2, 0]]);
    let rate = Tensor::full(&shape, 2.5, (kind, CPU)).set_requires_grad(s.rarely(2));
    let logits = Tensor::zeros([shape.as_slice(), &[6]].concat(), (kind, CPU)).set_requires_grad(s.rarely(2));
    match s.0.random_range(0..5) {
        0 => TruncatedDistribution::from_logits(&logits, -2),
        1 => TruncatedDistribution::one_hot(&logits),
        2 => TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(8).merge_at_mean()),
        3 => Multinomial::from_logits(2, &logits.narrow(-1, 0, 3)).unwrap().enumerate(),
        _ => TruncatedDistribution::new(&Poisson::new(&rate).unwrap(), &Truncation::right(12)),
    }
    .unwrap()
}

pub fn is_vector(q: &TruncatedDistribution) -> bool {
    q.atoms().dim() == 2 && q.mean().dim() == q.batch_shape().len() + 1
}

/// The shape of draws.
pub fn drawn(q: &TruncatedDistribution, sample_shape: &[i64]) -> Vec<i64> {
    [sample_shape, &q.mean().size()].concat()
}

pub const CALLS: &[(&str, Call)] = &[
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
];
