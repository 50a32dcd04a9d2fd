//! Trains, evaluates and shows topic models with counts as latents.

mod eval;
mod infer;
mod tables;
mod topics;
mod train;

use clap::{Parser, Subcommand};
use gengs::cli::{Export, Train};
use gengs::models::TopicModel;
use gengs::training::weights::FromFile;
use gengs::training::{RunFolder, TopicsTrainConfig, read_run_words, weights};
use std::path::Path;
use std::process::ExitCode;
use tch::Device;

/// A topic model of documents, with counts of topics in several layers: a Poisson deep exponential family, trained with
/// the generalized Gumbel-Softmax estimator
#[derive(Debug, Parser)]
#[command(version, after_help = gengs::cli::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The meaning of a word's weight, for the help.
const WEIGHTS: &str = "\
Words are ordered by their weight in the topic; the weights of all words sum to one. With --likelihood poisson or \
multinomial, the weight is the probability of the word in the topic; with log-linear, it measures how strongly the \
documents support the word ('eval --help' has the formula). In the JSON of 'tree', 'weight' and 'probability' are the \
same number; 'probability' remains for programs that read it.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model; writes settings, metrics and checkpoints to a run folder
    Train(Box<train::Train>),
    /// Measure a run on its test documents
    Eval(eval::Eval),
    /// Write the model of a run for PyTorch
    #[command(after_help = "The program is the encoder: it maps word counts [B, V] to the mean counts of all topics, \
            layer by layer from the lowest.")]
    Export(Export),
    /// List the topics of a run: words with their weights, shares of tokens and documents, coherence
    #[command(after_help = WEIGHTS)]
    Topics(topics::Topics),
    /// Show the hierarchy of topics on one page
    #[command(after_help = WEIGHTS)]
    Tree(topics::Tree),
    /// Infer the topics of new texts, as JSON lines; with --json, as one JSON array
    Infer(infer::Infer),
}

gengs::threads_wait_briefly!();

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Command::Train(train) => train.run(),
        Command::Eval(eval) => eval.run(),
        Command::Export(export) => export.run(read_exported, |path, store, _, config: &TopicsTrainConfig| {
            gengs::export::write_topics_torchscript(path, store, config)
        }),
        Command::Topics(topics) => topics.run(),
        Command::Tree(tree) => tree.run(),
        Command::Infer(infer) => infer.run(),
    })
}

/// Reads the model of a checkpoint in its run folder. Fails if the words of the run, which a user of the export needs
/// to count documents, are not those of the model.
fn read_exported(config: &TopicsTrainConfig, checkpoint: &Path, device: Device) -> gengs::Result<FromFile<TopicModel>> {
    let run = checkpoint.parent().unwrap_or(Path::new(""));
    let (folder, _) = RunFolder::open::<TopicsTrainConfig>(run)?;
    read_run_words(&folder, config.text.clone())?;
    weights::read_topics(config, checkpoint, device)
}
