//! One process at a time trains in a run folder.
//!
//! The kernel's lock on a file of the folder ends with the process that holds it, however it ends: there are no stale ones. The file holds the process's number, for whoever
//! is refused. Readers of the run need no lock, since its files are replaced whole.

use crate::error::{Error, Result};
use crate::platform::files::operation;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

/// The file.
const NAME: &str = "lock";

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Fails when another process trains in the folder.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let failed = |error: std::io::Error| Error::file(&path, format!("cannot be written ({error})"));
        let mut file = operation()
            .and_then(|()| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                let holder =
                    holder.trim().parse::<u32>().map_or("another process".into(), |id| format!("process {id}"));
                return Err(Error::file(
                    folder,
                    format!("{holder} trains in it; wait until it ends, or stop it, or name another folder with --out"),
                ));
            }
            // Some network file systems have no locks; a run there is as safe as it would be without this file.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        operation()
            .and_then(|()| {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())
            })
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}
