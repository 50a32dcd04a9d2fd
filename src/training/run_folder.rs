//! The folder of a run: `config.toml`, `metrics.jsonl`, `gradients.jsonl`, `last.safetensors`, `best.safetensors`, pictures.

use super::checkpoint::replace;
use super::config::TrainConfig;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A line of `metrics.jsonl`: one epoch. Nats an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean relaxed negative ELBO over the epoch's training batches.
    pub train_neg_elbo_relaxed: f64,
    /// Mean KL over the same.
    pub train_kl: f64,
    /// Negative ELBO of hard samples on the validation images.
    pub validation_neg_elbo: f64,
    /// Its KL.
    pub validation_kl: f64,
    /// Temperature at the epoch's last step.
    pub temperature: f64,
    /// Seconds of training since the run began.
    pub seconds: f64,
}

/// The file of [`EpochRecord`]s.
pub const METRICS: &str = "metrics.jsonl";

/// The file of [`GradientRecord`](super::GradientRecord)s.
pub const GRADIENTS: &str = "gradients.jsonl";

/// The folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run and writes its settings.
    ///
    /// # Errors
    /// When there is a run in it already, or it cannot be written.
    pub fn create(path: &Path, config: &TrainConfig) -> Result<Self> {
        let folder = Self { path: path.to_path_buf() };
        if folder.file("config.toml").exists() {
            return Err(Error::file(
                path,
                "already holds a run; continue it with --resume, or name another folder with --out",
            ));
        }
        std::fs::create_dir_all(path).map_err(|error| Error::file(path, format!("cannot be made ({error})")))?;
        let text = toml::to_string(config).map_err(|error| Error::file(folder.file("config.toml"), error))?;
        folder.write("config.toml", text.as_bytes())?;
        folder.write_records::<EpochRecord>(METRICS, &[])?;
        Ok(folder)
    }

    /// Opens the folder of a run, and reads its settings.
    ///
    /// # Errors
    /// When there is none, or its settings cannot be read.
    pub fn open(path: &Path) -> Result<(Self, TrainConfig)> {
        let folder = Self { path: path.to_path_buf() };
        let settings = folder.file("config.toml");
        if !settings.is_file() {
            return Err(Error::file(path, "holds no run (it has no config.toml)"));
        }
        let config = TrainConfig::read(&settings)?;
        Ok((folder, config))
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
