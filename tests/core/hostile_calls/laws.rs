//! Families, and laws made by hand.

use super::Call;
use super::expected::{agree, broadcast, documented, is_finite, plain};
use super::source::Source;
use gengs::Result;
use gengs::distributions::{FAMILIES, LARGEST_ATOM};
use gengs::prelude::*;
use tch::{Kind, Tensor};

/// A law of some family, and the same law from plain tensors.
pub fn law(s: &mut Source) -> Result<[Box<dyn Distribution>; 2]> {
    let entry = s.pick(FAMILIES);
    let shape = s.pick(&[vec![], vec![3], vec![2, 3]]);
    let parameter = |s: &mut Source, i: usize| {
        if i < entry.whole { Tensor::from(entry.typical[i]) } else { s.tensor(entry.typical[i], &shape) }
    };
    let parameters: Vec<Tensor> = (0..entry.typical.len()).map(|i| parameter(s, i)).collect();
    let found = entry.distribution(&parameters)?;
    let again = entry.distribution(&parameters.iter().map(plain).collect::<Vec<_>>()).unwrap();
    Ok([found, again])
}

pub fn of_law(
    s: &mut Source,
    call: impl FnOnce(&mut Source, &dyn Distribution, &dyn Distribution) -> Result<()>,
) -> Result<()> {
    let [found, again] = law(s)?;
    call(s, found.as_ref(), again.as_ref())
}

pub const CALLS: &[(&str, Call)] = &[
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
