//! `gengs-topics train`.

use clap::Args;
use gengs::cli::{Common, Meter, interrupted};
use gengs::models::{Family, Inference, Likelihood};
use gengs::training::{Control, Schedule, Session, Settings, TopicsTrainConfig, TopicsTrainee, read_settings};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Defaults are in brackets; a flag wins over --config, which wins over the default.
#[derive(Debug, Args)]
pub struct Train {
    /// Documents to train on
    #[arg(long, value_name = "NAME|PATH")]
    corpus: Option<String>,
    /// Folder with the files of the named corpora
    #[arg(long, env = "GENGS_DATA", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings in TOML, the names of these flags with _ for -
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Topics of each layer, from the lowest
    #[arg(long, value_delimiter = ',', value_name = "K,K")]
    topics: Option<Vec<i64>>,
    /// Posterior of the topics' counts
    #[arg(long)]
    family: Option<Family>,
    /// What the encoder puts out: parameters of the family, or one logit an atom
    #[arg(long)]
    inference: Option<Inference>,
    /// Law of words given topics
    #[arg(long)]
    likelihood: Option<Likelihood>,
    /// Mean of the counts at the start
    #[arg(long, value_name = "MEAN")]
    prior: Option<f64>,
    /// Atoms of a count's window
    #[arg(long, value_name = "N")]
    truncation: Option<i64>,
    /// Temperature: a number, or first..last, changed linearly over the run
    #[arg(long, value_name = "T|FIRST..LAST")]
    temperature: Option<Schedule>,
    /// Width of the encoder
    #[arg(long, value_name = "N")]
    hidden: Option<i64>,
    /// Share of hidden units that a step leaves out
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Mean share of a document's words that the encoder does not see in a step
    #[arg(long, value_name = "SHARE")]
    word_dropout: Option<f64>,
    /// Scale of the encoder's normalised outputs at the start
    #[arg(long)]
    gain: Option<f64>,
    /// Passes over the training documents
    #[arg(long)]
    epochs: Option<usize>,
    /// Documents a step
    #[arg(long, value_name = "N")]
    batch_size: Option<i64>,
    /// Adam's learning rate in the first half of the run; then it falls linearly
    #[arg(long)]
    lr: Option<f64>,
    /// Epochs over which the weight of the KL grows from 0 to 1
    #[arg(long, value_name = "EPOCHS")]
    kl_warmup: Option<f64>,
    /// Seconds between two checkpoints
    #[arg(long, value_name = "SECONDS")]
    checkpoint_every: Option<f64>,
    /// Where all randomness starts
    #[arg(long)]
    seed: Option<u64>,
    /// Run folder [default: runs/topics-CORPUS]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out at its last checkpoint, with its settings; only --epochs may be given anew
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    common: Common,
}

/// The settings that a run keeps for its whole life: all but where the data lies and how long it lasts.
macro_rules! fixed_settings {
    ($apply:ident) => {
        $apply!(
            corpus,
            topics,
            family,
            inference,
            likelihood,
            prior,
            truncation,
            temperature,
            hidden,
            dropout,
            word_dropout,
            gain,
            batch_size,
            lr,
            kl_warmup,
            checkpoint_every,
            seed
        )
    };
}

impl Train {
    /// What was typed, over the settings file, over the defaults.
    fn settings(&self) -> anyhow::Result<TopicsTrainConfig> {
        let mut config = match &self.config {
            Some(path) => read_settings(path)?,
            None => TopicsTrainConfig::default(),
        };
        macro_rules! take {
            ($($name:ident),*) => { $( if let Some(value) = &self.$name { config.$name = value.clone(); } )* };
        }
        fixed_settings!(take);
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.data_dir = self.data_dir.clone().or(config.data_dir);
        config.check()?;
        Ok(config)
    }

    fn session(&self) -> anyhow::Result<(Session<TopicsTrainee>, PathBuf)> {
        let device = self.common.prepare()?;
        if self.resume {
            let Some(out) = &self.out else { anyhow::bail!("--resume needs the run folder: --out DIR") };
            let session = Session::<TopicsTrainee>::resume(out, self.epochs, self.data_dir.as_deref(), device)?;
            return Ok((session, out.clone()));
        }
        let config = self.settings()?;
        let out = self.out.clone().unwrap_or_else(|| default_folder(&config));
        Ok((Session::start(config, &out, device)?, out))
    }

    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let stop = interrupted()?;
        let (mut session, out) = self.session()?;
        let steps = session.steps_per_epoch();
        let epochs = session.settings().epochs;
        let meter = std::cell::RefCell::new(Meter::new(epochs * steps, self.common.quiet));
        let control = session.run(
            |report| {
                meter.borrow_mut().step((report.epoch - 1) * steps + report.step, || {
                    format!(
                        "epoch {} -ELBO {:.2} (relaxed) KL {:.2} temperature {:.3}",
                        report.epoch, report.neg_elbo_relaxed, report.kl, report.temperature
                    )
                });
                if stop.load(Ordering::SeqCst) { Control::Stop } else { Control::Continue }
            },
            |record| {
                let text = format!(
                    "epoch {}: -ELBO {:.2} (relaxed, training), {:.2} (hard, validation), perplexity {:.1}, KL {:.2}, temperature {:.3}",
                    record.epoch,
                    record.train_neg_elbo_relaxed,
                    record.validation_neg_elbo,
                    record.validation_perplexity,
                    record.validation_kl,
                    record.temperature
                );
                meter.borrow().line(record.epoch * steps, &text);
            },
        )?;
        meter.borrow().finish();
        if control == Control::Stop {
            let command = format!("gengs-topics train --resume --out {}", out.display());
            self.common.say(format_args!("stopped and saved; go on with: {command}"));
            return Ok(ExitCode::from(130));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn default_folder(config: &TopicsTrainConfig) -> PathBuf {
    let corpus = Path::new(&config.corpus).file_stem().unwrap_or_default().to_string_lossy();
    Path::new("runs").join(format!("topics-{corpus}"))
}
