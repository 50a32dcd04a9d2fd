//! Matrix products by oneDNN instead of the BLAS that libtorch was built with.
//!
//! libtorch's own products go to MKL, which leaves processors of other makers than Intel on AVX2; oneDNN, which
//! libtorch ships too, asks only what the processor can do. So it is worth its price where there is AVX-512 and not
//! below: on AVX2 its products for the input are no faster, and those for the weights take three times as long
//! (`benches/RESULTS.md`). Its tensors have a layout of their own, so they live from the first layer to the last, and
//! its layers can be differentiated once, not twice.

use crate::platform::device::is_host;
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// The tensor in oneDNN's layout, if the layers of a network can run there: float32 on the CPU, with a batch dimension.
pub(super) fn enter(x: &Tensor) -> Option<Tensor> {
    let fits = is_host(x.device()) && x.kind() == Kind::Float && x.dim() >= 2 && x.numel() > 0;
    if !(fits && is_available()) {
        return None;
    }
    x.contiguous().f_to_mkldnn(None::<Kind>).ok()
}

/// A linear layer on a tensor in oneDNN's layout.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    x.mkldnn_linear(weight, Some(bias))
}

/// Back to a tensor as all others.
pub(super) fn leave(x: &Tensor) -> Tensor {
    x.to_dense(None::<Kind>, false)
}

/// Whether the processor has vectors that MKL leaves unused.
fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Whether oneDNN is the faster on this processor, and this libtorch has it: found out by one small product.
fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        if !has_avx512() {
            return false;
        }
        let ones = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
        let product = ones.f_to_mkldnn(None::<Kind>).and_then(|x| x.f_mkldnn_linear(&ones, None::<Tensor>));
        product
            .and_then(|y| y.f_to_dense(None::<Kind>, false))
            .is_ok_and(|y| y.f_equal(&(&ones * 2.0)).unwrap_or(false))
    })
}
