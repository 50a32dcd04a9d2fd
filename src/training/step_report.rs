//! What a run shows whoever watches it, and what it is answered.

use super::step_metrics::StepMeans;

/// What a step looked like, for whoever watches.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps made in it.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Means of the task's metrics in the epoch so far.
    pub means: StepMeans,
    /// The step's temperature.
    pub temperature: f64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Make the next step.
    Continue,
    /// Save and return.
    Stop,
}
