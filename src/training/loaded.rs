//! Loads a task at a checkpoint of a run, with the data that the run was trained on.

use super::checkpoint::Checkpoint;
use super::data_record::{check_data, other_data, unreadable_data};
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::train_task::TrainTask;
use crate::error::Result;
use crate::random;
use std::path::Path;
use tch::Device;

/// A task at a checkpoint of a run.
#[derive(Debug)]
pub struct Loaded<T: TrainTask> {
    /// The model and its data.
    pub task: T,
    /// The settings of the run.
    pub settings: T::Settings,
    /// Sentences about checks that were not possible.
    pub warnings: Vec<String>,
}

impl<T: TrainTask> Loaded<T> {
    /// Loads a task from a run folder at its checkpoint `best` or `last`. `change` sets the present location of the
    /// data.
    ///
    /// # Errors
    /// Fails if there is no run or no such checkpoint, with [`Error::OtherSettings`](crate::Error::OtherSettings) if
    /// the checkpoint was trained with other settings, and with [`Error::OtherData`](crate::Error::OtherData) if the
    /// data are not those of the run.
    pub fn read(path: &Path, checkpoint: &str, device: Device, change: impl FnOnce(&mut T::Settings)) -> Result<Self> {
        let (folder, mut settings) = RunFolder::open::<T::Settings>(path)?;
        change(&mut settings);
        let checkpoint = Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?;
        let mut warnings: Vec<String> = checkpoint.check_settings(&settings)?.into_iter().collect();
        let mut task = blank::<T>(&settings, device).map_err(|error| unreadable_data(&settings, error))?;
        warnings.extend(compare_data(&folder, &settings, &task)?);
        restore(&mut task, &checkpoint)?;
        Ok(Self { task, settings, warnings })
    }
}

/// Makes a task whose parameters a checkpoint will replace. All other random choices, such as those about data, are the
/// ones of the start of the run, since the seed is the same.
pub(super) fn blank<T: TrainTask>(settings: &T::Settings, device: Device) -> Result<T> {
    let _generator = random::seeded(settings.loop_config().seed as i64);
    T::new(settings, device)
}

/// Compares a task's data with the record of the run. Returns a warning if the run has no record.
pub(super) fn compare_data<T: TrainTask>(
    folder: &RunFolder,
    settings: &T::Settings,
    task: &T,
) -> Result<Option<String>> {
    let Some(found) = task.identity()? else { return Ok(None) };
    let warning = check_data(folder, settings, &found)?;
    match task.mismatch(folder)? {
        Some(difference) => Err(other_data(settings, difference)),
        None => Ok(warning),
    }
}

/// Restores a task from a checkpoint, after checking that the checkpoint has exactly the task's tensors.
pub(super) fn restore<T: TrainTask>(task: &mut T, checkpoint: &Checkpoint) -> Result<()> {
    checkpoint.check(&task.contents())?;
    task.restore(checkpoint)?;
    for (optimiser, updates) in task.optimisers().into_iter().skip(1).zip(checkpoint.progress().other_updates) {
        optimiser.set_steps(updates);
    }
    Ok(())
}
