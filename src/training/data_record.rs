//! What a run knows of its data: `data.safetensors`, written when it begins.

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

/// What a run keeps of its data: what they are, and the tensors that some commands need of them.
#[derive(Debug)]
pub struct DataRecord {
    /// What they are.
    pub identity: Identity,
    /// By name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl DataRecord {
    /// That of a run; `None` for runs of before this file.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>> {
        let found = side_file::read(folder, DATA)?;
        Ok(found.map(|(identity, tensors)| Self { identity, tensors }))
    }

    /// Writes that of a task that has data.
    pub(super) fn write<T: TrainTask>(folder: &RunFolder, task: &T) -> Result<()> {
        let Some(identity) = task.identity()? else { return Ok(()) };
        side_file::write(folder, DATA, &identity, task.kept_of_data()?.into_iter().collect())
    }
}

/// Compares the data that were found with those that the run was trained on. Returns a warning where the run does not
/// know these.
///
/// # Errors
/// [`Error::OtherData`] where they differ.
pub fn check_data<S: Settings>(folder: &RunFolder, settings: &S, found: &Identity) -> Result<Option<String>> {
    let (data, words) = (settings.data_name(), S::DATA);
    let Some(DataRecord { identity, .. }) = DataRecord::read(folder)? else {
        return Ok(Some(format!(
            "{}: the run was made before runs knew their data; {data} is taken to be what it was trained on",
            folder.path().display()
        )));
    };
    match identity.difference(found, words.examples, words.features) {
        None => Ok(None),
        Some(difference) => Err(other_data(settings, difference)),
    }
}

/// Fails where a path, which a command is to write, is a file that the run was trained on.
///
/// # Errors
/// With the path, and what to do.
pub fn must_not_be_data(path: &Path, settings: &impl Settings) -> Result<()> {
    let Ok(target) = path.canonicalize() else { return Ok(()) };
    if settings.data_paths().iter().any(|data| data.canonicalize().is_ok_and(|data| data == target)) {
        return Err(Error::file(path, "is what the run was trained on: name another file"));
    }
    Ok(())
}

/// An error of reading a run's data, with what helps where their file is not there any more.
pub(super) fn unreadable_data<S: Settings>(settings: &S, error: Error) -> Error {
    let name = settings.data_name();
    match error {
        Error::File { path, .. } if name.ends_with(&*path.to_string_lossy()) && !path.exists() => {
            Error::DataGone { path, setting: S::DATA.setting }
        }
        error => error,
    }
}

/// The refusal of data that are not those of the run.
pub(super) fn other_data<S: Settings>(settings: &S, difference: String) -> Error {
    Error::OtherData { data: settings.data_name(), difference, setting: S::DATA.setting }
}
