//! The gradient laboratory: every estimator, against the exact gradient.

mod axis;
mod chart;
mod curves;
mod figure;
mod palette;
pub mod report;

pub use curves::{Band, Curve, Panel};
