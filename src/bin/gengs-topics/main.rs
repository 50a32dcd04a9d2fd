//! Trains, evaluates and shows topic models with counts.

mod eval;
mod infer;
mod topics;
mod train;

use clap::{Parser, Subcommand};
use gengs::cli::{Export, Train};
use gengs::training::{TopicsTrainConfig, weights};
use std::process::ExitCode;

/// A topic model of documents: counts of topics over several layers, a Poisson deep exponential family trained by the generalized Gumbel-Softmax estimator
#[derive(Debug, Parser)]
#[command(version, after_help = gengs::cli::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; leaves settings, metrics and checkpoints in a run folder
    Train(Box<train::Train>),
    /// Measure a run on its test documents
    Eval(eval::Eval),
    /// Write the model of a run for PyTorch
    #[command(
        after_help = "The program is the encoder: from word counts [B, V] to the mean counts of all layers' topics, from the lowest."
    )]
    Export(Export),
    /// List the topics of a run: words with their probabilities, shares of tokens and documents, coherence
    Topics(topics::Topics),
    /// Show the hierarchy of topics on one page
    Tree(topics::Tree),
    /// Say what new texts are about, as JSON lines; with --json, as one JSON array
    Infer(infer::Infer),
}

gengs::threads_wait_briefly!();

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Command::Train(train) => train.run(),
        Command::Eval(eval) => eval.run(),
        Command::Export(export) => export.run(weights::read_topics, |path, store, _, config: &TopicsTrainConfig| {
            gengs::export::write_topics_torchscript(path, store, config)
        }),
        Command::Topics(topics) => topics.run(),
        Command::Tree(tree) => tree.run(),
        Command::Infer(infer) => infer.run(),
    })
}
