//! The machine: devices, threads, memory, files, and limits of what a call or a file may use.

pub(crate) mod budget;
#[cfg(feature = "cli")]
pub(crate) mod contention;
pub mod device;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod slices;
pub(crate) mod threads;
