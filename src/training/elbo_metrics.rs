//! The step metrics of models with latents.

use super::step_metrics::StepMetric;

/// The negative ELBO of relaxed samples, in nats per example.
pub const NEG_ELBO: &str = "neg_elbo_relaxed";

/// The KL part of the negative ELBO, in nats per example.
pub const KL: &str = "kl";

/// Both metrics, in the order in which a step returns them.
pub(super) const ELBO_METRICS: &[StepMetric] = &[StepMetric::sum(NEG_ELBO), StepMetric::sum(KL)];
