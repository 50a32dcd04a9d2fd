//! One process at a time writes a folder: a run, or a store of documents.
//!
//! The kernel's lock on a file of the folder ends with the process that holds it, however it ends: there are no stale
//! ones. The file holds the process's number, for whoever is refused. Readers need no lock, since files are replaced
//! whole.
//!
//! The file is a regular one with one name. A folder may come from somebody else, and a link in it to a file of the
//! reader's must not be emptied; and where the file is removed while a process writes, another one locks a new file,
//! which the first must notice before it saves again.

use super::files::{operation, regular};
use crate::error::{Error, Result};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most bytes of the file that are read.
pub(crate) const LONGEST: u64 = 20;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Locks the file of this path. `in_use` is the error where another process has, which is named to it.
    ///
    /// # Errors
    /// When another process has it, and when what is called the lock is none.
    pub fn take(path: &Path, in_use: impl FnOnce(String) -> Error) -> Result<Self> {
        let path = path.to_path_buf();
        let failed = |error: std::io::Error| Error::caused(&path, "cannot be written", error);
        let file = operation().and_then(|()| open(&path)).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || found.nlink() != 1 {
            let problem = format!("cannot be a lock: it has {} names, and must have one", found.nlink());
            return Err(Error::file(&path, format!("{problem}; remove it and run the command again")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(LONGEST).read_to_string(&mut holder);
                let holder =
                    holder.trim().parse::<u32>().map_or("another process".into(), |id| format!("process {id}"));
                return Err(in_use(holder));
            }
            // Some network file systems have no locks; a folder there is as safe as it would be without this file.
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

    /// Fails where the file at the lock's place is not the one that is locked: it was removed or replaced, and another
    /// process may write in the folder.
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
