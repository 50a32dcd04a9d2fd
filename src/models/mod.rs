//! Models: parameters and an objective. No files, no loops.

mod latent;
mod vae;

pub use latent::{Family, Inference, LatentConfig};
pub use vae::{Elbo, ImportanceBound, Vae, VaeConfig};
