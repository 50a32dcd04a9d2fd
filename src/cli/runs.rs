//! Trained runs: the checkpoint that a command uses, and the export for PyTorch.

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

/// The checkpoint of a run.
#[derive(Debug, Clone, Args)]
pub struct CheckpointArgs {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Checkpoint: best or last. 'best' has the best metric on the validation part of the data; without a validation
    /// part, on the training documents, or on the test images of mnist-5k
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    pub checkpoint: String,
}

/// A trained run, with the present location of its data.
#[derive(Debug, Clone, Args)]
pub struct Trained {
    /// The run and its checkpoint.
    #[command(flatten)]
    pub checkpoint_args: CheckpointArgs,
    /// Folder with the files of named data [default: the folder of the training, else GENGS_DATA]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The options of every command.
    #[command(flatten)]
    pub common: Common,
}

impl Trained {
    /// Reads the model with its data, and returns it with the run's settings and the device. `change` sets the present
    /// location of the data. Prints warnings.
    ///
    /// # Errors
    /// Fails if the device cannot be used, and as [`Loaded::read`] does.
    pub fn load<T: TrainTask>(&self, change: impl FnOnce(&mut T::Settings)) -> Result<(T, T::Settings, Device)> {
        let device = self.common.prepare()?;
        let (folder, own) = RunFolder::open::<T::Settings>(&self.checkpoint_args.run)?;
        let (task, settings) = self.read(&folder, device, change, |settings: &T::Settings| {
            report_outside_paths(&self.common, &folder, &own, settings);
        })?;
        Ok((task, settings, device))
    }

    /// Does the same as [`load`](Self::load) for a run that [`settings`](Self::settings) has opened and whose links it
    /// has reported.
    ///
    /// # Errors
    /// Fails as [`Loaded::read`] does.
    pub fn load_opened<T: TrainTask>(
        &self,
        folder: &RunFolder,
        device: Device,
        change: impl FnOnce(&mut T::Settings),
    ) -> Result<(T, T::Settings)> {
        let (_, own) = RunFolder::open::<T::Settings>(folder.path())?;
        let report = |settings: &T::Settings| report_paths(&self.common, "settings", of_run(&own, settings));
        self.read(folder, device, change, report)
    }

    /// Reads the model with its data; `report` prints the paths that are opened.
    fn read<T: TrainTask>(
        &self,
        folder: &RunFolder,
        device: Device,
        change: impl FnOnce(&mut T::Settings),
        report: impl FnOnce(&T::Settings),
    ) -> Result<(T, T::Settings)> {
        self.checkpoint_args.check(folder)?;
        let checkpoint = &self.checkpoint_args.checkpoint;
        let Loaded { task, settings, warnings } = Loaded::<T>::read(folder.path(), checkpoint, device, |settings| {
            change(settings);
            set_data_dir(settings, self.data_dir.as_deref());
            report(settings);
        })?;
        warn(&warnings);
        Ok((task, settings))
    }

    /// Reads the run's settings, with `--data-dir` in them, and returns them with the run's folder and the device.
    ///
    /// # Errors
    /// Fails if the device cannot be used, or if the folder holds no run.
    pub fn settings<S: Settings>(&self) -> Result<(RunFolder, S, Device)> {
        let device = self.common.prepare()?;
        let (folder, mut settings) = self.checkpoint_args.open::<S>(&self.common)?;
        set_data_dir(&mut settings, self.data_dir.as_deref());
        Ok((folder, settings, device))
    }

    /// Prints the data paths outside of the run folder that the run's settings make the command read, before it reads
    /// them. `settings` are those in use: paths that the user typed in place of the run's are not printed.
    ///
    /// # Errors
    /// Fails as [`RunFolder::open`] does.
    pub fn report_data_paths<S: Settings>(&self, folder: &RunFolder, settings: &S) -> Result<()> {
        let (_, own) = RunFolder::open::<S>(folder.path())?;
        report_paths(&self.common, "settings", of_run(&own, settings));
        Ok(())
    }
}

impl CheckpointArgs {
    /// Opens the run's folder and reads its settings. Prints where the links in the folder lead.
    ///
    /// # Errors
    /// Fails as [`RunFolder::open`] does.
    pub fn open<S: Settings>(&self, common: &Common) -> Result<(RunFolder, S)> {
        let (folder, settings) = RunFolder::open::<S>(&self.run)?;
        report_paths(common, "links", folder.links());
        Ok((folder, settings))
    }

    /// Returns the path of the checkpoint.
    ///
    /// # Errors
    /// Fails if the checkpoint does not exist and the other one does.
    pub fn file(&self, folder: &RunFolder) -> Result<PathBuf> {
        self.check(folder)?;
        Ok(folder.file(&self.name()))
    }

    /// Returns the file name of the checkpoint.
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

/// Sets the folder of named data: the one of the command line, else the one of the run, else that in `GENGS_DATA`.
pub(super) fn set_data_dir(settings: &mut impl Settings, given: Option<&Path>) {
    let environment = || std::env::var_os("GENGS_DATA").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = match (given, settings.data_dir()) {
        (Some(given), _) => Some(given.to_path_buf()),
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
pub(super) fn report_outside_paths<S: Settings>(common: &Common, folder: &RunFolder, own: &S, settings: &S) {
    report_paths(common, "settings and links", folder.links().into_iter().chain(of_run(own, settings)));
}

/// The paths of data that are still those of the run's own settings: what a user typed he knows.
fn of_run<S: Settings>(own: &S, settings: &S) -> Vec<PathBuf> {
    let own = own.data_paths();
    settings.data_paths().into_iter().filter(|path| own.contains(path)).collect()
}

fn report_paths(common: &Common, source: &str, paths: impl IntoIterator<Item = PathBuf>) {
    let paths: Vec<String> = paths.into_iter().map(|path| in_one_line(&path.display().to_string())).collect();
    if !paths.is_empty() {
        let paths = paths.join(", ");
        common.print_status(format_args!("the run's {source} make this command read: {paths}"));
    }
}

/// Writes the model of a run in a format for PyTorch.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    checkpoint_args: CheckpointArgs,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    common: Common,
}

/// The file to write: one of two formats.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Write the model as a program for torch.jit.load
    #[arg(long, value_name = "FILE")]
    torchscript: Option<PathBuf>,
    /// Write all weights of the model under PyTorch's names, for safetensors.torch.load_file(FILE)
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
}

impl Export {
    /// Reads the settings and the checkpoint, without the data. `read` makes the model; `torchscript` writes it as a
    /// program.
    ///
    /// # Errors
    /// Fails if the checkpoint does not exist, or if a file cannot be written.
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
        let found = read(&settings, &checkpoint, device)?;
        found.check_run(&settings)?;
        let FromFile { store, model, .. } = found;
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
