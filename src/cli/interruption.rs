//! Signals: the first one asks a run to finish its step and save; the second one ends the program.

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a signal asked the program to stop: Ctrl-C, `kill`, or a closed terminal.
#[derive(Debug, Clone)]
pub struct Interruption {
    /// The number of the last signal; 0 if none was received.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Returns whether a signal was received.
    pub fn was_received(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// Returns the exit code that shells expect after a signal: 130 for Ctrl-C, 143 for `kill`, 129 for a closed
    /// terminal.
    pub fn exit_code(&self) -> ExitCode {
        let signal = u8::try_from(self.signal.load(Ordering::SeqCst)).unwrap_or(0);
        ExitCode::from(128u8.saturating_add(signal))
    }
}

/// Catches the signals from now on.
///
/// # Errors
/// Fails if the system refuses to install a signal handler.
pub fn catch_signals() -> std::io::Result<Interruption> {
    let (asked, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // A program started by nohup outlives its terminal.
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    for number in [SIGINT, SIGTERM].into_iter().chain(hang_up) {
        // In this order, the first signal sets the flag, and only a later one ends the program.
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))?;
        flag::register(number, Arc::clone(&asked))?;
        flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or(0))?;
    }
    Ok(Interruption { signal })
}

/// Returns whether a signal was ignored when the program started, according to `/proc`; `false` if that is unknown.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Ignores the signal of the file-size limit, so that a write beyond the limit returns an error and the program goes
/// on.
pub(super) fn ignore_file_size_signal() {
    // If the system refuses, the signal ends the program, as it does by default.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
