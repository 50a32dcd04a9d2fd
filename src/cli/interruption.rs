//! Signals: the first one asks a run to finish its step and save, the second one ends the program.

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether the program was asked to stop, by Ctrl-C, `kill`, or a terminal that was closed.
#[derive(Debug, Clone)]
pub struct Interruption {
    /// The signal that came last; 0 is none.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Whether it was.
    pub fn came(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for `kill`, 129 for a closed
    /// terminal.
    pub fn exit_code(&self) -> ExitCode {
        let signal = u8::try_from(self.signal.load(Ordering::SeqCst)).unwrap_or(0);
        ExitCode::from(128u8.saturating_add(signal))
    }
}

/// Listens from now on.
///
/// # Errors
/// When the system refuses.
pub fn interrupted() -> std::io::Result<Interruption> {
    let (asked, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // Started by nohup, a program outlives its terminal.
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    for number in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
        // In this order, so that the first signal only asks.
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))?;
        flag::register(number, Arc::clone(&asked))?;
        flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or(0))?;
    }
    Ok(Interruption { signal })
}

/// Whether a signal was ignored when the program began, as far as the system says.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// A file that reaches the size limit of the process is an error of the write, not the end of the program.
pub(super) fn report_full_files() {
    // Where the system refuses, the program ends there, as others do.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
