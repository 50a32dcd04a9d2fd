//! What optimisation curves are made of, as they are written to JSON and drawn.

use crate::estimators::EstimatorKind;
use serde::{Deserialize, Serialize};

/// Curves of several estimators under one law.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// The law that the targets were drawn from, as in `Poisson(20)`.
    pub law: String,
    /// What the parameters are and where they start, in a few words.
    pub task: String,
    /// Steps at which the curves have points.
    pub steps: Vec<usize>,
    /// The loss that no parameters go below.
    pub least_loss: f64,
    /// One an estimator.
    pub curves: Vec<Curve>,
}

/// How an estimator fared over a run, over several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Which.
    pub estimator: EstimatorKind,
    /// The exact expected loss at the parameters of each step, above the least.
    pub excess_loss: Band,
    /// The variance of one estimate of the gradient at each step, summed over the parameters.
    pub variance: Band,
    /// Evaluations of the objective behind one estimate.
    pub evaluations: i64,
    /// Seconds a step.
    pub seconds_per_step: f64,
    /// What the estimator learned, by name: its value at each step, of the first seed.
    pub quantities: Vec<(String, Vec<f64>)>,
    /// The step at which the first run could not go on, and with it the curve; `None` where all came to their end.
    #[serde(default)]
    pub ended_at: Option<usize>,
    /// Why, in one sentence.
    #[serde(default)]
    pub ended_by: Option<String>,
}

/// The median over seeds, and the smallest and largest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Medians.
    pub median: Vec<f64>,
    /// Smallest.
    pub low: Vec<f64>,
    /// Largest.
    pub high: Vec<f64>,
}

impl Curve {
    /// Where it ended early and why, in a sentence.
    pub fn ending(&self) -> Option<String> {
        let step = self.ended_at?;
        Some(format!("{} ended at step {step}: {}", self.estimator, self.ended_by.as_deref().unwrap_or("unknown")))
    }
}

impl Band {
    /// Over the rows of a table, `[seed][step]`; all rows of one length.
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
