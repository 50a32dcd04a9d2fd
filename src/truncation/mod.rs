//! From a distribution on the integers to a finite law: the window, the merging of the tails, and bounds of the error.

mod bounds;
mod enumerate;
mod truncated;
mod window;

pub use bounds::TruncationError;
pub use truncated::TruncatedDistribution;
pub(crate) use window::check_mass;
pub use window::{Tail, Truncation, Window};
