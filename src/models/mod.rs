//! Models: parameters and an objective. No files, no loops.

mod latent;
mod pixels;
mod topics;
mod torchscript;
mod vae;

pub use latent::{Family, Inference, LatentConfig};
pub use topics::{Bags, Evidence, Likelihood, TopicModel, TopicsBound, TopicsConfig, TopicsElbo, TopicsStart};
pub(crate) use topics::{Member, topics_script};
pub(crate) use torchscript::{Attribute, Script};
pub use vae::{Elbo, ImportanceBound, Vae, VaeConfig};
