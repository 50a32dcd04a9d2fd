//! Small operations on tensors of latents that several estimators share.

use crate::error::{Error, Result};
use crate::relaxation::COLDEST;
use tch::{Kind, Tensor};

/// Returns a tensor of zeros that has the gradient of `tensor`.
pub(super) fn no_value(tensor: &Tensor) -> Tensor {
    tensor - tensor.detach()
}

/// Returns the sum of all elements.
pub(super) fn total(tensor: &Tensor) -> Tensor {
    tensor.sum(None::<Kind>)
}

/// Sums over the last dimension, the latents: `[..., latents]` to `[...]`.
pub(super) fn over_latents(tensor: &Tensor) -> Tensor {
    tensor.sum_dim_intlist(-1, false, None::<Kind>)
}

/// Picks from `[rows..., latents, atoms]` the entries at the atoms `index` `[samples, rows..., latents]`, whose shape
/// the result has.
pub(super) fn gathered(of_atoms: &Tensor, index: &Tensor) -> Tensor {
    let samples = index.size()[0];
    let expanded = of_atoms.unsqueeze(0).expand([&[samples], of_atoms.size().as_slice()].concat(), false);
    expanded.gather(-1, &index.unsqueeze(-1), false).squeeze_dim(-1)
}

/// Checks that a temperature is positive and finite; clamps it to the range that float32 can divide by.
pub(super) fn check_temperature(temperature: f64) -> Result<f64> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(temperature.clamp(COLDEST, 1.0 / COLDEST));
    }
    Err(Error::parameter("temperature of an estimator", temperature, "positive and finite"))
}
