//! The files of a run folder, and the most bytes of each that are read.

use crate::error::{Error, Result};
use crate::platform::budget;
use crate::platform::lock::LONGEST;
use std::path::Path;

/// A file of a run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFile {
    /// The file's name.
    pub name: &'static str,
    /// The most bytes of the file that are read; 0 if the library does not read it.
    pub longest: u64,
}

/// The settings. A folder with this file is a run.
pub(super) const SETTINGS: &str = "config.toml";

/// The file of a run's epochs, with one [`Record`](super::Record) per line.
pub const METRICS: &str = "metrics.jsonl";

/// The file of gradient measurements, with one [`GradientRecord`](super::GradientRecord) per line.
pub const GRADIENTS: &str = "gradients.jsonl";

/// The latest checkpoint.
pub(super) const LAST: &str = "last.safetensors";

/// The checkpoint of the best epoch.
pub(super) const BEST: &str = "best.safetensors";

/// The identity of the run's data.
pub(super) const DATA: &str = "data.safetensors";

/// The topics at each of the two checkpoints, in a topic run.
const TOPICS: [&str; 2] = ["topics-best.safetensors", "topics-last.safetensors"];

/// The lock of the process that trains.
pub(super) const LOCK: &str = "lock";

/// The words of a topic run, one per line.
pub(super) const VOCABULARY: &str = "vocabulary.txt";

/// The reading report of a topic run's corpus.
pub(super) const READING: &str = "reading.json";

/// The pictures at the end of a VAE run.
pub(super) const PICTURES: [&str; 2] = ["samples.png", "reconstructions.png"];

/// The start of the file names of TensorBoard events.
const EVENTS: &str = "events.out.tfevents.";

/// All files of a run except events, which have varying names and are read only by TensorBoard.
pub const RUN_FILES: [RunFile; 13] = {
    const fn file(name: &'static str, longest: u64) -> RunFile {
        RunFile { name, longest }
    }
    [
        file(SETTINGS, budget::SETTINGS),
        file(METRICS, budget::RECORDS),
        file(GRADIENTS, budget::RECORDS),
        file(LAST, budget::WEIGHTS),
        file(BEST, budget::WEIGHTS),
        file(DATA, budget::WEIGHTS),
        file(TOPICS[0], budget::WEIGHTS),
        file(TOPICS[1], budget::WEIGHTS),
        file(LOCK, LONGEST),
        file(VOCABULARY, budget::LINE),
        file(READING, budget::SETTINGS),
        file(PICTURES[0], 0),
        file(PICTURES[1], 0),
    ]
};

/// Returns the most bytes of a file that are read. Files of a custom task may have other names; they are limited as
/// records are.
pub(super) fn max_bytes(name: &str) -> u64 {
    RUN_FILES.iter().find(|file| file.name == name).map_or(budget::RECORDS, |file| file.longest)
}

/// Returns the names of all files.
pub(super) fn names() -> [&'static str; RUN_FILES.len()] {
    RUN_FILES.map(|file| file.name)
}

/// Checks that a path to be written is not a file of a run.
///
/// # Errors
/// Fails if the path is a file of a run; the message says what to do.
pub fn must_not_be_of_a_run(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Some file systems ignore case.
    let is_of_run = RUN_FILES.iter().any(|file| name.eq_ignore_ascii_case(file.name)) || name.starts_with(EVENTS);
    if is_of_run && path.with_file_name(SETTINGS).symlink_metadata().is_ok() {
        return Err(Error::file(path, "is a file of a run, which only training writes: name another file"));
    }
    Ok(())
}
