//! The lock of a run folder: one process at a time trains in it.
//!
//! The kernel's lock on a file of the folder ends with the process that holds it, so there are no stale locks. The file
//! holds the number of the process, for the error message of another one. Readers of the run need no lock, since its
//! files are replaced whole.
//!
//! The file must be a regular file with one name. A folder may come from someone else, and a link in it must not make
//! us empty another file. If the file is removed while a process trains, another process may lock a new file; the first
//! process checks for this before it saves.

use super::run_files::{LOCK, max_bytes};
use crate::error::{Error, Result};
use crate::platform::files::{operation, regular};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The lock of a run folder, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Locks a folder. Fails if another process trains in it, or if the lock is not a regular file with one name.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let failed = |error: std::io::Error| Error::caused(&path, "cannot be written", error);
        let file = operation().and_then(|()| open(&path)).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || found.nlink() != 1 {
            let problem = format!("cannot be the lock of a run: it has {} names, and must have one", found.nlink());
            return Err(Error::file(&path, format!("{problem}; remove it and run the command again")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(max_bytes(LOCK)).read_to_string(&mut holder);
                let holder =
                    holder.trim().parse::<u32>().map_or("another process".into(), |id| format!("process {id}"));
                return Err(Error::InUse { path: folder.into(), holder });
            }
            // Some network file systems have no locks; a run there is as safe as without this file.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let lock = Self { path: path.clone(), file };
        // Another process may have replaced the file between opening and locking.
        lock.check()?;
        operation()
            .and_then(|()| {
                let mut file = &lock.file;
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())
            })
            .map_err(failed)?;
        Ok(lock)
    }

    /// Fails if the path of the lock is not the locked file: the file was removed or replaced, and another process may
    /// train in the folder.
    pub fn check(&self) -> Result<()> {
        let identity = |found: &Metadata| (found.dev(), found.ino());
        let locked = self.file.metadata().ok();
        let there = self.path.symlink_metadata().ok();
        if locked.is_some() && locked.as_ref().map(identity) == there.as_ref().map(identity) {
            return Ok(());
        }
        Err(Error::LockLost { path: self.path.clone() })
    }
}

/// Opens or creates the lock file, without following a link and without waiting.
fn open(path: &Path) -> std::io::Result<File> {
    // This is checked before opening, too, since opening a device can have effects.
    regular(path)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)
}
