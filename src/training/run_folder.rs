//! The folder of a run: `config.toml`, `metrics.jsonl`, `gradients.jsonl`, `last.safetensors`, `best.safetensors`,
//! events, pictures.

use super::run_files::{BEST, LOCK, SETTINGS, longest, names};
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

/// The folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Held by whoever trains in it.
    lock: Option<Arc<Lock>>,
}

impl RunFolder {
    /// Makes the folder of a new run, for this process alone. It holds a run from the moment on that its settings are
    /// written; what a start left that failed before, and thus has a lock and no settings, is removed.
    ///
    /// # Errors
    /// When there is a run in it already, or a file of a name that a run's files have, which nobody knows to be of a
    /// run; or it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        make_folder(path)?;
        let folder = Self { path: path.to_path_buf(), lock: None };
        if !folder.has(LOCK) {
            folder.must_hold_no_run()?;
            if let Some(name) = names().into_iter().find(|name| folder.has(name)) {
                return Err(Error::InTheWay { path: folder.file(name) });
            }
        }
        let folder = folder.locked()?;
        folder.must_hold_no_run()?;
        let left = names().into_iter().filter(|name| *name != LOCK);
        left.map(|name| folder.file(name)).try_for_each(|file| remove_file(&file))?;
        Ok(folder)
    }

    fn has(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    fn must_hold_no_run(&self) -> Result<()> {
        match [SETTINGS, BEST].into_iter().find(|name| self.has(name)) {
            Some(file) => Err(Error::HoldsRun { path: self.path.clone(), file }),
            None => Ok(()),
        }
    }

    /// The same, for this process alone. What a killed process left half written is removed.
    ///
    /// # Errors
    /// When another process trains in it; the message has its number.
    pub fn locked(self) -> Result<Self> {
        let in_use = |holder| Error::InUse { path: self.path.clone(), holder };
        let lock = Arc::new(Lock::take(&self.file(LOCK), in_use)?);
        let removed = remove_leftovers(&self.path, &names());
        removed.map_err(|error| Error::caused(&self.path, "cannot be written", error))?;
        Ok(Self { lock: Some(lock), ..self })
    }

    /// Whether this process still has the folder for itself, where it had.
    ///
    /// # Errors
    /// When the file that it locked is there no more.
    pub fn check_lock(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.check())
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_settings(&self, settings: &impl Settings) -> Result<()> {
        let text = toml::to_string(settings)
            .map_err(|error| Error::caused(self.file(SETTINGS), "cannot be written", error))?;
        self.write(SETTINGS, text.as_bytes())
    }

    /// Opens the folder of a run, and reads its settings.
    ///
    /// # Errors
    /// When there is none, or its settings cannot be read or are out of their ranges.
    pub fn open<S: Settings>(path: &Path) -> Result<(Self, S)> {
        let folder = Self { path: path.to_path_buf(), lock: None };
        let Some(text) = folder.read(SETTINGS)? else {
            return Err(Error::file(path, format!("holds no run (it has no {SETTINGS})")));
        };
        let settings = folder.file(SETTINGS);
        if text.trim().is_empty() {
            return Err(Error::file(&settings, "is empty, but a run's settings are all in it; get the file again"));
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

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where those of the run's files lead that are links; a run that was copied or downloaded may have some.
    pub fn links(&self) -> Vec<PathBuf> {
        names().into_iter().filter_map(|name| std::fs::read_link(self.file(name)).ok()).collect()
    }

    /// The records in a file of lines, as `metrics.jsonl`; none where there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read. A line that is no record, as one that a crash cut off, is left out.
    pub fn records<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        let text = self.read(name)?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The text of one of the run's files; `None` where there is none.
    fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.file(name);
        match open::text(&path, longest(name)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            found => found.map(Some).map_err(|error| Error::file(&path, error)),
        }
    }

    /// Replaces a file of lines, atomically: one record a line.
    ///
    /// # Errors
    /// When the file cannot be written.
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

    /// Replaces one of the run's files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_file(&self.file(name), bytes)
    }
}

/// Settings from a TOML file; those that it leaves out have their defaults, unknown ones are errors.
///
/// # Errors
/// When the file cannot be read, is too long, or is not TOML with these settings.
pub fn read_settings<S: Settings>(path: &Path) -> Result<S> {
    let text = open::text_or_stream(path, budget::SETTINGS).map_err(|error| Error::file(path, error))?;
    parse_settings(path, &text)
}

fn parse_settings<S: Settings>(path: &Path, text: &str) -> Result<S> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
        let line = 1 + before.matches('\n').count();
        Error::file(path, format!("line {line}: {}", error.message()))
    })
}

/// The program that settings belong to, by what only its settings have.
fn program(text: &str) -> Option<&'static str> {
    let table: toml::Table = text.parse().ok()?;
    let owners = [("corpus", "gengs-topics"), ("dataset", "gengs-vae")];
    owners.into_iter().find(|(name, _)| table.contains_key(*name)).map(|(_, program)| program)
}
