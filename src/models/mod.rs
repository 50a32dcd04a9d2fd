//! Models: parameters and an objective. No files, no loops.

mod latent;
mod torchscript;
mod vae;

pub use latent::{Family, Inference, LatentConfig};
pub(crate) use torchscript::{Attribute, Script};
pub use vae::{Elbo, ImportanceBound, Vae, VaeConfig};
