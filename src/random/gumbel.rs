//! Standard Gumbel noise that cannot be infinite.

use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Draws independent standard Gumbel noise, `-log E` with `E` exponential, from libtorch's global generator.
///
/// The draws equal those of PyTorch's `F.gumbel_softmax` for the same seed, bit for bit on the same machine. Kinds
/// shorter than float32 cannot hold the distribution's tail; they are drawn in float32 and rounded.
///
/// # Errors
/// Fails if the kind is not floating-point, or if the shape has a negative size or too many elements.
pub fn gumbel(shape: &[i64], kind: Kind, device: Device) -> Result<Tensor> {
    let _guard = no_grad_guard();
    if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
        return Err(Error::parameter("kind of noise", format!("{kind:?}"), "Float, Double, Half or BFloat16"));
    }
    let drawn_in = if kind == Kind::Double { Kind::Double } else { Kind::Float };
    check_shape("noise", shape, drawn_in)?;
    let mut exponential = Tensor::f_empty(shape, (drawn_in, device))?;
    Ok(gumbel_from_exponential(exponential.f_exponential_(1.0)?).to_kind(kind))
}

/// Converts exponential variables, float32 or float64, to Gumbel noise in place. An exponential of exactly zero, which
/// float32 generators sometimes return, is raised to the smallest normal number, which bounds the noise by 87.4 (708.4
/// in float64). Other values do not change.
pub fn gumbel_from_exponential(mut exponential: Tensor) -> Tensor {
    let smallest = if exponential.kind() == Kind::Double { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    exponential.clamp_min_(smallest).log_().neg_()
}
