//! Values whose derivatives are computed beside them.

use crate::autograd::differentiable_once;
use crate::error::Result;
use tch::{Kind, Tensor};

/// A value whose derivatives are known: in `x`, `[B, K]`, it has `slopes`, `[B, K]`, and in these it has `x`, as the
/// scalar product of both.
pub(super) fn with_slopes(value: Tensor, x: &Tensor, slopes: &Tensor) -> Result<Tensor> {
    let of_x = slopes.detach() * (x - x.detach());
    let of_slopes = x.detach() * (slopes - slopes.detach());
    differentiable_once(&(value + (of_x + of_slopes).sum_dim_intlist(-1, false, None::<Kind>)))
}

/// `[z, 1]`.
pub(super) fn with_ones(z: &Tensor) -> Tensor {
    Tensor::cat(&[z, &z.narrow(1, 0, 1).detach().ones_like()], 1)
}
