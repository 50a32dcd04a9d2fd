//! What a run shows in TensorBoard: numbers of steps, the records of epochs, and what the task log_items.
//!
//! Steps are counted from the run's first, as updates are. A run that goes on hides what an earlier process wrote
//! beyond the checkpoint.

use super::run_folder::RunFolder;
use super::train_task::LogItem;
use crate::error::Result;
use crate::formats::tensorboard::EventWriter;
use std::time::{SystemTime, UNIX_EPOCH};

/// The events of one process; none until it trains.
#[derive(Debug, Default)]
pub(super) struct RunEvents {
    writer: Option<EventWriter>,
}

impl RunEvents {
    /// Starts where so many steps are done.
    pub fn open(&mut self, folder: &RunFolder, done: usize) -> Result<()> {
        if self.writer.is_none() {
            self.writer = Some(EventWriter::append(folder.path(), done as i64 + 1)?);
        }
        Ok(())
    }

    /// Numbers by name, after so many steps; those that are not finite are left out.
    pub fn scalars(&mut self, done: usize, named: impl IntoIterator<Item = (String, f64)>) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let now = now();
        named
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .try_for_each(|(name, value)| writer.scalar(&name, done as i64, now, value))
    }

    /// An epoch: the numbers of its record, a line of JSON, and what the task log_items.
    pub fn epoch(&mut self, done: usize, record: &str, log_items: &[(String, LogItem)]) -> Result<()> {
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record).unwrap_or_default();
        let numbers = fields
            .iter()
            .filter(|(name, _)| *name != "epoch")
            .filter_map(|(name, value)| value.as_f64().map(|value| (format!("epoch/{name}"), value)));
        self.scalars(done, numbers)?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let (now, done) = (now(), done as i64);
        for (name, exhibit) in log_items {
            match exhibit {
                LogItem::Scalar(value) if !value.is_finite() => {}
                LogItem::Scalar(value) => writer.scalar(name, done, now, *value)?,
                LogItem::Histogram(values) => writer.histogram(name, done, now, values)?,
                LogItem::Picture(png) => writer.image(name, done, now, png)?,
            }
        }
        writer.flush()
    }

    /// To the disk: before a checkpoint that promises them.
    pub fn sync(&mut self) -> Result<()> {
        self.writer.as_mut().map_or(Ok(()), EventWriter::sync)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
