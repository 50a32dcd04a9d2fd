//! `gengs-vae train`: the options, and what it prints.

use clap::Args;
use gengs::cli::{self, RunArgs};
use gengs::estimators::EstimatorKind;
use gengs::models::{Family, Inference};
use gengs::training::{EpochRecord, Interval, Schedule, TrainConfig, TruncationSetting, VaeTask};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Defaults are in brackets; a flag takes precedence over --config, which takes precedence over the default.
#[derive(Debug, Args, Serialize)]
pub struct Train {
    /// mnist-5k (built in), mnist, static-mnist, omniglot, or a file with images [N, height, width]: idx, .npy, or .npz
    /// with 'x' or with 'x_train' and 'x_test'. Grey values are probabilities: pixels are binarised anew for each
    /// training batch, and once for evaluation [default: mnist-5k]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// Law of the latents [default: poisson]
    #[arg(long, value_parser = cli::choice::<Family>())]
    family: Option<Family>,
    /// What the encoder computes: the parameters of the family, or one logit per atom [default: implicit]
    #[arg(long, value_parser = cli::choice::<Inference>())]
    inference: Option<Inference>,
    /// Mean of the prior [default: 2, or 0.5 for bernoulli]
    #[arg(long, value_name = "MEAN")]
    prior: Option<f64>,
    /// Window of the latents: a number of atoms, or the tail mass that may be cut off, as in tail:1e-6 [default: 12, or
    /// 2 for bernoulli]
    #[arg(long, value_name = "N|tail:MASS")]
    truncation: Option<TruncationSetting>,
    /// Estimator of the gradient through the latents [default: gengs]
    #[arg(long, value_name = "NAME", value_parser = cli::choice::<EstimatorKind>())]
    estimator: Option<EstimatorKind>,
    /// Samples per image and step [default: 1, or 2 for estimators that need two, such as reinforce-loo]
    #[arg(long, value_name = "S")]
    samples: Option<i64>,
    /// Measure bias and variance of the encoder's gradient every so many steps, which takes some seconds each time;
    /// written to gradients.jsonl [default: 0, never]
    #[arg(long, value_name = "STEPS", value_parser = cli::whole_number)]
    diagnose_every: Option<i64>,
    /// Estimators measured by --diagnose-every [default: gengs,reinforce-loo,rebar]
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME", value_parser = cli::choice::<EstimatorKind>())]
    diagnose: Option<Vec<EstimatorKind>>,
    /// Temperature: a number, or FIRST..LAST, which changes linearly over the run [default: 1..0.3]
    #[arg(long, value_name = "T|FIRST..LAST")]
    temperature: Option<Schedule>,
    /// Number of latents [default: 50]
    #[arg(long, value_name = "K")]
    latents: Option<i64>,
    /// Widths of the encoder's hidden layers; the decoder has them in reverse [default: 500,500]
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    hidden: Option<Vec<i64>>,
    /// Passes over the training images [default: 100]
    #[arg(long, value_parser = cli::whole_number)]
    epochs: Option<i64>,
    /// Images per step [default: 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<i64>,
    /// Adam's learning rate [default: 0.001]
    #[arg(long)]
    lr: Option<f64>,
    /// Epochs over which the weight of the KL grows from 0 to 1 [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<f64>,
    /// How often a checkpoint is written: 10s (or 10), 5m, '200 steps', '1 epoch' [default: 10s]
    #[arg(long, value_name = "INTERVAL")]
    checkpoint_every: Option<Interval>,
    /// Start from these weights: a .safetensors file, a torch.save file, a TorchScript module, or a checkpoint of
    /// another run
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_parser = cli::generator_seed)]
    seed: Option<i64>,
    #[command(flatten)]
    #[serde(skip)]
    run_args: RunArgs,
}

impl cli::Train for Train {
    type Task = VaeTask;

    const DATA_LOCATIONS: &'static [&'static str] = &["dataset"];

    const PROGRAM: &'static str = "gengs-vae";

    fn run_args(&self) -> &RunArgs {
        &self.run_args
    }

    fn default_folder(config: &TrainConfig) -> PathBuf {
        let dataset = Path::new(&config.dataset).file_stem().unwrap_or_default().to_string_lossy();
        Path::new("runs").join(format!("{dataset}-{}-{}", config.family, config.inference))
    }

    fn epoch_line(record: &EpochRecord) -> String {
        format!(
            "epoch {}: -ELBO {:.2} (relaxed, training), {:.2} (hard, validation), KL {:.2}, temperature {:.3}",
            record.epoch,
            record.train_neg_elbo_relaxed,
            record.validation_neg_elbo,
            record.validation_kl,
            record.temperature
        )
    }

    fn final_messages(task: &VaeTask, out: &Path) -> (String, Vec<String>) {
        let [samples, reconstructions] = ["samples.png", "reconstructions.png"].map(|name| out.join(name));
        let pictures = format!("; pictures: {}, {}", samples.display(), reconstructions.display());
        let drawn_by = task.drawn_by().map(|backend| format!("the {backend} drew the latents"));
        (pictures, drawn_by.into_iter().collect())
    }
}
