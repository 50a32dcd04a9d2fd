//! The data of optimisation curves, as written to JSON and drawn.

use crate::estimators::EstimatorKind;
use serde::{Deserialize, Serialize};

/// Curves of several estimators under one law.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// The law that the targets were drawn from, as in `Poisson(20)`.
    pub law: String,
    /// The parameters and their starting values, in a few words.
    pub task: String,
    /// The steps at which the curves have points.
    pub steps: Vec<usize>,
    /// The smallest loss that any parameters reach.
    pub least_loss: f64,
    /// The curves, one per estimator.
    pub curves: Vec<Curve>,
}

/// The loss and gradient variance of an estimator during a run, over several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The estimator.
    pub estimator: EstimatorKind,
    /// The exact expected loss at the parameters of each step, minus the least loss.
    pub excess_loss: Band,
    /// The variance of one estimate of the gradient at each step, summed over the parameters.
    pub variance: Band,
    /// Evaluations of the objective per estimate.
    pub evaluations: i64,
    /// Seconds per step.
    pub seconds_per_step: f64,
    /// The learned quantities by name, with their values at each step, for the first seed.
    pub quantities: Vec<(String, Vec<f64>)>,
    /// The step at which the first run failed and the curve ends; `None` if all runs were completed.
    #[serde(default)]
    pub ended_at: Option<usize>,
    /// The reason for the failure, in one sentence.
    #[serde(default)]
    pub ended_by: Option<String>,
}

/// The median over seeds at each step, with the smallest and the largest value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The medians.
    pub median: Vec<f64>,
    /// The smallest values.
    pub low: Vec<f64>,
    /// The largest values.
    pub high: Vec<f64>,
}

impl Curve {
    /// Returns where and why the curve ended early, in a sentence; `None` if it did not.
    pub fn ending(&self) -> Option<String> {
        let step = self.ended_at?;
        Some(format!("{} ended at step {step}: {}", self.estimator, self.ended_by.as_deref().unwrap_or("unknown")))
    }
}

impl Band {
    /// Computes the band of a table `[seed][step]`, up to the length of its shortest row.
    pub fn of(rows: &[Vec<f64>]) -> Self {
        let length = rows.iter().map(Vec::len).min().unwrap_or(0);
        let mut band = Self { median: Vec::new(), low: Vec::new(), high: Vec::new() };
        for step in 0..length {
            let mut values: Vec<f64> = rows.iter().map(|row| row[step]).collect();
            values.sort_by(f64::total_cmp);
            band.low.push(values[0]);
            band.high.push(values[values.len() - 1]);
            let middle = values.len() / 2;
            band.median.push(if values.len() % 2 == 1 {
                values[middle]
            } else {
                (values[middle - 1] + values[middle]) / 2.0
            });
        }
        band
    }
}
