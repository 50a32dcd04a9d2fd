//! Checks of kinds, shapes and values that a user gives, before libtorch uses them.

use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use std::cell::Cell;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The largest absolute value of an atom, in a window or in a finite support: 2^24, up to which float32 holds every
/// integer exactly.
pub const LARGEST_ATOM: i64 = 1 << 24;

thread_local! {
    static UNCHECKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a closure in which constructors and samplers do not check the values of tensors. Use it in training steps on a
/// GPU: a check copies the values to the CPU and waits for them. It applies to all families, to truncation, relaxation
/// and the one-pass sampler, and only to the current thread.
///
/// Kinds, shapes and plain numbers are still checked. A value outside its domain gives meaningless numbers, mostly NaN,
/// and a window may miss the mass. [`Custom`](crate::distributions::Custom),
/// [`Hypergeometric`](crate::distributions::Hypergeometric) and
/// [`ConwayMaxwellPoisson`](crate::distributions::ConwayMaxwellPoisson) are always checked, since building them needs
/// their values.
///
/// ```
/// use gengs::{prelude::*, unchecked};
/// use tch::Tensor;
///
/// let rate = Tensor::from_slice(&[-1.0, 2.0]);
/// assert!(Poisson::new(&rate).is_err());
/// let law = unchecked(|| Poisson::new(&rate))?;
/// assert!(law.log_prob(&Tensor::from(3.0))?.get(0).isnan().int64_value(&[]) == 1);
/// # Ok::<(), gengs::Error>(())
/// ```
pub fn unchecked<T>(run: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            UNCHECKED.set(self.0);
        }
    }
    let _restore = Restore(UNCHECKED.replace(true));
    run()
}

/// Returns whether the current thread runs inside [`unchecked`].
pub(crate) fn is_unchecked() -> bool {
    UNCHECKED.get()
}

/// Checks logits `[..., n]` of a law: none may be NaN or plus infinity, and each row needs a finite one. Copies the
/// result from the device.
pub(crate) fn check_logits(law: &str, logits: &Tensor) -> Result<()> {
    if is_unchecked() {
        return Ok(());
    }
    let _guard = no_grad_guard();
    let allowed = "finite, or minus infinity for an atom that never occurs";
    check(&format!("logits of {law}"), logits, |logits| logits.lt(f64::INFINITY), allowed)?;
    let best = logits.amax([-1], false);
    check(&format!("largest logit of a row of {law}"), &best, Tensor::isfinite, "finite")
}

/// Checks that a tensor is defined and has a floating-point kind.
pub(crate) fn check_floating(what: &str, tensor: &Tensor, allowed: &str) -> Result<()> {
    if tensor.defined() && tensor.is_floating_point() {
        return Ok(());
    }
    let found = if tensor.defined() { format!("{:?}", tensor.kind()) } else { "undefined".into() };
    Err(Error::parameter(format!("kind of {what}"), found, allowed))
}

/// Returns whether `shape` can be expanded to the shape `to`.
pub(crate) fn expands(shape: &[i64], to: &[i64]) -> bool {
    shape.len() <= to.len() && shape.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == to || from == 1)
}

/// Converts a user's real numbers to the kind and device of a law, keeping their graph.
pub(crate) fn real(values: &Tensor, what: &str, kind: Kind, device: Device) -> Result<Tensor> {
    if !values.defined() || matches!(values.kind(), Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble) {
        let found = if values.defined() { format!("{:?}", values.kind()) } else { "undefined".into() };
        return Err(Error::parameter(format!("kind of {what}"), found, "real numbers"));
    }
    check_shape(what, &values.size(), kind)?;
    Ok(values.f_to_device(device)?.f_to_kind(kind)?)
}

