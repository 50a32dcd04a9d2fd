//! The metrics of one epoch of a VAE.

use crate::training::train_task::{Metric, Record};
use serde::{Deserialize, Serialize};

/// One epoch, a line of `metrics.jsonl`. ELBO and KL fields are in nats per image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean relaxed negative ELBO over the epoch's training batches.
    pub train_neg_elbo_relaxed: f64,
    /// Mean KL over the same batches.
    pub train_kl: f64,
    /// Negative ELBO of hard samples on the validation images.
    pub validation_neg_elbo: f64,
    /// Mean KL on the validation images.
    pub validation_kl: f64,
    /// Temperature at the epoch's last step.
    pub temperature: f64,
    /// Steps that were skipped because the loss or the gradient was not finite.
    #[serde(default)]
    pub skipped_steps: usize,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
}

impl Record for EpochRecord {
    fn epoch(&self) -> usize {
        self.epoch
    }

    fn selection_metric(&self) -> Metric {
        Metric { name: "hard validation -ELBO", value: self.validation_neg_elbo, unit: "nats" }
    }

    fn skipped_steps(&self) -> usize {
        self.skipped_steps
    }
}
