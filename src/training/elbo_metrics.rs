//! What the steps of models with latents return.

use super::step_metrics::StepMetric;

/// The negative ELBO of relaxed samples, nats an example.
pub const NEG_ELBO: &str = "neg_elbo_relaxed";

/// Its KL.
pub const KL: &str = "kl";

/// Both.
pub(super) const ELBO_METRICS: &[StepMetric] = &[StepMetric::sum(NEG_ELBO), StepMetric::sum(KL)];
