//! The gradient laboratory: every estimator, against the exact gradient.
//!
//! [`certify`] measures bias, variance and cost of one estimator on one [`Problem`]; an [`Experiment`] lets all of them
//! train, and [`report`] draws what came of it.

mod axis;
mod certify;
mod chart;
mod curves;
mod degrees;
mod experiment;
mod figure;
mod objective;
mod palette;
mod problem;
pub mod report;
mod scores;

pub use certify::{Certificate, Measurement, Verdict, certify};
pub use curves::{Band, Curve, Panel};
pub use degrees::DegreeProof;
pub use experiment::{Experiment, Synthetic};
pub use objective::{ObjectiveKind, TestFunction};
pub use problem::{Problem, ProblemConfig};
