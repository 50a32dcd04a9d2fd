//! Options that every command has, and exit codes.

use super::advice::advice;
use super::output::ClosedPipe;
use crate::error::{Error, Result};
use crate::markup::printable;
use crate::platform::device::device;
use clap::{Args, Parser};
use std::io::Write;
use std::process::ExitCode;
use tch::Device;

/// For the help of every program.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 wrong usage; \
     130, 143, 129 stopped by Ctrl-C, by kill, by a closed terminal (a training saves its run first).";

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
        super::interruption::report_full_files();
        super::waiting::yield_to_other_processes();
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads);
        }
        device(&self.device)
    }

    /// Says a sentence on stderr, unless quiet.
    pub fn print_status(&self, sentence: impl std::fmt::Display) {
        if !self.quiet {
            print_status(sentence);
        }
    }
}

/// A line on stderr, without control characters. Where nobody listens any more (the terminal was closed), it is lost,
/// and the program goes on.
pub fn print_status(sentence: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}", printable(&sentence.to_string()));
}

/// A program: its command line, and what it does; 0 when that is done or nobody reads standard output any more,
/// otherwise the error in one line on stderr, and 1.
pub fn main<C: Parser>(run: impl FnOnce(C) -> anyhow::Result<ExitCode>) -> ExitCode {
    let outcome = match C::try_parse() {
        Ok(command) => run(command),
        Err(message) => print_message(&message),
    };
    outcome.unwrap_or_else(|error| {
        if error.is::<ClosedPipe>() {
            return ExitCode::SUCCESS;
        }
        print_status(format_args!("error: {error:#}{}", end_of_sentence(&error)));
        ExitCode::FAILURE
    })
}

/// What a user can type against the error of the library that is behind a failure.
fn end_of_sentence(error: &anyhow::Error) -> String {
    let found = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    found.and_then(advice).unwrap_or_default()
}

/// What the parser says: help and the version, or what is wrong with the command line.
fn print_message(message: &clap::Error) -> anyhow::Result<ExitCode> {
    let printed = message.print();
    if !message.use_stderr() {
        super::output::checked(printed)?;
        super::output::flush(&mut std::io::stdout())?;
    }
    Ok(ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2)))
}
