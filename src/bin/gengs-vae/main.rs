//! Trains, evaluates, shows and exports a variational autoencoder with discrete latents.

mod eval;
mod sample;
mod train;

use clap::{Parser, Subcommand};
use gengs::cli::{Export, Train};
use gengs::training::{TrainConfig, weights};
use std::process::ExitCode;

/// A variational autoencoder with discrete latents, trained with the generalized Gumbel-Softmax estimator
#[derive(Debug, Parser)]
#[command(version, after_help = gengs::cli::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; writes settings, metrics, checkpoints and pictures to a run folder
    Train(Box<train::Train>),
    /// Evaluate a run on the test images, with hard samples
    Eval(eval::Eval),
    /// Draw two pictures: a grid of samples, and test images above their reconstructions
    Sample(sample::Sample),
    /// Write the model of a run for PyTorch
    #[command(after_help = "The program has encode(x), decode(z) and reconstruct(x).")]
    Export(Export),
}

gengs::threads_wait_briefly!();

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Command::Train(train) => train.run(),
        Command::Eval(eval) => eval.run(),
        Command::Sample(sample) => sample.run(),
        Command::Export(export) => export.run(weights::read_vae, |path, _, vae, config: &TrainConfig| {
            gengs::export::write_torchscript(path, vae, config)
        }),
    })
}
