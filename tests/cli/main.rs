//! The programs as users meet them: what they print and write, and what they refuse.

#[path = "../common/mod.rs"]
mod common;

mod documents;
mod edited_settings;
mod flags;
mod gradients;
mod handed_runs;
mod identity;
mod report;
mod safety;
mod vae;
