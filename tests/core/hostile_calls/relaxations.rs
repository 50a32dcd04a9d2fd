//! Relaxed draws, by tensor operations and in one pass, and their noise.

use super::Call;
use super::expected::{agree, broadcast, documented, is_finite, plain};
use super::laws::of_law;
use super::source::CPU;
use super::truncated::{drawn, sound};
use gengs::prelude::*;
use gengs::random::gumbel;
use gengs::sampler::{NoiseKey, OnePass};
use tch::{Kind, Tensor};

pub const CALLS: &[(&str, Call)] = &[
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
                OnePass::new(s.count(0), s.count(11), s.number(0.5))?
            };
            let sampler = if s.rarely(3) { sampler.allow_low_mass() } else { sampler };
            let draw = sampler.rsample(law, NoiseKey::new(5, 6))?;
            documented(&draw.z, &law.batch_shape(), law.kind());
            assert!(is_finite(&draw.z));
            agree(
                &draw.z,
                &sampler.rsample(again, NoiseKey::new(5, 6))?.z,
                if law.kind() == Kind::Double { 1e-9 } else { f64::INFINITY },
            );
            Ok(())
        })
    }),
    ("OnePass::rsample of logits", |s| {
        let logits = s.tensor(1.0, &[2, 3, 12]);
        let draw = OnePass::new(0, s.integer(11), s.number(0.5))?.rsample(&logits, NoiseKey::new(5, 6))?;
        assert_eq!(draw.z.size(), logits.size()[..logits.dim() - 1]);
        assert!(is_finite(&draw.z));
        Ok(())
    }),
];
