//! A task at a checkpoint of a run, with the data that the run was trained on.

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
    /// What could not be checked, in sentences.
    pub warnings: Vec<String>,
}

impl<T: TrainTask> Loaded<T> {
    /// From a run folder and its checkpoint `best` or `last`; `change` says where the data are now.
    ///
    /// # Errors
    /// When there is no run or no such checkpoint, [`Error::OtherSettings`](crate::Error::OtherSettings) where the
    /// checkpoint was trained with others, and [`Error::OtherData`](crate::Error::OtherData) where the data are others.
    pub fn read(path: &Path, checkpoint: &str, device: Device, change: impl FnOnce(&mut T::Settings)) -> Result<Self> {
        let (folder, mut settings) = RunFolder::open::<T::Settings>(path)?;
        change(&mut settings);
        let checkpoint = Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?;
        let mut warnings: Vec<String> = checkpoint.check_settings(&settings)?.into_iter().collect();
        let mut task = blank::<T>(&settings, device).map_err(|error| unreadable_data(&settings, error))?;
        warnings.extend(recognise(&folder, &settings, &task)?);
        restore(&mut task, &checkpoint)?;
        Ok(Self { task, settings, warnings })
    }
}

/// A task whose parameters a checkpoint will replace. Whatever else it draws, its data say, is what it drew when the
/// run began.
pub(super) fn blank<T: TrainTask>(settings: &T::Settings, device: Device) -> Result<T> {
    let _generator = random::seeded(settings.loop_config().seed as i64);
    T::new(settings, device)
}

/// Compares a task's data with those that the run was trained on. Returns a warning where the run does not know these.
pub(super) fn recognise<T: TrainTask>(folder: &RunFolder, settings: &T::Settings, task: &T) -> Result<Option<String>> {
    let Some(found) = task.identity()? else { return Ok(None) };
    let warning = check_data(folder, settings, &found)?;
    match task.mismatch(folder)? {
        Some(difference) => Err(other_data(settings, difference)),
        None => Ok(warning),
    }
}

/// A task as it was at a checkpoint, after all of that was compared with what the task consists of.
pub(super) fn restore<T: TrainTask>(task: &mut T, checkpoint: &Checkpoint) -> Result<()> {
    checkpoint.check(&task.contents())?;
    task.restore(checkpoint)?;
    for (optimiser, updates) in task.optimisers().into_iter().skip(1).zip(checkpoint.progress().other_updates) {
        optimiser.set_steps(updates);
    }
    Ok(())
}
