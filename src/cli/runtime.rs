//! Options of every command, and the main function of the programs with its exit codes.

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

/// Exit codes in the help of `gengs-vae` and `gengs-topics`; `gengs-gradients` has its own.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with a sentence on stderr; 2 wrong usage; \
     130 stopped by Ctrl-C, 143 by kill, 129 by a closed terminal (a training run is saved first).";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Device of the tensors: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Threads of libtorch on the CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub threads: Option<i32>,
    /// Print one JSON document on stdout; progress and messages go to stderr
    #[arg(long)]
    pub json: bool,
    /// Print no progress and no messages
    #[arg(long)]
    pub quiet: bool,
}

impl Common {
    /// Prepares the process and returns the device of `--device`. The allocator keeps freed memory for reuse, writes
    /// beyond the file-size limit become errors, idle threads yield to other processes, and libtorch gets its number of
    /// threads.
    ///
    /// # Errors
    /// Fails if the device cannot be used.
    pub fn prepare(&self) -> Result<Device> {
        crate::keep_freed_memory();
        super::interruption::ignore_file_size_signal();
        super::waiting::yield_to_other_processes();
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads);
        }
        device(&self.device)
    }

    /// Prints a line on stderr, unless `--quiet` was given.
    pub fn print_status(&self, sentence: impl std::fmt::Display) {
        if !self.quiet {
            print_status(sentence);
        }
    }
}

/// Prints a line on stderr, with control characters escaped. Ignores errors of writing, such as that of a closed
/// terminal.
pub fn print_status(sentence: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}", printable(&sentence.to_string()));
}

/// Parses the command line and runs the program. Returns the exit code of `run`; 0 if the reader of standard output
/// closed it; 2 for a wrong command line. After any other error, prints it as one line on stderr and returns 1.
pub fn main<C: Parser>(run: impl FnOnce(C) -> anyhow::Result<ExitCode>) -> ExitCode {
    let parsed = with_negative_numbers(C::command())
        .try_get_matches()
        .and_then(|mut matches| C::from_arg_matches_mut(&mut matches))
        .map_err(|error| error.format(&mut C::command()));
    let outcome = match parsed {
        Ok(command) => run(command),
        Err(message) => print_clap_message(&message),
    };
    outcome.unwrap_or_else(|error| {
        if error.is::<ClosedPipe>() {
            return ExitCode::SUCCESS;
        }
        print_status(format_args!("error: {error:#}{}", advice_for(&error)));
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
fn advice_for(error: &anyhow::Error) -> String {
    let found = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    found.and_then(advice).unwrap_or_default()
}

/// Prints a message of clap (help, version, or usage error) and returns its exit code.
fn print_clap_message(message: &clap::Error) -> anyhow::Result<ExitCode> {
    let printed = message.print();
    if !message.use_stderr() {
        super::output::checked(printed)?;
        super::output::flush(&mut std::io::stdout())?;
    }
    Ok(ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2)))
}
