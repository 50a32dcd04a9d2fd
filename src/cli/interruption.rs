//! Signals: the first one asks a run to finish its step and save, the second one ends the program.

use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that came first; 0 is none.
static RAISED: AtomicI32 = AtomicI32::new(0);

/// Whether the program was asked to stop, by Ctrl-C, `kill`, or a terminal that was closed.
#[derive(Debug, Clone, Copy)]
pub struct Interruption(());

impl Interruption {
    /// Whether it was.
    pub fn came(&self) -> bool {
        RAISED.load(Ordering::SeqCst) != 0
    }

    /// What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for `kill`, 129 for a closed terminal.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(128u8.saturating_add(RAISED.load(Ordering::SeqCst) as u8))
    }
}

extern "C" fn raise(signal: libc::c_int) {
    if RAISED.swap(signal, Ordering::SeqCst) != 0 {
        // SAFETY: _exit may be called in a signal handler, and ends the process.
        unsafe { libc::_exit(128 + signal) }
    }
}

/// Listens from now on.
pub fn interrupted() -> Interruption {
    let listen = |signal| {
        // SAFETY: the handler uses an atomic number and _exit, both of which are allowed in one; it lives as long as the program.
        unsafe { libc::signal(signal, raise as *const () as libc::sighandler_t) }
    };
    listen(libc::SIGINT);
    listen(libc::SIGTERM);
    #[cfg(unix)]
    if listen(libc::SIGHUP) == libc::SIG_IGN {
        // Started by nohup, to outlive its terminal.
        // SAFETY: as above; to ignore a signal needs no handler.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    }
    Interruption(())
}

/// A file that reaches the size limit of the process is an error of the write, not the end of the program.
pub(super) fn report_full_files() {
    #[cfg(unix)]
    // SAFETY: to ignore a signal needs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
