//! Measures estimators of the gradient of an expectation against the exact gradient.

mod arguments;
mod certify;
mod curves;

use certify::Certify;
use clap::{Parser, Subcommand};
use curves::Curves;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with a sentence on stderr; 2 wrong usage; 3 certify refuted a \
    claim; 130 stopped by Ctrl-C, 143 by kill, 129 by a closed terminal.";

/// Every estimator of the gradient of E f(z), z discrete, against the exact gradient
///
/// Without a command, runs the synthetic experiment: targets are drawn from a known law, and a law of the same family
/// minimises its distance to them by the estimated gradient. Writes the loss and the variance of the gradient per step,
/// as a page and as numbers.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    curves: Curves,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure bias, variance and cost; exit code 3 if an estimator that claims to be unbiased is not
    Certify(Box<Certify>),
}

gengs::threads_wait_briefly!();

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Some(Command::Certify(certify)) => certify.run(),
        None => cli.curves.run(),
    })
}
