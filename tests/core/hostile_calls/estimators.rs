//! Estimators of gradients, of laws, functions, priors and contexts of any kind.

use super::Call;
use super::expected::{agree, documented, is_finite, plain};
use super::laws::law;
use super::source::{CPU, Source};
use super::truncated::{is_vector, sound};
use gengs::estimators::{Estimate, EstimatorKind, Expectation, Setting};
use gengs::prelude::*;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

/// What a function under an expectation gives.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    /// The sum of `sin(z / 2)` over a row.
    Sum,
    /// Another finite number for each sample.
    Finite,
    /// Perhaps numbers that are not finite.
    Numbers,
    /// What must be refused.
    Refused,
}

type Function = Box<dyn Fn(&Tensor) -> Tensor>;

/// A function of rows whose values have these dimensions.
fn function(s: &mut Source, own: &'static [i64]) -> (Gives, Function) {
    let total = move |z: &Tensor| z.sum_dim_intlist(own, false, None::<Kind>);
    let sum = move |z: &Tensor| total(&(z / 2.0).sin());
    if s.rarely(5) {
        let kind = s.pick(&[Kind::Int64, Kind::Uint8, Kind::Bool, Kind::ComplexFloat, Kind::ComplexDouble]);
        return match s.0.random_range(0..7) {
            0 => (Gives::Refused, Box::new(move |z| total(z).detach().to_kind(kind))),
            1 => (Gives::Refused, Box::new(move |z| sum(z).unsqueeze(-1))),
            2 => (Gives::Refused, Box::new(move |z| sum(z).unsqueeze(0))),
            3 => (
                Gives::Refused,
                Box::new(move |z| {
                    sum(z).flatten(0, -1).unsqueeze(-1).repeat([1, 3]).unsqueeze(-1).expand([-1, -1, 1 << 36], false)
                }),
            ),
            4 => (Gives::Refused, Box::new(|_| Tensor::new())),
            5 => (Gives::Refused, Box::new(|_| Tensor::from_slice(&[0i64, 1, 2, 3, 4, 5, 6]))),
            _ => {
                let number = s.number(f64::NAN);
                (Gives::Numbers, Box::new(move |z| sum(z) * number))
            }
        };
    }
    let kind = s.pick(&[Kind::Half, Kind::BFloat16, Kind::Float, Kind::Double]);
    let own_parameter = Tensor::from(0.7f32).set_requires_grad(true);
    match s.0.random_range(0..7) {
        0 | 1 => (Gives::Sum, Box::new(sum)),
        2 => (Gives::Finite, Box::new(move |z| total(z).square())),
        3 => (Gives::Finite, Box::new(move |z| total(&z.floor()))),
        4 => (Gives::Finite, Box::new(move |z| sum(z).to_kind(kind))),
        5 => (Gives::Finite, Box::new(move |z| sum(&z.detach()) * &own_parameter)),
        _ => (Gives::Finite, Box::new(move |z| sum(z).zeros_like().narrow(0, 0, 1).expand_as(&sum(z)))),
    }
}

/// A law that is sound, seldom without rows or latents.
fn rows(s: &mut Source) -> TruncatedDistribution {
    loop {
        let q = sound(s);
        if !matches!(q.batch_shape().last(), None | Some(0)) || s.rarely(10) {
            return q;
        }
    }
}

/// What a sound setting says of the width of this law.
fn width(q: &TruncatedDistribution) -> i64 {
    q.mean().size().iter().skip(q.batch_shape().len().max(1) - 1).product()
}

fn setting(s: &mut Source, q: &TruncatedDistribution) -> Setting {
    Setting {
        width: s.integer(width(q)),
        features: if s.rarely(2) { None } else { Some(s.integer(4)) },
        temperature: s.number(0.5),
        device: if s.rarely(50) { s.pick(&[Device::Cuda(7), Device::Mps, Device::Vulkan]) } else { CPU },
    }
}

