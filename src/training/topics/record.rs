//! What is kept of an epoch.

use crate::training::train_task::{Metric, Record};
use serde::{Deserialize, Serialize};

/// A line of `metrics.jsonl`: one epoch. Bounds in nats a document.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopicsRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean relaxed negative ELBO over the epoch's training batches.
    pub train_neg_elbo_relaxed: f64,
    /// Mean KL over the same, all layers.
    pub train_kl: f64,
    /// Negative ELBO of hard samples on the validation documents.
    pub validation_neg_elbo: f64,
    /// Its KL.
    pub validation_kl: f64,
    /// Perplexity from the bound of the tokens given how many there are, by document: the exponential of the mean over
    /// documents of each one's bound over its tokens. Of a Poisson law that is not the bound above, which is of the
    /// counts. By it the best epoch is chosen, since the samples of one very long document move the mean of the bound
    /// by more than an epoch does.
    pub validation_perplexity: f64,
    /// Whether the validation documents are those that are trained on, since no others are held out.
    #[serde(default)]
    pub validated_in_training: bool,
    /// Whether the perplexity is the exponential of the bound of counts a word, as in Poisson runs of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_counts: bool,
    /// Temperature at the epoch's last step.
    pub temperature: f64,
    /// Steps that were left out, since they were not finite.
    pub skipped_steps: usize,
    /// Seconds of training since the run began.
    pub seconds: f64,
}

impl Record for TopicsRecord {
    fn epoch(&self) -> usize {
        self.epoch
    }

    fn selection_metric(&self) -> Metric {
        let name = match (self.of_counts, self.validated_in_training) {
            (true, _) => "exponential of the bound of counts a word",
            (false, true) => "training perplexity",
            (false, false) => "validation perplexity",
        };
        Metric { name, value: self.validation_perplexity, unit: "" }
    }

    fn skipped_steps(&self) -> usize {
        self.skipped_steps
    }
}
