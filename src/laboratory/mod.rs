//! The gradient laboratory: every estimator, against the exact gradient.

mod certify;
mod curves;
mod experiment;
mod objective;
mod problem;
mod scores;

pub use certify::{Certificate, Measurement, REFUTED, certify};
pub use curves::{Band, Curve, Panel};
pub use experiment::{Experiment, Synthetic};
pub use objective::{ObjectiveKind, TestFunction};
pub use problem::{Problem, ProblemConfig, TAIL};
