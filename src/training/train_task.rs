//! What a session trains.

use super::checkpoint::Checkpoint;
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::step_context::StepContext;
use super::step_metrics::{StepMeans, StepMetric};
use crate::data::{Identity, epoch_order};
use crate::error::Result;
use crate::nn::Adam;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display, Formatter};
use tch::nn::VarStore;
use tch::{Device, Tensor};

/// The number by which epochs are compared; the best epoch has the lowest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit; empty where it has none.
    pub unit: &'static str,
}

impl Display for Metric {
    /// Name, value and unit, as in `validation perplexity 3945`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { name, value, unit } = self;
        let digits = if value.abs() < 1000.0 { 2 } else { 0 };
        write!(f, "{name} {value:.digits$}")?;
        if unit.is_empty() { Ok(()) } else { write!(f, " {unit}") }
    }
}

/// A line of `metrics.jsonl`: one epoch.
pub trait Record: Debug + Copy + Serialize + DeserializeOwned {
    /// The epoch, counted from 1.
    fn epoch(&self) -> usize;

    /// The number that decides which epoch is the best: the lowest.
    fn selection_metric(&self) -> Metric;

    /// Steps that were left out, since they were not finite; shown where there are any.
    fn skipped_steps(&self) -> usize {
        0
    }
}

/// What the training part of an epoch came to.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Means of the task's metrics over the examples of the steps.
    pub means: StepMeans,
    /// Temperature at the last step.
    pub temperature: f64,
    /// Steps that were left out, since they were not finite; the means are over the others.
    pub skipped_steps: usize,
    /// Seconds of training since the run began.
    pub seconds: f64,
}

/// Something to look at after an epoch, in TensorBoard.
#[derive(Debug)]
pub enum LogItem {
    /// A number.
    Scalar(f64),
    /// How numbers are distributed.
    Histogram(Tensor),
    /// A PNG, as [`grid_png`](super::grid_png) makes it.
    Picture(Vec<u8>),
}

/// A model, its data, and what trains it.
///
/// All randomness of a step must be a function of its [`StepContext`], so that a run that is stopped and resumed goes
/// on exactly as one that was not: noise of its key, or libtorch's generator, which a [`Session`](super::Session) seeds
/// for every step. `examples/custom_task.rs` trains a task of its own.
pub trait TrainTask: Sized {
    /// The settings.
    type Settings: Settings;
    /// What is kept of an epoch.
    type Record: Record;

    /// The numbers that a step returns. A checkpoint holds their sums without their names, so a task keeps their order.
    const METRICS: &'static [StepMetric];

    /// Data and a model, newly initialised from libtorch's generator, which is seeded by the run's seed whenever a run
    /// is started, resumed or loaded.
    ///
    /// # Errors
    /// When the data cannot be read, or the settings do not fit it.
    fn new(settings: &Self::Settings, device: Device) -> Result<Self>;

    /// Writes what the settings keep outside of the run folder, where a user asked for that: at the start of a run, or
    /// with a flag when it is resumed. [`new`](Self::new) writes nothing.
    ///
    /// # Errors
    /// When the data cannot be read, or a file cannot be written.
    fn write_outside(_settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// Fails where the run cannot go on with the bits that it would have had, since what it keeps outside of its folder
    /// is not there.
    ///
    /// # Errors
    /// With what is missing.
    fn check_outside(&self, _settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// Fails where a step takes more memory than a tensor may have: asked before a new run writes anything.
    ///
    /// # Errors
    /// [`Error::StepTooLarge`](crate::Error::StepTooLarge), with the settings that make it smaller.
    fn check_step(&self, _settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// What a new run does once, and a resumed one does not: a start from the data, say.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn init_from_data(&mut self, _settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// How many training examples there are.
    fn examples(&self) -> i64;

    /// The model's parameters.
    fn store(&self) -> &VarStore;

    /// Where the model lives.
    fn device(&self) -> Device {
        self.store().device()
    }

    /// The optimisers, the model's first.
    fn optimisers(&mut self) -> Vec<&mut Adam>;

    /// What the data are; `None` where there are none.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn identity(&self) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// What a run keeps of its data for commands that have no others at hand, by name.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn kept_of_data(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// What in a run's folder does not fit the data that were found, in words: all that tells other data where the run
    /// does not know its own.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn mismatch(&self, _folder: &RunFolder) -> Result<Option<String>> {
        Ok(None)
    }

    /// The order in which an epoch visits the examples.
    fn order(&self, seed: u64, epoch: usize) -> Tensor {
        epoch_order(self.examples(), seed, epoch)
    }

    /// One update by [`Adam`], which leaves out those that are not finite; returns the numbers of
    /// [`METRICS`](Self::METRICS) in their order, as one tensor on the device, so that nothing waits for them.
    ///
    /// # Errors
    /// When the step cannot be made.
    fn step(&mut self, settings: &Self::Settings, plan: &StepContext<'_>) -> Result<Tensor>;

    /// The record of an epoch, with a look at the validation examples.
    ///
    /// # Errors
    /// When the model cannot be evaluated.
    fn record(&self, settings: &Self::Settings, trained: &Trained) -> Result<Self::Record>;

    /// What a checkpoint holds, by name, sharing memory with the model: its parameters, and the state of the
    /// optimisers.
    fn contents(&mut self) -> Vec<(String, Tensor)> {
        let mut named: Vec<(String, Tensor)> = self.store().variables().into_iter().collect();
        named.extend(self.optimisers().iter().flat_map(|optimiser| optimiser.state()));
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Restores what [`contents`](Self::contents) saved in a checkpoint.
    ///
    /// # Errors
    /// With the first tensor that does not fit.
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(self.store())?;
        self.optimisers().into_iter().try_for_each(|optimiser| checkpoint.restore_adam(optimiser))
    }

    /// What to show of the model after an epoch beside the numbers of its record, by name; `a/b` is `b` in a group `a`.
    /// Libtorch's generator is seeded before, and training does not notice what is drawn from it.
    ///
    /// # Errors
    /// When the model cannot be evaluated.
    fn log_items(&self, _settings: &Self::Settings) -> Result<Vec<(String, LogItem)>> {
        Ok(Vec::new())
    }

    /// Writes what it keeps beside the epochs' records.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn save_extra_files(&self, _folder: &RunFolder) -> Result<()> {
        Ok(())
    }

    /// Reads that back, as far as the checkpoint has come.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn load_extra_files(&mut self, _folder: &RunFolder, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }

    /// What is left to do when all epochs are done.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn finish(&mut self, _settings: &Self::Settings, _folder: &RunFolder) -> Result<()> {
        Ok(())
    }
}
