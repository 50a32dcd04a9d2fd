//! The machine: devices, threads, memory, and how much of it one call may ask for.

#[cfg(feature = "cli")]
pub(crate) mod contention;
pub mod device;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod slices;
pub(crate) mod threads;
