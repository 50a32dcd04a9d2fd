//! Chooses the checkpoint from which a run resumes.
//!
//! Of `last` and `best`, it is the one that has made more steps: `last`, unless the run ended after `best` was written
//! and before `last` was. If one of them cannot be read, the other is used, with a warning: only the training since
//! then is lost.

use super::checkpoint::Checkpoint;
use super::run_files::{BEST, LAST};
use super::run_folder::RunFolder;
use crate::error::{Error, Result};

/// The checkpoint to resume from.
pub(super) struct Recovered {
    pub checkpoint: Checkpoint,
    /// Whether `best` is lost or belongs to another model, so that later epochs determine the best one.
    pub best_lost: bool,
    pub warnings: Vec<String>,
}

/// Reads the checkpoint that has made the most steps. Fails if neither can be read.
pub(super) fn newest(folder: &RunFolder) -> Result<Recovered> {
    let [last, best] = [LAST, BEST].map(|name| {
        let path = folder.file(name);
        let missing = !path.exists();
        (Checkpoint::read(&path), missing)
    });
    let steps_made = |checkpoint: &Checkpoint| (checkpoint.progress().epochs, checkpoint.progress().steps);
    match (last, best) {
        ((Ok(last), _), (Ok(best), _)) => {
            if let Some(difference) = best.difference(&last) {
                let path = folder.file(BEST);
                let warning = format!(
                    "{}: belongs to another model than last.safetensors: {difference}; the run continues from \
                     last.safetensors and writes best.safetensors anew from its next best epoch",
                    path.display()
                );
                return Ok(Recovered { checkpoint: last, best_lost: true, warnings: vec![warning] });
            }
            let checkpoint = if steps_made(&best) > steps_made(&last) { best } else { last };
            Ok(Recovered { checkpoint, best_lost: false, warnings: Vec::new() })
        }
        ((Ok(last), _), (Err(error), missing)) => {
            // A run has no best checkpoint before the end of its first epoch.
            let best_lost = last.progress().best.is_some() || !missing;
            let warning = format!(
                "{}; the run continues from last.safetensors and writes best.safetensors anew from its next best epoch",
                error.whole()
            );
            let warnings = if best_lost { vec![warning] } else { Vec::new() };
            Ok(Recovered { checkpoint: last, best_lost, warnings })
        }
        ((Err(error), _), (Ok(best), _)) => {
            let epoch = steps_made(&best).0;
            let warning =
                format!("{}; the run continues from best.safetensors, the end of epoch {epoch}", error.whole());
            Ok(Recovered { checkpoint: best, best_lost: false, warnings: vec![warning] })
        }
        ((Err(last), _), (Err(_), true)) => Err(Error::NoCheckpoint {
            problem: format!("{}, and there is no best.safetensors to fall back on", last.whole()),
        }),
        ((Err(last), _), (Err(best), false)) => Err(Error::NoCheckpoint {
            problem: format!("neither checkpoint can be read: {}; {}", last.whole(), best.whole()),
        }),
    }
}
