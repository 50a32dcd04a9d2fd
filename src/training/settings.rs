//! The settings of a run: those of every run, and the trait for those of a task.

use super::checkpoint_interval::{Interval, OnNan};
use super::ranges::{integer, number};
use super::schedule::Schedule;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The settings that every run has. A task without settings of its own uses them alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples per step.
    pub batch_size: i64,
    /// The schedule of the temperature, from the first to the last step.
    pub temperature: Schedule,
    /// How often a checkpoint is written.
    pub checkpoint_every: Interval,
    /// How to handle a step that is not finite.
    pub on_nan: OnNan,
    /// The seed of all random numbers.
    pub seed: u64,
}

impl Default for LoopConfig {
    /// One epoch with steps of 100 examples, at temperature 1.
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
    /// Checks that all settings are in their ranges.
    ///
    /// # Errors
    /// Fails if a setting is out of its range; the error has its name, its value, and what is allowed.
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

/// The words for the data of a run in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataWords {
    /// The setting that locates the data.
    pub setting: &'static str,
    /// The word for examples, in the plural.
    pub examples: &'static str,
    /// The word for the features of an example, in the plural.
    pub features: &'static str,
}

/// The names of the settings that a task's weights are bound to, as in `config.toml`. A table stands for all settings
/// in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundSettings {
    /// Settings that define the model: with another value, the same weights are another model.
    pub of_model: &'static [&'static str],
    /// Other settings that a run keeps from its start: what it draws, holds out, and is evaluated by.
    pub of_run: &'static [&'static str],
}

impl BoundSettings {
    /// Returns all names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.of_model.iter().chain(self.of_run).copied()
    }
}

/// The settings of a run, as `config.toml` holds them.
pub trait Settings: Debug + Clone + Serialize + DeserializeOwned {
    /// The program whose runs have these settings; empty if there is none.
    const PROGRAM: &'static str = "";

    /// The words for the data in messages.
    const DATA: DataWords = DataWords { setting: "", examples: "examples", features: "numbers" };

    /// The settings that the weights are bound to: checkpoints hold them, and are refused if they differ.
    const BOUND: BoundSettings = BoundSettings { of_model: &[], of_run: &[] };

    /// Checks that the settings are in their ranges. The model checks its own settings.
    ///
    /// # Errors
    /// Fails if a setting is out of its range; the error has its name, its value, and what is allowed.
    fn check(&self) -> Result<()> {
        self.loop_config().check()
    }

    /// Returns the settings that every run has.
    fn loop_config(&self) -> LoopConfig;

    /// Sets the number of epochs.
    fn set_epochs(&mut self, epochs: usize);

    /// Sets how to handle steps that are not finite.
    fn set_on_nan(&mut self, on_nan: OnNan);

    /// Sets the folder of the data. By default it does nothing, for tasks without such a setting.
    fn set_data_dir(&mut self, _folder: &Path) {}

    /// Returns the folder of named data, if the settings have one.
    fn data_dir(&self) -> Option<&Path> {
        None
    }

    /// Returns the data's name or path, for messages.
    fn data_name(&self) -> String {
        String::new()
    }

    /// Makes all paths absolute, so that a run can be used from any working folder.
    fn make_absolute(&mut self) {}

    /// Sets settings that the file of a run, `saved`, does not contain, because a former version without them saved it.
    /// They get the values that keep the former behaviour.
    fn keep_old_ways(&mut self, _saved: &toml::Table) {}

    /// Returns the files and folders from which a command that shows the run reads its data.
    fn data_paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Returns the file with a new run's initial weights, if any.
    fn init_from(&self) -> Option<&Path> {
        None
    }
}

/// Makes a path absolute; it need not exist. If there is no current folder, the path stays as it is.
pub(super) fn absolute(path: &mut Option<PathBuf>) {
    if let Some(path) = path
        && let Ok(absolute_path) = std::path::absolute(&*path)
    {
        *path = absolute_path;
    }
}
