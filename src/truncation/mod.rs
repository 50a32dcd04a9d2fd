//! From a distribution on the integers to a finite law: the window, what becomes of the mass outside, and what that
//! loses.

mod bounds;
mod enumerate;
mod truncated;
mod window;

pub use bounds::TruncationError;
pub use truncated::TruncatedDistribution;
pub(crate) use window::check_mass;
pub use window::{Tail, Truncation, Window};
