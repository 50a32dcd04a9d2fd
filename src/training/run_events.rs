//! Writes the TensorBoard events of a run: metrics of steps, records of epochs, and the items that the task logs.
//!
//! Steps are counted from the run's first step. A run that resumes from a checkpoint hides the events after that
//! checkpoint.

use super::run_folder::RunFolder;
use super::train_task::LogItem;
use crate::error::Result;
use crate::formats::tensorboard::EventWriter;
use std::time::{SystemTime, UNIX_EPOCH};

/// The events of one process; no file is written before it trains.
#[derive(Debug, Default)]
pub(super) struct RunEvents {
    writer: Option<EventWriter>,
}

impl RunEvents {
    /// Opens the event file of a run with `done` steps.
    pub fn open(&mut self, folder: &RunFolder, done: usize) -> Result<()> {
        if self.writer.is_none() {
            self.writer = Some(EventWriter::append(folder.path(), done as i64 + 1)?);
        }
        Ok(())
    }

    /// Writes named numbers after `done` steps, without those that are not finite.
    pub fn scalars(&mut self, done: usize, named: impl IntoIterator<Item = (String, f64)>) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let now = now();
        named
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .try_for_each(|(name, value)| writer.scalar(&name, done as i64, now, value))
    }

    /// Writes an epoch: the numbers of its record, a line of JSON, and the items that the task logs.
    pub fn epoch(&mut self, done: usize, record: &str, log_items: &[(String, LogItem)]) -> Result<()> {
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record).unwrap_or_default();
        let numbers = fields
            .iter()
            .filter(|(name, _)| *name != "epoch")
            .filter_map(|(name, value)| value.as_f64().map(|value| (format!("epoch/{name}"), value)));
        self.scalars(done, numbers)?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let (now, done) = (now(), done as i64);
        for (name, item) in log_items {
            match item {
                LogItem::Scalar(value) if !value.is_finite() => {}
                LogItem::Scalar(value) => writer.scalar(name, done, now, *value)?,
                LogItem::Histogram(values) => writer.histogram(name, done, now, values)?,
                LogItem::Picture(png) => writer.image(name, done, now, png)?,
            }
        }
        writer.flush()
    }

    /// Writes the events to disk. A checkpoint is written only afterwards, so that no event before it is lost.
    pub fn sync(&mut self) -> Result<()> {
        self.writer.as_mut().map_or(Ok(()), EventWriter::sync)
    }
}

/// Returns the time in seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
