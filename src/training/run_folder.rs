//! The folder of a run: `config.toml`, `metrics.jsonl`, `gradients.jsonl`, `last.safetensors`, `best.safetensors`,
//! events, pictures.

use super::run_files::{BEST, LOCK, SETTINGS, max_bytes, names};
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::platform::files::{make_folder, remove_file, remove_leftovers, write_file};
use crate::platform::lock::Lock;
use crate::platform::{budget, open};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// The lock, if this process trains in the folder.
    lock: Option<Arc<Lock>>,
}

impl RunFolder {
    /// Creates the folder of a new run and locks it. The folder holds a run from the time its settings are written.
    /// Files of a failed start, which has a lock but no settings, are removed.
    ///
    /// # Errors
    /// Fails if the folder already holds a run, if it has a file with the name of a run's file but no lock, or if it
    /// cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        make_folder(path)?;
        let folder = Self { path: path.to_path_buf(), lock: None };
        if !folder.has(LOCK) {
            folder.check_holds_no_run()?;
            if let Some(name) = names().into_iter().find(|name| folder.has(name)) {
                return Err(Error::InTheWay { path: folder.file(name) });
            }
        }
        let folder = folder.locked()?;
        folder.check_holds_no_run()?;
        let other_files = names().into_iter().filter(|name| *name != LOCK);
        other_files.map(|name| folder.file(name)).try_for_each(|file| remove_file(&file))?;
        Ok(folder)
    }

    /// Returns whether a file exists in the folder.
    fn has(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    /// Fails if the folder holds a run.
    fn check_holds_no_run(&self) -> Result<()> {
        match [SETTINGS, BEST].into_iter().find(|name| self.has(name)) {
            Some(file) => Err(Error::HoldsRun { path: self.path.clone(), file }),
            None => Ok(()),
        }
    }

    /// Locks the folder for this process, and removes incomplete files of a killed process.
    ///
    /// # Errors
    /// Fails if another process trains in the folder; the message has its number.
    pub fn locked(self) -> Result<Self> {
        let in_use = |holder| Error::InUse { path: self.path.clone(), holder };
        let lock = Arc::new(Lock::take(&self.file(LOCK), in_use)?);
        let removed = remove_leftovers(&self.path, &names());
        removed.map_err(|error| Error::caused(&self.path, "cannot be written", error))?;
        Ok(Self { lock: Some(lock), ..self })
    }

    /// Checks that this process still holds the lock, if it had locked the folder.
    ///
    /// # Errors
    /// Fails if the lock file was removed or replaced.
    pub fn check_lock(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.check())
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_settings(&self, settings: &impl Settings) -> Result<()> {
        let text = toml::to_string(settings)
            .map_err(|error| Error::caused(self.file(SETTINGS), "cannot be written", error))?;
        self.write(SETTINGS, text.as_bytes())
    }

    /// Opens the folder of a run, and reads its settings.
    ///
    /// # Errors
    /// Fails if there is no run, or if its settings cannot be read or are out of range.
    pub fn open<S: Settings>(path: &Path) -> Result<(Self, S)> {
        let folder = Self { path: path.to_path_buf(), lock: None };
        let Some(text) = folder.read(SETTINGS)? else {
            return Err(Error::file(path, format!("holds no run (it has no {SETTINGS})")));
        };
        let settings = folder.file(SETTINGS);
        if text.trim().is_empty() {
            return Err(Error::file(&settings, "is empty, but must hold all settings of a run; get the file again"));
        }
        let found = parse_settings::<S>(&settings, &text);
        if let (Err(_), Some(other)) = (&found, program(&text).filter(|&other| other != S::PROGRAM)) {
            return Err(Error::file(path, format!("is a run of {other}: use that program for it")));
        }
        let mut found = found?;
        if let Ok(table) = text.parse() {
            found.keep_old_ways(&table);
        }
        found.check().map_err(|error| Error::file(&settings, error))?;
        Ok((folder, found))
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the targets of links among the run's files; a copied or downloaded run may have some.
    pub fn links(&self) -> Vec<PathBuf> {
        names().into_iter().filter_map(|name| std::fs::read_link(self.file(name)).ok()).collect()
    }

    /// Reads the records in a file with one record per line, such as `metrics.jsonl`; none if the file does not exist.
    ///
    /// # Errors
    /// Fails if the file cannot be read. A line that is no record, such as one truncated by a crash, is left out.
    pub fn records<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        let text = self.read(name)?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Reads one of the run's files as text; `None` if it does not exist.
    fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.file(name);
        match open::text(&path, max_bytes(name)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            found => found.map(Some).map_err(|error| Error::file(&path, error)),
        }
    }

    /// Replaces a file of records atomically, with one record per line.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_records<T: Serialize>(&self, name: &str, records: &[T]) -> Result<()> {
        let mut text = String::new();
        for record in records {
            let line = serde_json::to_string(record)
                .map_err(|error| Error::caused(self.file(name), "cannot be written", error))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.write(name, text.as_bytes())
    }

    /// Replaces one of the run's files atomically.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_file(&self.file(name), bytes)
    }
}

/// Reads settings from a TOML file. Missing settings have their defaults, unknown ones are errors.
///
/// # Errors
/// Fails if the file cannot be read, is too long, or is not TOML with these settings.
pub fn read_settings<S: Settings>(path: &Path) -> Result<S> {
    let text = open::text_or_stream(path, budget::SETTINGS).map_err(|error| Error::file(path, error))?;
    parse_settings(path, &text)
}

/// Parses settings; the error names the line.
fn parse_settings<S: Settings>(path: &Path, text: &str) -> Result<S> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
        let line = 1 + before.matches('\n').count();
        Error::file(path, format!("line {line}: {}", error.message()))
    })
}

/// Returns the program that settings belong to, by a setting that only this program has.
fn program(text: &str) -> Option<&'static str> {
    let table: toml::Table = text.parse().ok()?;
    let owners = [("corpus", "gengs-topics"), ("dataset", "gengs-vae")];
    owners.into_iter().find(|(name, _)| table.contains_key(*name)).map(|(_, program)| program)
}
