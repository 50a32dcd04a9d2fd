//! Values with precomputed derivatives.

use crate::autograd::differentiable_once;
use crate::error::Result;
use tch::{Kind, Tensor};

/// Gives `value` `[B]` known derivatives, as the dot product of `x` and `slopes` has: `slopes` `[B, K]` in `x`
/// `[B, K]`, and `x` in `slopes`.
pub(super) fn with_slopes(value: Tensor, x: &Tensor, slopes: &Tensor) -> Result<Tensor> {
    let of_x = slopes.detach() * (x - x.detach());
    let of_slopes = x.detach() * (slopes - slopes.detach());
    differentiable_once(&(value + (of_x + of_slopes).sum_dim_intlist(-1, false, None::<Kind>)))
}

/// Appends a column of ones: `[B, K]` to `[B, K + 1]`.
pub(super) fn with_ones(z: &Tensor) -> Tensor {
    Tensor::cat(&[z, &z.narrow(1, 0, 1).detach().ones_like()], 1)
}
