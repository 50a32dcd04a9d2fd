//! The gradient laboratory: every estimator, against the exact gradient.

mod curves;

pub use curves::{Band, Curve, Panel};
