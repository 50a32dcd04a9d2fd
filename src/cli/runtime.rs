//! Options that every command has, interruption, and exit codes.

use crate::Result;
use crate::device::device;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::Device;

/// Options that every command has.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Where tensors live: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Threads of libtorch on the CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub threads: Option<i32>,
    /// Print one JSON document on stdout; progress and prose go to stderr
    #[arg(long)]
    pub json: bool,
    /// No progress and no prose
    #[arg(long)]
    pub quiet: bool,
}

impl Common {
    /// Keeps freed memory, sets the number of threads and finds the device.
    ///
    /// # Errors
    /// When the device cannot be used.
    pub fn prepare(&self) -> Result<Device> {
        crate::keep_freed_memory();
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads);
        }
        device(&self.device)
    }

    /// Says a sentence on stderr, unless quiet.
    pub fn say(&self, sentence: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{sentence}");
        }
    }
}

/// A flag that Ctrl-C (or SIGTERM) raises; the second one ends the program at once.
///
/// # Errors
/// When the handler cannot be installed.
pub fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })?;
    Ok(flag)
}

/// 0 when done; otherwise the error in one line on stderr, and 1.
pub fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