/// The documented shape and kind, numbers that are finite where they must be, and a backward pass to the law.
fn check(q: &TruncatedDistribution, estimate: &Estimate, finite: bool, temperature: f64) {
    let mut rows = q.batch_shape();
    rows.pop();
    documented(&estimate.surrogate, &rows, q.kind());
    assert!(!finite || is_finite(&estimate.surrogate), "{:?}", estimate.surrogate);
    if q.log_weights().requires_grad() {
        assert!(estimate.surrogate.requires_grad(), "no graph");
        let sum = estimate.surrogate.sum(Kind::Double);
        let gradient = Tensor::f_run_backward(&[sum], &[q.log_weights()], false, false).unwrap().remove(0);
        if gradient.defined() {
            documented(&gradient, &q.log_weights().size(), q.kind());
            let tame = (1e-3..1e3).contains(&temperature);
            assert!(!finite || !tame || is_finite(&gradient), "gradient {gradient:?}");
        }
    }
}

pub const CALLS: &[(&str, Call)] = &[
    ("EstimatorKind::build, Estimator::set_temperature", |s| {
        let q = sound(s);
        let mut estimator = s.pick(&EstimatorKind::ALL).build(&setting(s, &q))?;
        let temperature = s.number(0.5);
        let changed = estimator.set_temperature(temperature);
        assert_eq!(changed.is_ok(), temperature > 0.0 && temperature.is_finite(), "{temperature}");
        changed
    }),
    ("Estimator::estimate", |s| {
        let (q, kind) = (rows(s), s.pick(&EstimatorKind::ALL));
        let (gives, f) = function(s, if is_vector(&q) { &[-2, -1] } else { &[-1] });
        let setting = setting(s, &q);
        let mut of = Expectation::new(&q, f.as_ref())?.samples(s.integer(2))?;
        let mut rows = q.batch_shape();
        rows.pop();
        let context = if s.rarely(40) { Tensor::new() } else { s.tensor(1.0, &[rows.as_slice(), &[4]].concat()) };
        if setting.features.is_some() || s.rarely(4) {
            of = of.context(&context);
        }
        let prior = sound(s);
        if s.rarely(4) {
            of = of.prior(if s.rarely(3) { &prior } else { &q });
        }
        let poisson = Poisson::new(&Tensor::full(q.batch_shape(), 2.5, (q.kind(), CPU)))?;
        let other = if s.rarely(8) { Some(law(s)?) } else { None };
        if kind.needs_poisson() || s.rarely(4) {
            of = of.distribution(other.as_ref().map_or(&poisson, |[other, _]| other.as_ref()));
        }
        let mut estimator = kind.build(&setting)?;
        let estimate = estimator.estimate(&of)?;
        assert!(gives != Gives::Refused || estimate.surrogate.numel() == 0, "accepted");
        let finite = gives != Gives::Numbers && (setting.features.is_none() || is_finite(&context));
        check(&q, &estimate, finite, setting.temperature);
        if kind == EstimatorKind::Exact && gives == Gives::Sum {
            let mut values = plain(&(q.atoms() / 2.0).sin());
            if is_vector(&q) {
                values = values.sum_dim_intlist(-1, false, Kind::Double);
            }
            let terms = plain(q.log_weights()).exp() * values;
            agree(&estimate.surrogate, &terms.sum_dim_intlist([-2, -1].as_slice(), false, Kind::Double), 1e-4);
        }
        Ok(())
    }),
    ("Estimator::estimate, again", |s| {
        // What an estimator has learned from a law without rows, or cold, does no harm.
        let law = |rows: i64| {
            let rate = Tensor::full([rows, 3], 2.5, (Kind::Double, CPU)).set_requires_grad(true);
            let poisson = Poisson::new(&rate).unwrap();
            (TruncatedDistribution::new(&poisson, &Truncation::right(8)).unwrap(), poisson)
        };
        let setting = Setting { width: 3, features: None, temperature: s.number(0.5), device: CPU };
        let mut estimator = s.pick(&EstimatorKind::ALL).build(&setting)?;
        for rows in [s.pick(&[0, 1, 3]), 2] {
            let (q, poisson) = law(rows);
            let f = loop {
                let (gives, f) = function(s, &[-1]);
                if matches!(gives, Gives::Sum | Gives::Finite) {
                    break f;
                }
            };
            let of = Expectation::new(&q, f.as_ref())?.samples(2)?.distribution(&poisson);
            let estimate = estimator.estimate(&of)?;
            check(&q, &estimate, true, setting.temperature);
        }
        Ok(())
    }),
];
