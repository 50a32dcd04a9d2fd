//! `gengs-topics export`.

use clap::Args;
use gengs::cli::Common;
use gengs::training::{RunFolder, TopicsTrainConfig, weights};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Export {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which checkpoint: best (on the validation documents) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    common: Common,
}

/// One of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The encoder as a program for torch.jit.load: from word counts [B, V] to the mean counts of all layers' topics, from the lowest
    #[arg(long, value_name = "FILE")]
    torchscript: Option<PathBuf>,
    /// The weights of the whole model, as safetensors
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
}

impl Export {
    /// Reads settings and checkpoint, not the corpus.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let (folder, config) = RunFolder::open::<TopicsTrainConfig>(&self.run)?;
        let checkpoint = folder.file(&format!("{}.safetensors", self.checkpoint));
        let (store, _) = weights::read_topics(&config, &checkpoint, device)?;
        let Target { torchscript, safetensors } = &self.target;
        if let Some(path) = torchscript {
            weights::write_topics_torchscript(path, &store, &config)?;
        }
        if let Some(path) = safetensors {
            weights::write_safetensors(path, &store)?;
        }
        if self.common.json {
            println!("{}", serde_json::json!({ "torchscript": torchscript, "safetensors": safetensors }));
        } else if let Some(path) = torchscript.as_ref().or(safetensors.as_ref()) {
            self.common.say(format_args!("{}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
