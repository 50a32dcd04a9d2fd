//! Options that every command has, and exit codes.

use super::advice::advice;
use super::output::ClosedPipe;
use crate::error::{Error, Result};
use crate::markup::printable;
use crate::platform::device::device;
use clap::{Arg, Args, Command, Parser};
use std::any::TypeId;
use std::io::Write;
use std::path::PathBuf;
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
    let parsed = with_negative_numbers(C::command())
        .try_get_matches()
        .and_then(|mut matches| C::from_arg_matches_mut(&mut matches))
        .map_err(|error| error.format(&mut C::command()));
    let outcome = match parsed {
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

/// Lets every option but those that take a path have a value that begins as an option does and is a negative number:
/// what is wrong with it the value's own parser says, or the settings. Of several numbers the first may be negative.
fn with_negative_numbers(command: Command) -> Command {
    let takes = |arg: Arg| {
        let found = arg.get_value_parser().type_id();
        let are_several = arg.get_value_delimiter().is_some();
        let are_numbers = found == TypeId::of::<i64>() || found == TypeId::of::<f64>();
        let takes_none = arg.get_num_args().is_some_and(|count| !count.takes_values());
        match found {
            _ if takes_none || !arg.get_action().takes_values() || found == TypeId::of::<PathBuf>() => arg,
            _ if are_several && are_numbers => arg.allow_hyphen_values(true),
            _ => arg.allow_negative_numbers(true),
        }
    };
    command.mut_args(takes).mut_subcommands(with_negative_numbers)
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
