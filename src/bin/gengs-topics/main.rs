//! Trains, evaluates and shows topic models with counts.

mod eval;
mod export;
mod infer;
mod topics;
mod train;

use clap::{Args, Parser, Subcommand};
use gengs::cli::Common;
use std::path::PathBuf;
use std::process::ExitCode;

/// A topic model of documents: counts of topics over several layers, a Poisson deep exponential family trained by the generalized Gumbel-Softmax estimator
#[derive(Debug, Parser)]
#[command(version)]
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
    Export(export::Export),
    /// List the topics of a run: words with their probabilities, prevalence, coherence
    Topics(topics::Topics),
    /// Show the hierarchy of topics on one page
    Tree(topics::Tree),
    /// Say what new texts are about, as JSON lines
    Infer(infer::Infer),
}

/// A run that was trained.
#[derive(Debug, Args)]
struct Trained {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which checkpoint: best (on the validation documents) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// Folder with the files of the named corpora [default: as in training]
    #[arg(long, env = "GENGS_DATA", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Command::Train(train) => train.run(),
        Command::Eval(eval) => eval.run(),
        Command::Export(export) => export.run(),
        Command::Topics(topics) => topics.run(),
        Command::Tree(tree) => tree.run(),
        Command::Infer(infer) => infer.run(),
    })
}
