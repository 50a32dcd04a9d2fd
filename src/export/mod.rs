//! Models for other programs: TorchScript modules that run without this library.

mod topics;
mod topics_source;
mod vae;
mod vae_source;

pub use topics::write_topics_torchscript;
pub use vae::write_torchscript;
