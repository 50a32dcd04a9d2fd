//! Special functions, loops over lanes, and sums.

pub(crate) mod gauss_sums;
pub(crate) mod lanes;
pub(crate) mod saddle_point;
pub mod special;

/// The logarithm of zero in float64 sums that continue: finite, so that differences are not NaN and clamped terms have
/// a gradient of zero.
pub(crate) const LOG_ZERO: f64 = -1e300;

/// The logarithm of zero in float32, as [`LOG_ZERO`] in float64.
pub(crate) const LOG_ZERO_FLOAT: f64 = -1e30;
