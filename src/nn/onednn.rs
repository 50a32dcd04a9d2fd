//! Matrix products by oneDNN in place of the BLAS that libtorch was built with.
//!
//! libtorch uses MKL, which does not use AVX-512 on CPUs of other makers than Intel; oneDNN, which is part of libtorch
//! too, does. On AVX2 it is no faster, and slower for weight gradients (`benches/RESULTS.md`), so it is used on CPUs
//! with AVX-512 only. Its tensors have their own layout, so they are converted before the first layer and after the
//! last. Its layers can be differentiated only once.

use crate::platform::device::is_host;
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// Converts a tensor to oneDNN's layout. `None` unless oneDNN can run the layers: float32 on the CPU, with a batch
/// dimension.
pub(super) fn enter(x: &Tensor) -> Option<Tensor> {
    let fits = is_host(x.device()) && x.kind() == Kind::Float && x.dim() >= 2 && x.numel() > 0;
    if !(fits && is_available()) {
        return None;
    }
    x.contiguous().f_to_mkldnn(None::<Kind>).ok()
}

/// Applies a linear layer to a tensor in oneDNN's layout.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    x.mkldnn_linear(weight, Some(bias))
}

/// Converts a tensor back from oneDNN's layout.
pub(super) fn leave(x: &Tensor) -> Tensor {
    x.to_dense(None::<Kind>, false)
}

/// Returns whether the CPU has AVX-512.
fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Returns whether oneDNN is used: the CPU has AVX-512 and this libtorch has oneDNN, as one small product shows.
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
