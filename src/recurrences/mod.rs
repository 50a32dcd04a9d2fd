//! Laws as plain numbers: log weights and scores of the atoms of a window, from one atom to the next.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes index many arrays alike, which reads as the mathematics does"
)]

mod batch;
mod lane_block;
mod recurrence;
mod tails;
mod window;

pub use batch::{LawBatch, Recurrences};
pub use lane_block::LaneBlock;
pub use recurrence::{Atom, PmfRecurrence, Step, ln};
