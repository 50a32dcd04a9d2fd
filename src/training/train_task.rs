//! The trait for a model that a session trains, and its records.

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

/// The metric by which epochs are compared; the best epoch has the lowest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name of the metric.
    pub name: &'static str,
    /// The value of the metric.
    pub value: f64,
    /// The unit; empty if there is none.
    pub unit: &'static str,
}

impl Display for Metric {
    /// Writes name, value and unit, as in `validation perplexity 3945`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { name, value, unit } = self;
        let digits = if value.abs() < 1000.0 { 2 } else { 0 };
        write!(f, "{name} {value:.digits$}")?;
        if unit.is_empty() { Ok(()) } else { write!(f, " {unit}") }
    }
}

/// One epoch, a line of `metrics.jsonl`.
pub trait Record: Debug + Copy + Serialize + DeserializeOwned {
    /// Returns the epoch, counted from 1.
    fn epoch(&self) -> usize;

    /// Returns the metric that selects the best epoch: the lowest value.
    fn selection_metric(&self) -> Metric;

    /// Returns the number of steps that were skipped because they were not finite; it is printed unless it is zero.
    fn skipped_steps(&self) -> usize {
        0
    }
}

/// The results of an epoch's training steps.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Means of the task's metrics over the examples of the steps.
    pub means: StepMeans,
    /// Temperature at the last step.
    pub temperature: f64,
    /// Steps that were skipped because they were not finite. The means are over the other steps.
    pub skipped_steps: usize,
    /// Seconds of training since the start of the run.
    pub seconds: f64,
}

/// An item that a task logs to TensorBoard after an epoch.
#[derive(Debug)]
pub enum LogItem {
    /// A number.
    Scalar(f64),
    /// A histogram of the elements of a tensor.
    Histogram(Tensor),
    /// A PNG, as [`grid_png`](super::grid_png) makes it.
    Picture(Vec<u8>),
}

/// A model with its data and its optimisers, which a [`Session`](super::Session) trains.
///
/// All randomness of a step must depend only on its [`StepContext`], so that a run that is stopped and resumed gives
/// the same result as one that is not. Use noise from its key, or libtorch's generator, which the session seeds before
/// every step. `examples/custom_task.rs` trains a custom task.
pub trait TrainTask: Sized {
    /// The settings of the task.
    type Settings: Settings;
    /// The record of an epoch.
    type Record: Record;

    /// The metrics that a step returns. A checkpoint holds their sums without their names, so their order must not
    /// change.
    const METRICS: &'static [StepMetric];

    /// Reads the data and initialises the model from libtorch's generator. The generator is seeded with the run's seed
    /// whenever a run is started, resumed or loaded.
    ///
    /// # Errors
    /// Fails if the data cannot be read, or if the settings do not match the data.
    fn new(settings: &Self::Settings, device: Device) -> Result<Self>;

    /// Writes files outside of the run folder that the settings name, if the user asked for them: at the start of a
    /// run, or with an option when it is resumed. [`new`](Self::new) writes nothing.
    ///
    /// # Errors
    /// Fails if the data cannot be read, or if a file cannot be written.
    fn write_outside(_settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// Checks that the files outside of the run folder exist without which a resumed run would give another result.
    ///
    /// # Errors
    /// Fails if a file does not exist; the error names it.
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
    /// Fails if the data cannot be read.
    fn init_from_data(&mut self, _settings: &Self::Settings) -> Result<()> {
        Ok(())
    }

    /// Returns the number of training examples.
    fn examples(&self) -> i64;

    /// Returns the variables of the model.
    fn store(&self) -> &VarStore;

    /// Returns the device of the model.
    fn device(&self) -> Device {
        self.store().device()
    }

    /// Returns the optimisers; the first is the model's.
    fn optimisers(&mut self) -> Vec<&mut Adam>;

    /// Returns the identity of the data; `None` if the task has no data.
    ///
    /// # Errors
    /// Fails if the data cannot be read.
    fn identity(&self) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// Returns the tensors of the data that the run folder keeps, by name, for commands that do not read the data.
    ///
    /// # Errors
    /// Fails if the data cannot be read.
    fn kept_of_data(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// Compares the data with files in the run folder, and describes the difference; `None` if there is none. It is the
    /// only comparison for a run whose folder has no record of its data.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    fn mismatch(&self, _folder: &RunFolder) -> Result<Option<String>> {
        Ok(None)
    }

    /// Returns the order in which an epoch visits the examples, `[examples]`, int64.
    fn order(&self, seed: u64, epoch: usize) -> Tensor {
        epoch_order(self.examples(), seed, epoch)
    }

    /// Makes one update with [`Adam`], which skips gradients that are not finite. Returns the values of
    /// [`METRICS`](Self::METRICS) in their order, `[metrics]`, on the device of the model, so that the CPU need not
    /// wait for them.
    ///
    /// # Errors
    /// Fails if the step cannot be made.
    fn step(&mut self, settings: &Self::Settings, plan: &StepContext<'_>) -> Result<Tensor>;

    /// Evaluates the model on the validation examples, and returns the record of the epoch.
    ///
    /// # Errors
    /// Fails if the model cannot be evaluated.
    fn record(&self, settings: &Self::Settings, trained: &Trained) -> Result<Self::Record>;

    /// Returns the contents of a checkpoint by name: the variables of the model and the state of the optimisers. They
    /// share memory with the model.
    fn contents(&mut self) -> Vec<(String, Tensor)> {
        let mut named: Vec<(String, Tensor)> = self.store().variables().into_iter().collect();
        named.extend(self.optimisers().iter().flat_map(|optimiser| optimiser.state()));
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Restores the [`contents`](Self::contents) from a checkpoint.
    ///
    /// # Errors
    /// Fails for the first tensor that is missing or has another shape.
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(self.store())?;
        self.optimisers().into_iter().try_for_each(|optimiser| checkpoint.restore_adam(optimiser))
    }

    /// Returns items to log after an epoch, besides the record, by name; `a/b` is item `b` in group `a`. Libtorch's
    /// generator is seeded before, and its state is restored afterwards.
    ///
    /// # Errors
    /// Fails if the model cannot be evaluated.
    fn log_items(&self, _settings: &Self::Settings) -> Result<Vec<(String, LogItem)>> {
        Ok(Vec::new())
    }

    /// Writes further files of the task to the run folder, before a checkpoint is written.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    fn save_extra_files(&self, _folder: &RunFolder) -> Result<()> {
        Ok(())
    }

    /// Reads the files of [`save_extra_files`](Self::save_extra_files), up to the step of the checkpoint.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    fn load_extra_files(&mut self, _folder: &RunFolder, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }

    /// Finishes a run after its last epoch.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    fn finish(&mut self, _settings: &Self::Settings, _folder: &RunFolder) -> Result<()> {
        Ok(())
    }
}