/// Broadcasts parameters to one shape, in float64. Also returns the kind of the results: float64 if one parameter is
/// float64, else float32.
pub(crate) fn broadcast(family: &str, parameters: &[&Tensor]) -> Result<(Vec<Tensor>, Kind)> {
    for parameter in parameters {
        check_floating(&format!("a parameter of {family}"), parameter, "a floating-point kind")?;
    }
    let mut shape = Vec::new();
    for parameter in parameters {
        if !broadcasts(&parameter.size(), &shape) {
            return Err(Error::Shape {
                what: format!("parameters of {family}"),
                found: parameter.size(),
                expected: format!("the other parameter's shape {shape:?}"),
            });
        }
        shape = broadcast_shape(&shape, &parameter.size());
    }
    check_shape(&format!("parameters of {family}"), &shape, Kind::Double)?;
    let double = parameters.iter().any(|t| t.kind() == Kind::Double);
    let doubles: Vec<Tensor> = parameters.iter().map(|t| t.to_kind(Kind::Double)).collect();
    let broadcast = Tensor::f_broadcast_tensors(&doubles)?;
    Ok((broadcast, if double { Kind::Double } else { Kind::Float }))
}

/// Takes the only tensor out of a list of parameters.
pub(crate) fn single<T>(mut values: Vec<T>) -> T {
    values.swap_remove(0)
}

/// Takes both tensors out of a list of two parameters.
pub(crate) fn two<T>(mut values: Vec<T>) -> (T, T) {
    let second = values.swap_remove(1);
    (values.swap_remove(0), second)
}

/// Checks that all values are in their domain, unless inside [`unchecked`]. The error names the first value that is
/// not. `inside` maps the values to booleans. Copies the result from the device.
pub(crate) fn check(name: &str, values: &Tensor, inside: impl FnOnce(&Tensor) -> Tensor, allowed: &str) -> Result<()> {
    if is_unchecked() { Ok(()) } else { require(name, values, &inside(values), allowed) }
}

/// Checks values as [`check`] does, but inside [`unchecked`], too. `inside` holds whether each value is in its domain.
pub(crate) fn require(name: &str, values: &Tensor, inside: &Tensor, allowed: &str) -> Result<()> {
    let outside = inside.logical_not();
    if outside.any().int64_value(&[]) == 0 {
        return Ok(());
    }
    let first = values.masked_select(&outside).double_value(&[0]);
    Err(Error::number(name, first, allowed))
}

/// Checks that all values are from 1e-300 to 1e30. Beyond these bounds, products and quotients of parameters overflow
/// or underflow in float64. Copies the result from the device.
pub(crate) fn check_positive(name: &str, values: &Tensor) -> Result<()> {
    check(name, values, is_positive, POSITIVE)
}

/// The domain of [`is_positive`], for messages.
pub(crate) const POSITIVE: &str = "positive, from 1e-300 to 1e30";

/// Returns which values are from 1e-300 to 1e30.
pub(crate) fn is_positive(values: &Tensor) -> Tensor {
    values.ge(1e-300).logical_and(&values.le(1e30))
}

/// Checks that a number of trials is positive and at most [`LARGEST_ATOM`].
pub(crate) fn check_count(name: &str, count: i64) -> Result<()> {
    if !(1..=LARGEST_ATOM).contains(&count) {
        return Err(Error::parameter(name, count, format!("from 1 to {LARGEST_ATOM}")));
    }
    Ok(())
}

/// Returns whether two shapes broadcast to a common shape.
pub(crate) fn broadcasts(left: &[i64], right: &[i64]) -> bool {
    left.iter().rev().zip(right.iter().rev()).all(|(&l, &r)| l == r || l == 1 || r == 1)
}

/// Returns the common shape of two shapes that broadcast together.
pub(crate) fn broadcast_shape(left: &[i64], right: &[i64]) -> Vec<i64> {
    let dims = left.len().max(right.len());
    let size_at = |shape: &[i64], i: usize| if i + shape.len() >= dims { shape[i + shape.len() - dims] } else { 1 };
    (0..dims).map(|i| if size_at(left, i) == 1 { size_at(right, i) } else { size_at(left, i) }).collect()
}

/// Returns `sample_shape + batch_shape`.
pub(crate) fn extended(sample_shape: &[i64], batch_shape: &[i64]) -> Vec<i64> {
    [sample_shape, batch_shape].concat()
}

/// Returns `(log 0, log 1)`, the tails outside the support, as tensors of the shape, kind and device of `like`.
pub(crate) fn log_zero_one(like: &Tensor) -> (Tensor, Tensor) {
    (like.full_like(f64::NEG_INFINITY), like.zeros_like())
}
