//! What the binaries share: arguments, progress, a training run on a terminal, how a program ends.

mod interruption;
mod progress;
mod runtime;
mod training;

pub use interruption::{Interruption, interrupted};
pub use progress::Meter;
pub use runtime::{Common, main, tell};
pub use training::{Telling, train};
