//! The record of a run's data: `data.safetensors`, written when the run starts.

use super::run_files::DATA;
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::side_file;
use super::train_task::TrainTask;
use crate::data::Identity;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tch::Tensor;

/// The record of a run's data.
#[derive(Debug)]
pub struct DataRecord {
    /// Sizes and hashes that identify the data.
    pub identity: Identity,
    /// Tensors of the data that some commands need, by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl DataRecord {
    /// Reads the record of a run; `None` if the run has none.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>> {
        let found = side_file::read(folder, DATA)?;
        Ok(found.map(|(identity, tensors)| Self { identity, tensors }))
    }

    /// Writes the record for a task, if the task has data.
    pub(super) fn write<T: TrainTask>(folder: &RunFolder, task: &T) -> Result<()> {
        let Some(identity) = task.identity()? else { return Ok(()) };
        side_file::write(folder, DATA, &identity, task.kept_of_data()?.into_iter().collect())
    }
}

/// Compares data with the record of the run's data. Returns a warning if the run has no record.
///
/// # Errors
/// Fails with [`Error::OtherData`] if the data differ.
pub fn check_data<S: Settings>(folder: &RunFolder, settings: &S, found: &Identity) -> Result<Option<String>> {
    let (data, words) = (settings.data_name(), S::DATA);
    let Some(DataRecord { identity, .. }) = DataRecord::read(folder)? else {
        return Ok(Some(format!(
            "{}: the run has no record of its data, so {data} could not be compared with the data it was trained on",
            folder.path().display()
        )));
    };
    match identity.difference(found, words.examples, words.features) {
        None => Ok(None),
        Some(difference) => Err(other_data(settings, difference)),
    }
}

/// Checks that a path to be written is not a file of the run's data.
///
/// # Errors
/// Fails if the path is such a file; the message says what to do.
pub fn must_not_be_data(path: &Path, settings: &impl Settings) -> Result<()> {
    let Ok(target) = path.canonicalize() else { return Ok(()) };
    if settings.data_paths().iter().any(|data| data.canonicalize().is_ok_and(|data| data == target)) {
        return Err(Error::file(path, "is what the run was trained on: name another file"));
    }
    Ok(())
}

/// Turns an error of reading a run's data into [`Error::DataGone`] if their file does not exist any more.
pub(super) fn unreadable_data<S: Settings>(settings: &S, error: Error) -> Error {
    let name = settings.data_name();
    match error {
        Error::File { path, .. } if name.ends_with(&*path.to_string_lossy()) && !path.exists() => {
            Error::DataGone { path, setting: S::DATA.setting }
        }
        error => error,
    }
}

/// Makes the error that data are not those of the run.
pub(super) fn other_data<S: Settings>(settings: &S, difference: String) -> Error {
    Error::OtherData { data: settings.data_name(), difference, setting: S::DATA.setting }
}
