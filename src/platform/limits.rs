//! The limit of the memory that one call may ask for.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use tch::Kind;

/// The size of the largest tensor in bytes; the default is a gibibyte.
static LARGEST_TENSOR: AtomicU64 = AtomicU64::new(1 << 30);

/// Numbers that a pass without a gradient keeps in a tensor, where it may choose: 128 MiB in float64.
const AT_ONCE: i64 = 1 << 24;

/// Sets the largest tensor, in bytes, that one call of the library makes; the default is 2^30, a gibibyte.
///
/// Calls that would need a larger tensor return an [`Error`]: otherwise, a mistyped shape could fill the machine's
/// memory. The limit is for the whole process.
pub fn set_largest_tensor(bytes: u64) {
    LARGEST_TENSOR.store(bytes, Ordering::Relaxed);
}

/// Checks that a shape has no negative size, and that its tensor is not larger than one call may make.
pub(crate) fn check_shape(what: &str, shape: &[i64], kind: Kind) -> Result<()> {
    let sizes = shape.iter().map(|&size| u64::try_from(size).ok()).collect::<Option<Vec<u64>>>();
    let Some(sizes) = sizes else {
        return Err(Error::parameter(format!("shape of {what}"), format!("{shape:?}"), "without negative sizes"));
    };
    // In an empty tensor, the product of the other sizes must still not overflow.
    let bytes = sizes.iter().try_fold(kind.elt_size_in_bytes() as u64, |bytes, &size| bytes.checked_mul(size.max(1)));
    let largest = LARGEST_TENSOR.load(Ordering::Relaxed);
    let fits = |bytes: u64| bytes <= largest || sizes.contains(&0) && i64::try_from(bytes).is_ok();
    if bytes.is_some_and(fits) {
        return Ok(());
    }
    Err(Error::TooLarge { what: what.into(), shape: shape.to_vec(), kind: format!("{kind:?}"), largest })
}

/// Of a tensor that is too large, that it is one of a step of training, which these settings make smaller.
pub(crate) fn of_step(error: Error, settings: &'static [&'static str]) -> Error {
    match error {
        Error::TooLarge { what, shape, kind, largest } => Error::StepTooLarge { what, shape, kind, largest, settings },
        error => error,
    }
}

/// How many rows of this shape, in float64, a pass without a gradient takes at once: at least one.
pub(crate) fn rows_at_once(row: &[i64]) -> i64 {
    let numbers = row.iter().fold(1, |numbers: i64, &size| numbers.saturating_mul(size.max(1)));
    let bytes = Kind::Double.elt_size_in_bytes() as u64;
    let allowed = i64::try_from(LARGEST_TENSOR.load(Ordering::Relaxed) / bytes).unwrap_or(i64::MAX);
    (allowed.min(AT_ONCE) / numbers).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_beyond_a_gibibyte_are_refused() {
        for shape in [&[][..], &[0, 1 << 40], &[1 << 27], &[3, 5]] {
            check_shape("draws", shape, Kind::Double).unwrap();
        }
        for shape in [&[(1 << 27) + 1][..], &[i64::MAX, i64::MAX], &[-1], &[0, -1], &[i64::MIN, 2], &[0, i64::MAX]] {
            let error = check_shape("draws", shape, Kind::Double).unwrap_err().to_string();
            assert!(error.contains("shape of draws"), "{error}");
        }
        check_shape("draws", &[1 << 28], Kind::Float).unwrap();
    }

    #[test]
    fn rows_of_a_pass_fit_into_a_tensor() {
        assert_eq!([&[50, 24][..], &[400, 1000], &[1 << 40], &[i64::MAX, 2]].map(rows_at_once), [13981, 41, 1, 1]);
    }
}
