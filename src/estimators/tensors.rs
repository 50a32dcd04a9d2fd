//! Small operations on tensors of latents that several estimators share.

use crate::error::{Error, Result};
use crate::relaxation::COLDEST;
use tch::{Kind, Tensor};

/// Zeros with the gradient of the tensor.
pub(super) fn no_value(tensor: &Tensor) -> Tensor {
    tensor - tensor.detach()
}

/// The sum of all numbers.
pub(super) fn total(tensor: &Tensor) -> Tensor {
    tensor.sum(None::<Kind>)
}

pub(super) fn over_latents(tensor: &Tensor) -> Tensor {
    tensor.sum_dim_intlist(-1, false, None::<Kind>)
}

/// `[rows..., latents, atoms]` at atoms `[samples, rows..., latents]`.
pub(super) fn gathered(of_atoms: &Tensor, index: &Tensor) -> Tensor {
    let samples = index.size()[0];
    let expanded = of_atoms.unsqueeze(0).expand([&[samples], of_atoms.size().as_slice()].concat(), false);
    expanded.gather(-1, &index.unsqueeze(-1), false).squeeze_dim(-1)
}

/// The temperature, raised or lowered to what float32 can divide by; fails unless it is positive and finite.
pub(super) fn check_temperature(temperature: f64) -> Result<f64> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(temperature.clamp(COLDEST, 1.0 / COLDEST));
    }
    Err(Error::parameter("temperature of an estimator", temperature, "positive and finite"))
}
