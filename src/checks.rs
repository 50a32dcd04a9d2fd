//! What is looked at before libtorch sees it: kinds, shapes and values that a user gives.

use crate::distributions::check;
use crate::limits::check_shape;
use crate::{Error, Result};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Fails for logits of a law that are NaN or plus infinity, and for rows without a finite one. Reads them back from their device.
pub(crate) fn check_logits(law: &str, logits: &Tensor) -> Result<()> {
    let _guard = no_grad_guard();
    let allowed = "finite, or minus infinity for an atom that never occurs";
    check(&format!("logits of {law}"), logits, &logits.lt(f64::INFINITY), allowed)?;
    let best = logits.amax([-1], false);
    check(&format!("largest logit of a row of {law}"), &best, &best.isfinite(), "finite")
}

/// Fails for what is no tensor of floating-point numbers.
pub(crate) fn check_floating(what: &str, tensor: &Tensor, allowed: &str) -> Result<()> {
    if tensor.defined() && tensor.is_floating_point() {
        return Ok(());
    }
    let found = if tensor.defined() { format!("{:?}", tensor.kind()) } else { "undefined".into() };
    Err(Error::parameter(format!("kind of {what}"), found, allowed))
}

/// Whether a shape expands to another one.
pub(crate) fn expands(shape: &[i64], to: &[i64]) -> bool {
    shape.len() <= to.len() && shape.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == to || from == 1)
}

/// Numbers of a user's in a law's kind and on its device, with their graph.
pub(crate) fn real(values: &Tensor, what: &str, kind: Kind, device: Device) -> Result<Tensor> {
    if !values.defined() || matches!(values.kind(), Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble) {
        let found = if values.defined() { format!("{:?}", values.kind()) } else { "undefined".into() };
        return Err(Error::parameter(format!("kind of {what}"), found, "real numbers"));
    }
    check_shape(what, &values.size(), kind)?;
    Ok(values.f_to_device(device)?.f_to_kind(kind)?)
}
