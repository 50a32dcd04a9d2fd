//! Numbers: special functions, loops over lanes, and sums.

pub(crate) mod gauss_sums;
pub(crate) mod lanes;
pub(crate) mod saddle_point;
pub mod special;

/// The logarithm of zero where sums go on with it: finite, so that no difference of two is NaN, and a gradient of zero
/// where it is a bound. In float64.
pub(crate) const LOG_ZERO: f64 = -1e300;

/// The same where float32 must hold it.
pub(crate) const LOG_ZERO_FLOAT: f64 = -1e30;
