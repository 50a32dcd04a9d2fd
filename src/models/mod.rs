//! Models: parameters and an objective. They read no files and contain no training loops.

mod latent;
mod pixels;
mod topics;
mod vae;

pub use latent::{Family, Inference, LatentConfig};
pub(crate) use latent::{Latent, SMALLEST, before_softplus, count_shifts};
pub(crate) use topics::FROM_ABOVE;
pub use topics::{
    BagOfWordsBatch, Evidence, Likelihood, TopicModel, TopicsBound, TopicsConfig, TopicsElbo, TopicsStart,
};
pub use vae::{Elbo, ImportanceBound, Vae, VaeConfig};
