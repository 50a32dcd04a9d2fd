//! Runs that were trained: which of them a command takes, and their export for PyTorch.

use super::{Common, print_line};
use crate::error::Result;
use crate::training::{RunFolder, Session, Settings, TrainTask, weights};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tch::Device;
use tch::nn::VarStore;

/// A checkpoint of a run.
#[derive(Debug, Clone, Args)]
pub struct CheckpointArgs {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Which checkpoint: best (on the validation part of the data) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    pub checkpoint: String,
}

/// A run and its data.
#[derive(Debug, Clone, Args)]
pub struct Trained {
    /// Which.
    #[command(flatten)]
    pub checkpoint_args: CheckpointArgs,
    /// Folder with the files of named data [default: as in training]
    #[arg(long, env = "GENGS_DATA", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What every command has.
    #[command(flatten)]
    pub common: Common,
}

impl Trained {
    /// The model with its data, the run's settings, and the device.
    ///
    /// # Errors
    /// When the device cannot be used, or those of [`Session::load`].
    pub fn load<T: TrainTask>(&self) -> Result<(T, T::Settings, Device)> {
        let device = self.common.prepare()?;
        let CheckpointArgs { run, checkpoint } = &self.checkpoint_args;
        let (task, settings) = Session::<T>::load(run, checkpoint, self.data_dir.as_deref(), device)?;
        Ok((task, settings, device))
    }

    /// The run's settings, with the folder of data that was given, and the device.
    ///
    /// # Errors
    /// When the device cannot be used, or there is no run.
    pub fn settings<S: Settings>(&self) -> Result<(S, Device)> {
        let device = self.common.prepare()?;
        let (_, mut settings) = RunFolder::open::<S>(&self.checkpoint_args.run)?;
        if let Some(folder) = &self.data_dir {
            settings.set_data_dir(folder);
        }
        Ok((settings, device))
    }
}

/// Writes the model of a run for PyTorch.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    checkpoint_args: CheckpointArgs,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    common: Common,
}

/// One of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The model as a program for torch.jit.load
    #[arg(long, value_name = "FILE")]
    torchscript: Option<PathBuf>,
    /// The weights of the whole model under PyTorch's names, for safetensors.torch.load_file(FILE)
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
}

impl Export {
    /// Reads settings and checkpoint, not the data; `read` makes a model of them, and `torchscript` writes its program.
    ///
    /// # Errors
    /// When there is no such checkpoint, or a file cannot be written.
    pub fn run<S: Settings, M>(
        &self,
        read: impl FnOnce(&S, &Path, Device) -> Result<(VarStore, M)>,
        torchscript: impl FnOnce(&Path, &VarStore, &M, &S) -> Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        let (folder, settings) = RunFolder::open::<S>(&self.checkpoint_args.run)?;
        let checkpoint = folder.file(&format!("{}.safetensors", self.checkpoint_args.checkpoint));
        let (store, model) = read(&settings, &checkpoint, device)?;
        let target = &self.target;
        if let Some(path) = &target.torchscript {
            torchscript(path, &store, &model, &settings)?;
        }
        if let Some(path) = &target.safetensors {
            weights::write_safetensors(path, &store)?;
        }
        let Target { torchscript, safetensors } = target;
        if self.common.json {
            print_line(serde_json::json!({ "torchscript": torchscript, "safetensors": safetensors }))?;
        } else if let Some(path) = torchscript.as_ref().or(safetensors.as_ref()) {
            self.common.print_status(format_args!("{}", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
