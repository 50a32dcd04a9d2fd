//! The folder of a run: `config.toml`, `metrics.jsonl`, `gradients.jsonl`, `last.safetensors`, `best.safetensors`, events, pictures.

use super::lock::Lock;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::platform::files::{operation, replace};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a run's epochs, a [`Record`](super::Record) a line.
pub const METRICS: &str = "metrics.jsonl";

/// The settings; what makes a folder that of a run.
const SETTINGS: &str = "config.toml";

/// The folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Held by whoever trains in it.
    _lock: Option<Arc<Lock>>,
}

impl RunFolder {
    /// Makes the folder of a new run, for this process alone. It holds a run from the moment on that its settings are written.
    ///
    /// # Errors
    /// When there is a run in it already, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let made = operation().and_then(|()| std::fs::create_dir_all(path));
        made.map_err(|error| Error::file(path, format!("cannot be made ({error})")))?;
        let folder = Self { path: path.to_path_buf(), _lock: None }.locked()?;
        for name in [SETTINGS, "best.safetensors"] {
            if folder.file(name).exists() {
                return Err(Error::file(
                    path,
                    format!(
                        "already holds a run ({name}); continue it with --resume, or name another folder with --out"
                    ),
                ));
            }
        }
        Ok(folder)
    }

    /// The same, for this process alone.
    ///
    /// # Errors
    /// When another process trains in it; the message has its number.
    pub fn locked(self) -> Result<Self> {
        let lock = Arc::new(Lock::take(&self.path)?);
        Ok(Self { _lock: Some(lock), ..self })
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_settings(&self, settings: &impl Settings) -> Result<()> {
        let text = toml::to_string(settings).map_err(|error| Error::file(self.file(SETTINGS), error))?;
        self.write(SETTINGS, text.as_bytes())
    }

    /// Opens the folder of a run, and reads its settings.
    ///
    /// # Errors
    /// When there is none, or its settings cannot be read.
    pub fn open<S: Settings>(path: &Path) -> Result<(Self, S)> {
        let folder = Self { path: path.to_path_buf(), _lock: None };
        let settings = folder.file(SETTINGS);
        if !settings.is_file() {
            return Err(Error::file(path, format!("holds no run (it has no {SETTINGS})")));
        }
        let mut found = read_settings::<S>(&settings);
        if let (Err(_), Some(other)) = (&found, program(&settings).filter(|&other| other != S::PROGRAM)) {
            return Err(Error::file(path, format!("is a run of {other}: use that program for it")));
        }
        if let (Ok(found), Some(table)) = (&mut found, table(&settings)) {
            found.keep_old_ways(&table);
        }
        Ok((folder, found?))
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The records in a file of lines, as `metrics.jsonl`; none where there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read. A last line cut off by a crash is left out.
    pub fn records<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        let path = self.file(name);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| Error::file(&path, error))?,
        };
        Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Replaces a file of lines, atomically: one record a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_records<T: Serialize>(&self, name: &str, records: &[T]) -> Result<()> {
        let mut text = String::new();
        for record in records {
            let line = serde_json::to_string(record).map_err(|error| Error::file(self.file(name), error))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.write(name, text.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.file(name);
        replace(&path, bytes).map_err(|error| Error::file(&path, format!("cannot be written ({error})")))
    }
}

/// Settings from a TOML file; those that it leaves out have their defaults, unknown ones are errors.
///
/// # Errors
/// When the file cannot be read, or is not TOML with these settings.
pub fn read_settings<S: Settings>(path: &Path) -> Result<S> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    toml::from_str(&text).map_err(|error| Error::file(path, error.to_string().trim_end()))
}

/// What stands in a file of settings.
fn table(path: &Path) -> Option<toml::Table> {
    std::fs::read_to_string(path).ok()?.parse().ok()
}

/// The program that a file of settings belongs to, by what only its settings have.
fn program(path: &Path) -> Option<&'static str> {
    let table = table(path)?;
    let owners = [("corpus", "gengs-topics"), ("dataset", "gengs-vae")];
    owners.into_iter().find(|(name, _)| table.contains_key(*name)).map(|(_, program)| program)
}
