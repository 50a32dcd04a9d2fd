//! What the binaries share: arguments, progress, how a program ends.

mod interruption;
mod progress;
mod runtime;

pub use interruption::{Interruption, interrupted};
pub use progress::Meter;
pub use runtime::{Common, exit_code, tell};
