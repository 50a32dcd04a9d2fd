//! Training: that it learns, what it keeps, and what it survives.

#[path = "../common/mod.rs"]
mod common;

mod runs;
mod side_by_side;
mod survive;
mod vae;
