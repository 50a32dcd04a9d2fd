//! What estimators claim of their gradients, against the exact ones.

#[path = "../common/mod.rs"]
mod common;

mod claims;
mod fini;
mod gradient_bias;
mod whole_laws;
