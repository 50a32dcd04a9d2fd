//! What a run shows whoever watches it, and what it is answered.

/// What a step looked like, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps made in it.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Mean relaxed negative ELBO in the epoch so far, nats an example.
    pub neg_elbo_relaxed: f64,
    /// Mean KL in the epoch so far.
    pub kl: f64,
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
