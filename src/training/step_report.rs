//! What a run passes to its callback after each step, and what the callback returns.

use super::step_metrics::StepMeans;

/// The progress of a run after a step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Number of steps made in the epoch, this one included.
    pub step: usize,
    /// Number of steps per epoch.
    pub steps: usize,
    /// Means of the task's metrics over the epoch so far.
    pub means: StepMeans,
    /// The temperature of the step.
    pub temperature: f64,
}

/// Whether a run continues after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Continue with the next step.
    Continue,
    /// Save the run and return.
    Stop,
}
