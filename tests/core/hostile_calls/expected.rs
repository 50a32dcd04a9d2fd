//! What is documented, and the same numbers from plain tensors.

use crate::common::doubles;
use tch::{Kind, Tensor};

/// A finite, real tensor.
pub fn is_finite(tensor: &Tensor) -> bool {
    tensor.numel() > 1 << 24 || tensor.to_kind(Kind::Double).isfinite().all().int64_value(&[]) == 1
}

/// The same numbers in the plainest form.
pub fn plain(tensor: &Tensor) -> Tensor {
    tensor.detach().to_kind(Kind::Double).contiguous().copy()
}

#[track_caller]
pub fn documented(found: &Tensor, shape: &[i64], kind: Kind) {
    assert_eq!((found.size().as_slice(), found.kind()), (shape, kind));
}

#[track_caller]
pub fn agree(found: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(found.size(), expected.size());
    for (a, b) in doubles(found).iter().zip(doubles(expected)) {
        assert!(*a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= bound * b.abs().max(1.0), "{a} instead of {b}");
    }
}

pub fn broadcast(a: &[i64], b: &[i64]) -> Vec<i64> {
    let dims = a.len().max(b.len());
    let at = |s: &[i64], i: usize| if i + s.len() < dims { 1 } else { s[i + s.len() - dims] };
    (0..dims).map(|i| if at(a, i) == 1 { at(b, i) } else { at(a, i) }).collect()
}
