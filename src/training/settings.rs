//! The settings of a run.

use super::checkpoint_interval::{Interval, OnNan};
use super::ranges::{integer, number};
use super::schedule::Schedule;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The settings that every run has; alone, those of a task without settings of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples a step.
    pub batch_size: i64,
    /// Temperature, from the first to the last step.
    pub temperature: Schedule,
    /// How often a checkpoint is written.
    pub checkpoint_every: Interval,
    /// What to do about a step that is not finite.
    pub on_nan: OnNan,
    /// Where all randomness starts.
    pub seed: u64,
}

impl Default for LoopConfig {
    /// One epoch of steps of 100 examples at a temperature of one.
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 100,
            temperature: Schedule { first: 1.0, last: 1.0 },
            checkpoint_every: Interval::Seconds(10.0),
            on_nan: OnNan::Stop,
            seed: 0,
        }
    }
}

impl LoopConfig {
    /// Fails when a setting is out of its range.
    ///
    /// # Errors
    /// With the setting's name, its value, and what is allowed.
    pub fn check(&self) -> Result<()> {
        integer("epochs", self.epochs, 1..=1_000_000)?;
        integer("batch-size", self.batch_size, 1..=1_000_000)?;
        for temperature in [self.temperature.first, self.temperature.last] {
            number("temperature", temperature, 1e-4..=1000.0)?;
        }
        let every = self.checkpoint_every;
        let allowed = match every {
            Interval::Seconds(seconds) => seconds >= 0.0 && seconds.is_finite(),
            Interval::Steps(count) | Interval::Epochs(count) => count >= 1,
        };
        if !allowed {
            return Err(Error::parameter(
                "checkpoint-every",
                every,
                "seconds, 0 or more, or at least one step or epoch",
            ));
        }
        if self.seed > i64::MAX as u64 {
            return Err(Error::parameter("seed", self.seed, "below 2^63"));
        }
        Ok(())
    }
}

impl Settings for LoopConfig {
    fn check(&self) -> Result<()> {
        LoopConfig::check(self)
    }

    fn loop_config(&self) -> LoopConfig {
        *self
    }

    fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn set_on_nan(&mut self, on_nan: OnNan) {
        self.on_nan = on_nan;
    }
}

/// What a user calls the data of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataWords {
    /// The setting that names them.
    pub setting: &'static str,
    /// Examples.
    pub examples: &'static str,
    /// What an example is made of.
    pub features: &'static str,
}

/// The names of the settings that a task's weights are bound to, as they stand in `config.toml`. A table stands for all
/// settings in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSettings {
    /// Those that say what the weights mean: with another value, the same numbers are another model.
    pub of_model: &'static [&'static str],
    /// Others that a run keeps from its first day: what it draws, holds out, and is evaluated by.
    pub of_run: &'static [&'static str],
}

impl BoundSettings {
    /// All of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.of_model.iter().chain(self.of_run).copied()
    }
}

/// Everything that a run is made of; what `config.toml` holds.
pub trait Settings: Debug + Clone + Serialize + DeserializeOwned {
    /// The program whose runs have these settings; empty where there is none.
    const PROGRAM: &'static str = "";

    /// What a user calls its data.
    const DATA: DataWords = DataWords { setting: "", examples: "examples", features: "numbers" };

    /// The settings that the weights are bound to: checkpoints hold them, and are refused where they differ.
    const BOUND: BoundSettings = BoundSettings { of_model: &[], of_run: &[] };

    /// Fails when a setting is out of its range; the model checks its own.
    ///
    /// # Errors
    /// With the setting's name, its value, and what is allowed.
    fn check(&self) -> Result<()> {
        self.loop_config().check()
    }

    /// The settings that every run has.
    fn loop_config(&self) -> LoopConfig;

    /// Another number of epochs.
    fn set_epochs(&mut self, epochs: usize);

    /// Another way with steps that are not finite.
    fn set_on_nan(&mut self, on_nan: OnNan);

    /// Another place of the data; nothing where no setting names one.
    fn set_data_dir(&mut self, _folder: &Path) {}

    /// Where the files of named data lie, if the run knows it.
    fn data_dir(&self) -> Option<&Path> {
        None
    }

    /// The data's name or path, for messages.
    fn data_name(&self) -> String {
        String::new()
    }

    /// Makes all paths absolute, so that a run can be used from any folder.
    fn make_absolute(&mut self) {}

    /// Settings that a run has since it was saved before there was a choice: those that its file, `saved`, does not
    /// name.
    fn keep_old_ways(&mut self, _saved: &toml::Table) {}

    /// Files and folders that the settings name, in which a command that shows a run looks for its data.
    fn data_paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The file that a new run's weights come from, if any.
    fn init_from(&self) -> Option<&Path> {
        None
    }
}

/// Makes a path absolute, without looking whether it is there. Where there is no current folder, it stays as it is.
pub(super) fn absolute(path: &mut Option<PathBuf>) {
    if let Some(path) = path
        && let Ok(whole) = std::path::absolute(&*path)
    {
        *path = whole;
    }
}
