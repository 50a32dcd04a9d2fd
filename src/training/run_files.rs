//! The files of a run folder: what a run writes, and what is read of one that somebody hands over.

use crate::error::{Error, Result};
use crate::platform::budget;
use crate::platform::lock::LONGEST;
use std::path::Path;

/// A file of a run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFile {
    /// What it is called.
    pub name: &'static str,
    /// The most bytes of it that are read; none where nothing reads it.
    pub longest: u64,
}

/// The settings; what makes a folder that of a run.
pub(super) const SETTINGS: &str = "config.toml";

/// The file of a run's epochs, a [`Record`](super::Record) a line.
pub const METRICS: &str = "metrics.jsonl";

/// The file of what was found about gradients, a [`GradientRecord`](super::GradientRecord) a line.
pub const GRADIENTS: &str = "gradients.jsonl";

/// Where the run is.
pub(super) const LAST: &str = "last.safetensors";

/// The best epoch.
pub(super) const BEST: &str = "best.safetensors";

/// What the run knows of its data.
pub(super) const DATA: &str = "data.safetensors";

/// What a topic run shows of its two checkpoints.
const TOPICS: [&str; 2] = ["topics-best.safetensors", "topics-last.safetensors"];

/// Locked by the process that trains.
pub(super) const LOCK: &str = "lock";

/// A topic run's words, one a line.
pub(super) const VOCABULARY: &str = "vocabulary.txt";

/// What a topic run read of its corpus.
pub(super) const READING: &str = "reading.json";

/// Pictures at the end of a run.
pub(super) const PICTURES: [&str; 2] = ["samples.png", "reconstructions.png"];

/// How the names of events for TensorBoard begin.
const EVENTS: &str = "events.out.tfevents.";

/// All files of a run, but for events, each of which has a name of its own and is read by TensorBoard alone.
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

/// The most bytes that are read of a file of a run; of another name, which a task of a user's own may have, as of
/// records.
pub(super) fn longest(name: &str) -> u64 {
    RUN_FILES.iter().find(|file| file.name == name).map_or(budget::RECORDS, |file| file.longest)
}

/// The names of all of them.
pub(super) fn names() -> [&'static str; RUN_FILES.len()] {
    RUN_FILES.map(|file| file.name)
}

/// Fails where a path, which a command is to write, is a file of a run: of the command's own or of another one.
///
/// # Errors
/// With the path, and what to do.
pub fn must_not_be_of_a_run(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Some file systems take letters of either case for the same.
    let is_of_run = RUN_FILES.iter().any(|file| name.eq_ignore_ascii_case(file.name)) || name.starts_with(EVENTS);
    if is_of_run && path.with_file_name(SETTINGS).symlink_metadata().is_ok() {
        return Err(Error::file(path, "is a file of a run, which only training writes: name another file"));
    }
    Ok(())
}
