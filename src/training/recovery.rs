//! Which checkpoint a run goes on from.
//!
//! Of `last` and `best` the one that has come farther: that is `last`, unless the run ended between the two when both
//! were to be written. Where one cannot be read the other serves, with a warning: nothing is lost but the time since.

use super::checkpoint::Checkpoint;
use super::run_files::{BEST, LAST};
use super::run_folder::RunFolder;
use crate::error::{Error, Result};

/// A checkpoint, and whether the best epoch's has to be found anew.
pub(super) struct Recovered {
    pub checkpoint: Checkpoint,
    pub best_lost: bool,
    pub warnings: Vec<String>,
}

pub(super) fn newest(folder: &RunFolder) -> Result<Recovered> {
    let [last, best] = [LAST, BEST].map(|name| {
        let path = folder.file(name);
        let missing = !path.exists();
        (Checkpoint::read(&path), missing)
    });
    let came = |checkpoint: &Checkpoint| (checkpoint.progress().epochs, checkpoint.progress().steps);
    match (last, best) {
        ((Ok(last), _), (Ok(best), _)) => {
            if let Some(difference) = best.difference(&last) {
                let path = folder.file(BEST);
                let warning = format!(
                    "{}: belongs to another model than last.safetensors: {difference}; the run goes on from \
                     last.safetensors, and the best epoch from here on takes its place",
                    path.display()
                );
                return Ok(Recovered { checkpoint: last, best_lost: true, warnings: vec![warning] });
            }
            let checkpoint = if came(&best) > came(&last) { best } else { last };
            Ok(Recovered { checkpoint, best_lost: false, warnings: Vec::new() })
        }
        ((Ok(last), _), (Err(error), missing)) => {
            // Before the first epoch's end there is none.
            let best_lost = last.progress().best.is_some() || !missing;
            let warning = format!(
                "{}; the run goes on from last.safetensors, and the best epoch from here on takes its place",
                error.whole()
            );
            let warnings = if best_lost { vec![warning] } else { Vec::new() };
            Ok(Recovered { checkpoint: last, best_lost, warnings })
        }
        ((Err(error), _), (Ok(best), _)) => {
            let warning =
                format!("{}; the run goes on from best.safetensors, the end of epoch {}", error.whole(), came(&best).0);
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
