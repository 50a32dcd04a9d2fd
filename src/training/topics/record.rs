//! The metrics of one epoch of a topic model.

use crate::training::train_task::{Metric, Record};
use serde::{Deserialize, Serialize};

/// One epoch, a line of `metrics.jsonl`. ELBO and KL fields are in nats per document.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopicsRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean relaxed negative ELBO over the epoch's training batches.
    pub train_neg_elbo_relaxed: f64,
    /// Mean KL over the same batches, summed over the layers.
    pub train_kl: f64,
    /// Negative ELBO of hard samples on the validation documents.
    pub validation_neg_elbo: f64,
    /// Mean KL of the same samples on the validation documents, summed over the layers.
    pub validation_kl: f64,
    /// Perplexity per token: `exp` of the mean over documents of the document's bound divided by its number of tokens.
    /// The bound is on `-log p` of the tokens given their number; for a Poisson likelihood it differs from
    /// `validation_neg_elbo`, which bounds the probability of the counts. The best epoch is chosen by this perplexity,
    /// because one long document can dominate the mean of the ELBO.
    pub validation_perplexity: f64,
    /// Whether the validation documents are the training documents, because no others are held out.
    #[serde(default)]
    pub validated_in_training: bool,
    /// Whether `validation_perplexity` is `exp` of the bound on the counts per word, as in Poisson runs whose settings
    /// lack `header`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_counts: bool,
    /// Temperature at the epoch's last step.
    pub temperature: f64,
    /// Steps that were skipped because the loss or the gradient was not finite.
    pub skipped_steps: usize,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
}

impl Record for TopicsRecord {
    fn epoch(&self) -> usize {
        self.epoch
    }

    fn selection_metric(&self) -> Metric {
        let name = match (self.of_counts, self.validated_in_training) {
            (true, _) => "exp(bound on the counts, per word)",
            (false, true) => "training perplexity",
            (false, false) => "validation perplexity",
        };
        Metric { name, value: self.validation_perplexity, unit: "" }
    }

    fn skipped_steps(&self) -> usize {
        self.skipped_steps
    }
}
