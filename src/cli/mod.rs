//! What the binaries share: arguments, progress, how a program ends.

mod progress;
mod runtime;

pub use progress::Meter;
pub use runtime::{Common, exit_code, interrupted};
