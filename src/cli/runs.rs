//! Runs that were trained: which of them a command takes, and their export for PyTorch.

use super::{Common, print_line, print_status};
use crate::error::{Error, Result};
use crate::markup::in_one_line;
use crate::training::weights::FromFile;
use crate::training::{
    Checkpoint, Loaded, Progress, RunFolder, Settings, TrainTask, must_not_be_data, must_not_be_of_a_run, weights,
};
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
    /// Which checkpoint: best (on the validation part of the data; without one, on the documents that were trained on,
    /// and for mnist-5k on the test images) or last
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    pub checkpoint: String,
}

/// A run and its data.
#[derive(Debug, Clone, Args)]
pub struct Trained {
    /// Which.
    #[command(flatten)]
    pub checkpoint_args: CheckpointArgs,
    /// Folder with the files of named data [default: the one of the training, or GENGS_DATA where that had none]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What every command has.
    #[command(flatten)]
    pub common: Common,
}

impl Trained {
    /// The model with its data, the run's settings, and the device; `change` says where the data are now. Warnings are
    /// printed.
    ///
    /// # Errors
    /// When the device cannot be used, or those of [`Loaded::read`].
    pub fn load<T: TrainTask>(&self, change: impl FnOnce(&mut T::Settings)) -> Result<(T, T::Settings, Device)> {
        let device = self.common.prepare()?;
        let CheckpointArgs { run, checkpoint } = &self.checkpoint_args;
        let (folder, own) = RunFolder::open::<T::Settings>(run)?;
        self.checkpoint_args.check(&folder)?;
        let Loaded { task, settings, warnings } = Loaded::<T>::read(run, checkpoint, device, |settings| {
            change(settings);
            set_data_dir(settings, self.data_dir.as_deref());
            name_outside(&self.common, &folder, &own, settings);
        })?;
        warn(&warnings);
        Ok((task, settings, device))
    }

    /// The run's folder, its settings with the folder of data that was given, and the device.
    ///
    /// # Errors
    /// When the device cannot be used, or there is no run.
    pub fn settings<S: Settings>(&self) -> Result<(RunFolder, S, Device)> {
        let device = self.common.prepare()?;
        let (folder, mut settings) = self.checkpoint_args.open::<S>(&self.common)?;
        set_data_dir(&mut settings, self.data_dir.as_deref());
        Ok((folder, settings, device))
    }

    /// Says which data outside of its folder a run makes the command open, before it reads them. `settings` are those
    /// that they are read by: what was typed in place of the run's own is not named.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn name_data<S: Settings>(&self, folder: &RunFolder, settings: &S) -> Result<()> {
        let (_, own) = RunFolder::open::<S>(folder.path())?;
        name(&self.common, "settings", of_run(&own, settings));
        Ok(())
    }
}

impl CheckpointArgs {
    /// The run's folder and its settings; says where the links in it lead.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn open<S: Settings>(&self, common: &Common) -> Result<(RunFolder, S)> {
        let (folder, settings) = RunFolder::open::<S>(&self.run)?;
        name(common, "links", folder.links());
        Ok((folder, settings))
    }

    /// The checkpoint's file.
    ///
    /// # Errors
    /// When there is none.
    pub fn file(&self, folder: &RunFolder) -> Result<PathBuf> {
        self.check(folder)?;
        Ok(folder.file(&self.name()))
    }

    fn name(&self) -> String {
        format!("{}.safetensors", self.checkpoint)
    }

    /// Fails where the checkpoint is not there and the other one is: until its first save after the end of an epoch, a
    /// run has no best one. Warns of one from before the end of the first epoch.
    fn check(&self, folder: &RunFolder) -> Result<()> {
        let other = if self.checkpoint == "best" { "last" } else { "best" };
        let is_there = |name: &str| folder.file(name).symlink_metadata().is_ok();
        if !is_there(&self.name()) && is_there(&format!("{other}.safetensors")) {
            let problem = match other {
                "last" => {
                    "is not there: a run writes it when it saves for the first time after the end of an epoch (how \
                     often it saves is --checkpoint-every); take the other one with --checkpoint last"
                }
                _ => "is not there; take the other one with --checkpoint best",
            };
            return Err(Error::file(folder.file(&self.name()), problem));
        }
        match Checkpoint::peek(&folder.file(&self.name())) {
            Some(Progress { epochs: 0, steps: 0, .. }) => {
                let what = "holds the weights that the run starts from: no step of training is saved yet";
                warn(&[format!("{} {what}", self.name())]);
            }
            Some(Progress { epochs: 0, steps, .. }) => {
                warn(&[format!("{} holds the weights of the first epoch's step {steps}", self.name())]);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The folder of named data: the one that was typed, or the run's own, or, where there is neither, the environment's.
pub(super) fn set_data_dir(settings: &mut impl Settings, typed: Option<&Path>) {
    let environment = || std::env::var_os("GENGS_DATA").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = match (typed, settings.data_dir()) {
        (Some(typed), _) => Some(typed.to_path_buf()),
        (None, Some(_)) => None,
        (None, None) => environment(),
    };
    if let Some(folder) = folder {
        settings.set_data_dir(&folder);
    }
}

/// Prints warnings on stderr.
pub fn warn(warnings: &[String]) {
    for warning in warnings {
        print_status(format_args!("warning: {warning}"));
    }
}

/// Says which paths outside of its folder a run makes a command open: the run may be somebody else's. `own` are the
/// run's settings, `settings` those with what was typed.
pub(super) fn name_outside<S: Settings>(common: &Common, folder: &RunFolder, own: &S, settings: &S) {
    name(common, "settings and links", folder.links().into_iter().chain(of_run(own, settings)));
}

/// The paths of data that are still those of the run's own settings: what a user typed he knows.
fn of_run<S: Settings>(own: &S, settings: &S) -> Vec<PathBuf> {
    let own = own.data_paths();
    settings.data_paths().into_iter().filter(|path| own.contains(path)).collect()
}

fn name(common: &Common, what: &str, paths: impl IntoIterator<Item = PathBuf>) {
    let paths: Vec<String> = paths.into_iter().map(|path| in_one_line(&path.display().to_string())).collect();
    if !paths.is_empty() {
        let paths = paths.join(", ");
        common.print_status(format_args!("the run's {what} have these opened, to read: {paths}"));
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
        read: impl FnOnce(&S, &Path, Device) -> Result<FromFile<M>>,
        torchscript: impl FnOnce(&Path, &VarStore, &M, &S) -> Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let device = self.common.prepare()?;
        [&self.target.torchscript, &self.target.safetensors]
            .into_iter()
            .flatten()
            .try_for_each(|path| must_not_be_of_a_run(path))?;
        let (folder, settings) = self.checkpoint_args.open::<S>(&self.common)?;
        [&self.target.torchscript, &self.target.safetensors]
            .into_iter()
            .flatten()
            .try_for_each(|path| must_not_be_data(path, &settings))?;
        let checkpoint = self.checkpoint_args.file(&folder)?;
        let FromFile { store, model, .. } = read(&settings, &checkpoint, device)?;
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
