//! Checks that numbers are finite before an optimiser uses them.
//!
//! On the CPU, this is one pass over memory. On another device, the result stays there, so that a step does not wait.

use super::dense::{is_plain, numbers};
use crate::error::Result;
use crate::platform::device::is_host;
use tch::{Kind, Tensor, no_grad_guard};

/// The result of checking a loss and its gradients.
pub(super) enum Verdict {
    /// All are finite.
    Finite,
    /// The index of the first tensor that is not finite.
    NotFinite(usize),
    /// One flag per tensor, on a device: true if it is finite.
    Device(Tensor),
}

/// Checks tensors of one device; undefined ones count as finite.
pub(super) fn examine(tensors: &[&Tensor]) -> Result<Verdict> {
    let _guard = no_grad_guard();
    let elsewhere = tensors.iter().find(|tensor| tensor.defined() && !is_host(tensor.device()));
    let Some(device) = elsewhere.map(|tensor| tensor.device()) else {
        for (place, tensor) in tensors.iter().enumerate() {
            if tensor.defined() && !is_finite(tensor)? {
                return Ok(Verdict::NotFinite(place));
            }
        }
        return Ok(Verdict::Finite);
    };
    let flags: Vec<Tensor> = tensors
        .iter()
        .map(|tensor| {
            if !tensor.defined() || tensor.numel() == 0 {
                return Ok(Tensor::ones([], (Kind::Bool, device)));
            }
            // An infinity is the least or the greatest element; a NaN makes both NaN.
            let (least, greatest) = tensor.f_aminmax(None, false)?;
            Ok(least.isfinite().logical_and(&greatest.isfinite()))
        })
        .collect::<Result<_>>()?;
    Ok(Verdict::Device(Tensor::f_stack(&flags, 0)?))
}

/// Returns whether all elements of a tensor are finite. Waits for its device.
pub(crate) fn is_finite(tensor: &Tensor) -> Result<bool> {
    if !is_plain(tensor) {
        return Ok(tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 1);
    }
    Ok(pulp::Arch::new().dispatch(AllFinite(numbers(tensor))))
}

/// Checks numbers with the CPU's widest vectors.
struct AllFinite<'a>(&'a [f32]);

impl pulp::WithSimd for AllFinite<'_> {
    type Output = bool;

    /// Tests whether all bits of the exponent are set, as in infinities and NaNs only. Does not stop within a chunk, so
    /// that the loop is vectorised.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> bool {
        const EXPONENT: u32 = 0x7f80_0000;
        for chunk in self.0.chunks(1 << 14) {
            let mut broken = 0;
            for x in chunk {
                broken |= u32::from(x.to_bits() & EXPONENT == EXPONENT);
            }
            if broken != 0 {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn one_number_anywhere_is_found() {
        for kind in [Kind::Float, Kind::Double, Kind::Half] {
            for size in [1, 7, 64, 40_000] {
                for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    for place in [0, size / 2, size - 1] {
                        let tensor = Tensor::full([size], 65504.0, (kind, Device::Cpu));
                        assert!(is_finite(&tensor).unwrap());
                        let _ = tensor.get(place).fill_(broken);
                        assert!(!is_finite(&tensor).unwrap(), "{broken} at {place} of {size} in {kind:?}");
                        // Transposed, and cut out: no contiguous piece of memory.
                        let view = Tensor::stack(&[&tensor, &tensor.ones_like()], 1);
                        assert!(!is_finite(&view.select(1, 0)).unwrap() && is_finite(&view.select(1, 1)).unwrap());
                    }
                }
            }
        }
        let extremes = Tensor::from_slice(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, -0.0]);
        assert!(is_finite(&extremes).unwrap());
        assert!(is_finite(&Tensor::zeros([0], (Kind::Float, Device::Cpu))).unwrap());
    }
}
