//! The optimiser, with parameters and gradients of any kind.

use super::Call;
use super::expected::{agree, documented, is_finite, plain};
use super::source::{CPU, Source};
use gengs::nn::{Adam, Skipped};
use rand::RngExt;
use tch::nn::VarStore;
use tch::{Kind, Tensor, no_grad};

/// A store of two parameters, most often floating-point ones.
fn store(s: &mut Source) -> VarStore {
    let mut store = VarStore::new(CPU);
    for name in ["a", "b"] {
        let values = loop {
            let values = s.tensor(1.0, &[2, 3]);
            if values.numel() < 1 << 20 {
                break values;
            }
        };
        let real = !matches!(values.kind(), Kind::ComplexFloat | Kind::ComplexDouble);
        let values = if real { values.to_kind(Kind::Float) } else { values.real().to_kind(Kind::Float) };
        let _ = store.root().var_copy(name, &values);
    }
    let kind = s.kind();
    if kind == Kind::Float || !kind_has_gradient(kind) {
        return store;
    }
    store.set_kind(kind);
    store
}

fn kind_has_gradient(kind: Kind) -> bool {
    !matches!(kind, Kind::Int64 | Kind::Int | Kind::Uint8 | Kind::Bool)
}

/// About what the gradient of a parameter should be.
fn gradient(s: &mut Source, parameter: &Tensor) -> Tensor {
    match s.0.random_range(0..24) {
        0 => Tensor::new(),
        1 => s.tensor(0.3, &parameter.size()),
        2 => parameter.detach(),
        3 => parameter.ones_like().to_sparse(None, None::<&[i64]>, None),
        4 => parameter.full_like(0.5).unsqueeze(0),
        _ => {
            let values = s.tensor(0.3, &parameter.size());
            if values.size() != parameter.size() {
                return parameter.detach() * 0.1;
            }
            values.to_kind(parameter.kind())
        }
    }
}

/// Parameters in the order of their names.
fn parameters(store: &VarStore) -> [Tensor; 2] {
    ["a", "b"].map(|name| store.variables()[name].shallow_clone())
}

/// The formula in float64, from averages of zero: what gradients make of a parameter, one after the other.
fn formula(parameter: &Tensor, gradients: &[Tensor], learning_rate: f64) -> Tensor {
    let (mut p, mut m, mut v) = (parameter.copy(), parameter.zeros_like(), parameter.zeros_like());
    for (gradient, t) in gradients.iter().zip(1..) {
        m = m * 0.9 + gradient * 0.1;
        v = v * 0.999 + gradient.square() * 0.001;
        let (m, v): (Tensor, Tensor) = (&m / (1.0 - 0.9f64.powi(t)), &v / (1.0 - 0.999f64.powi(t)));
        p -= m * learning_rate / (v.sqrt() + 1e-8);
    }
    p
}

/// Finite, and of a size whose square float32 holds.
fn is_tame(tensor: &Tensor) -> bool {
    is_finite(tensor) && (tensor.numel() == 0 || plain(tensor).abs().max().double_value(&[]) < 1e15)
}

pub const CALLS: &[(&str, Call)] = &[
    ("Adam::apply", |s| {
        let store = store(s);
        let learning_rate = s.number(0.01);
        let mut adam = Adam::new(&store, learning_rate)?;
        let before = parameters(&store).map(|parameter| parameter.detach().copy());
        let mut given = [Vec::new(), Vec::new()];
        for _ in 0..2 {
            let gradients = parameters(&store).map(|parameter| gradient(s, &parameter));
            let some = if s.rarely(30) { &gradients[..1] } else { &gradients[..] };
            let copies = gradients.each_ref().map(|gradient| {
                (gradient.defined() && gradient.numel() < 1 << 20).then(|| plain(&gradient.to_dense(None, false)))
            });
            adam.apply(some)?;
            let skipped = adam.skipped()?;
            let finite = copies.iter().flatten().all(is_finite);
            assert_eq!(skipped == Skipped::default(), finite, "{skipped:?}");
            if finite {
                given.iter_mut().zip(copies).for_each(|(given, copy)| given.push(copy));
            }
        }
        for ((before, after), given) in before.iter().zip(parameters(&store)).zip(given) {
            documented(&after, &before.size(), before.kind());
            let all: Option<Vec<Tensor>> = given.into_iter().collect();
            let tame = all.iter().flatten().chain([before]).all(is_tame) && learning_rate < 1e3;
            if let Some(all) = all.filter(|_| tame && after.is_floating_point()) {
                let bound = match after.kind() {
                    Kind::Float => 1e-5,
                    Kind::Double => 1e-12,
                    Kind::Half => 2e-3,
                    _ => 2e-2,
                };
                agree(&after, &formula(&plain(before), &all, learning_rate), bound * learning_rate.max(1.0));
            }
        }
        Ok(())
    }),
    ("Adam::minimize", |s| {
        let store = store(s);
        let mut adam = Adam::new(&store, s.number(0.01))?;
        let [a, b] = parameters(&store);
        let sum = a.square().sum(None::<Kind>) + b.square().sum(None::<Kind>);
        let loss = match s.0.random_range(0..16) {
            0 => Tensor::new(),
            1 => a.square(),
            2 => sum.detach(),
            3 => sum.real().to_kind(s.kind()),
            4 => sum * s.number(f64::NAN),
            5 => s.tensor(1.0, &[]),
            6 => b.square().sum(None::<Kind>),
            _ => sum,
        };
        let keep_graph = s.rarely(2);
        let before = parameters(&store).map(|parameter| plain(&parameter));
        adam.minimize(&loss, keep_graph)?;
        let left_out = adam.skipped()?.updates == 1;
        assert!(left_out || is_finite(&loss), "{loss:?}");
        for (before, after) in before.iter().zip(parameters(&store)).filter(|_| left_out) {
            agree(&after.detach(), before, 0.0);
        }
        // The graph is there, or spent, or its parameters have moved.
        let _ = adam.minimize(&loss, false);
        Ok(())
    }),
    ("Adam::step, set_learning_rate, set_steps", |s| {
        let store = store(s);
        let mut adam = Adam::new(&store, 0.01)?;
        let mut tame = true;
        for parameter in parameters(&store) {
            let gradient = s.tensor(0.3, &parameter.size());
            if s.rarely(4) || gradient.size() != parameter.size() {
                continue;
            }
            tame &= is_tame(&gradient);
            let product = &parameter * gradient.detach().to_kind(parameter.kind());
            let _ = product.sum(None::<Kind>).f_backward();
        }
        adam.set_steps(s.integer(0));
        let learning_rate = s.number(0.01);
        let changed = adam.set_learning_rate(learning_rate);
        assert_eq!(changed.is_ok(), learning_rate > 0.0 && learning_rate.is_finite());
        adam.step()?;
        let before = adam.steps();
        adam.step()?;
        assert!(before >= 0 && adam.steps() >= before);
        for (_, average) in adam.state() {
            assert!(!tame || is_finite(&average), "{average:?}");
        }
        no_grad(|| adam.zero_grad());
        changed
    }),
];
