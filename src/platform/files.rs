//! The one writer of files: a reader sees the old or the new file, whatever happens in between, and nothing else is
//! ever written.
//!
//! A file is written under a random name, which is created exclusively and never through a link, synced, renamed into
//! its place, and its folder is synced. A file that it replaces hands on its mode; what is there and is no regular file
//! (a link, a device, a pipe, a folder) is not replaced.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bits of a mode that a file hands on: who may read, write and run it.
const PERMISSIONS: u32 = 0o777;

/// Replaces a file by these bytes, or makes it.
///
/// # Errors
/// When the file cannot be written, or what is there is no regular file; it is then as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.put_in_place()
}

/// As [`replace`], with an error that names the file.
///
/// # Errors
/// As [`replace`].
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> crate::error::Result<()> {
    replace(path, bytes).map_err(|error| crate::error::Error::caused(path, "cannot be written", error))
}

/// Whether a file can be written where it is to be: makes and removes another beside it.
///
/// # Errors
/// As [`write_file`].
#[cfg(feature = "cli")]
pub(crate) fn check_writable(path: &Path) -> crate::error::Result<()> {
    let made = NewFile::create(path).map(drop);
    made.map_err(|error| crate::error::Error::caused(path, "cannot be written", error))
}

/// As [`create_folder`], with an error that names the folder.
///
/// # Errors
/// As [`create_folder`].
pub(crate) fn make_folder(path: &Path) -> crate::error::Result<()> {
    create_folder(path).map_err(|error| crate::error::Error::caused(path, "cannot be made", error))
}

/// A file that is being written under another name; dropped before it was put in its place, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    is_in_place: bool,
}

impl NewFile {
    /// # Errors
    /// When the folder cannot be written, or what is at `path` is no regular file.
    pub fn create(path: &Path) -> Result<Self> {
        operation()?;
        let replaced = regular(path)?;
        // Not even for a moment may others read what replaces a file that they may not read.
        let mode = replaced.as_ref().map_or(0o666, |_| 0o600);
        let (temporary, file) = loop {
            let temporary = temporary_name(path);
            match exclusive(mode).open(&temporary) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                file => break (temporary, file?),
            }
        };
        let new = Self { path: path.into(), temporary, file, is_in_place: false };
        if let Some(replaced) = replaced {
            new.file.set_permissions(Permissions::from_mode(replaced.permissions().mode() & PERMISSIONS))?;
        }
        Ok(new)
    }

    /// Syncs the file, renames it into its place, and syncs the folder.
    ///
    /// # Errors
    /// When one of these fails; before the renaming, what was at the place is then still there.
    pub fn put_in_place(mut self) -> Result<()> {
        sync(&self.file)?;
        operation()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.is_in_place = true;
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => sync(&File::open(folder)?),
            _ => sync(&File::open(".")?),
        }
    }
}

/// A path made absolute, as text; `None` for standard input (`-`), which has none, where there is no current folder,
/// and where it is not UTF-8.
pub(crate) fn absolute_text(path: &Path) -> Option<String> {
    if path == Path::new("-") {
        return None;
    }
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if let Err(error) = operation() {
            // A write that fails may have come half way.
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

impl Seek for NewFile {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_in_place && operation().is_ok() {
            // Nobody will miss the half-written file, and a full disk needs its room.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Removes what writers of these files of a folder left behind when their process was killed.
///
/// # Errors
/// When the folder cannot be listed, or one of them cannot be removed.
pub(crate) fn remove_leftovers(folder: &Path, names: &[&str]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| names.iter().any(|of| is_temporary_of(name, of))) {
            operation()?;
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a regular file, where there is one.
///
/// # Errors
/// When it cannot be removed, or what is there is no regular file; the error names it.
pub(crate) fn remove_file(path: &Path) -> crate::error::Result<()> {
    let removed = regular(path).and_then(|found| match found {
        None => Ok(()),
        Some(_) => operation().and_then(|()| std::fs::remove_file(path)),
    });
    removed.map_err(|error| crate::error::Error::caused(path, "cannot be replaced", error))
}

/// Makes a file that is not there yet, and that grows while a program runs.
///
/// # Errors
/// When something of this name is there, be it a link that leads nowhere, or the folder cannot be written.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    operation()?;
    exclusive(0o666).open(path)
}

/// Makes a folder, and those that it lies in, where they are not there.
///
/// # Errors
/// When that is not allowed, or something else has one of their names.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    operation()?;
    std::fs::create_dir_all(path)
}

/// What is known of the regular file at a path; `None` where there is nothing.
///
/// # Errors
/// When something else is there: a link, wherever it leads, a folder, a device, a pipe.
pub(crate) fn regular(path: &Path) -> Result<Option<Metadata>> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if found.is_file() {
        return Ok(Some(found));
    }
    let problem = format!("{} is there, and only a regular file is replaced", super::open::kind(found.file_type()));
    Err(Error::new(ErrorKind::InvalidInput, problem))
}

/// Options for a file that is not there yet.
fn exclusive(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    options
}

/// A name beside a path that nobody can foretell: of 64 bits that the system's random numbers decide.
fn temporary_name(path: &Path) -> PathBuf {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    // A long name is cut, so that what is added has room.
    let own: String = own.chars().take(40).collect();
    path.with_file_name(format!(".{own}.{:016x}.tmp", RandomState::new().build_hasher().finish()))
}

/// Whether a name is one that [`temporary_name`] makes for a file of this (short) name.
fn is_temporary_of(name: &str, of: &str) -> bool {
    let number = name.strip_prefix('.').and_then(|name| name.strip_prefix(of)?.strip_prefix('.'));
    let number = number.and_then(|name| name.strip_suffix(".tmp"));
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

fn sync(file: &File) -> Result<()> {
    operation()?;
    file.sync_all()
}

/// What each operation on files asks first. Only unit tests make it fail.
#[cfg(not(test))]
#[inline]
pub(crate) fn operation() -> Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use fault::operation;

/// Operations of this thread that fail on purpose.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;
    use std::io::{Error, ErrorKind, Result};

    /// How the operations after so many end.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// One fails, as on a full disk.
        Once,
        /// None happens any more, as after a SIGKILL.
        Dead,
    }

    thread_local! {
        static PLAN: Cell<Option<(usize, Fault)>> = const { Cell::new(None) };
        static CAME: Cell<bool> = const { Cell::new(false) };
    }

    /// Lets so many operations through.
    pub fn after(count: usize, fault: Fault) {
        PLAN.set(Some((count, fault)));
        CAME.set(false);
    }

    /// No more faults; whether the planned one came.
    pub fn end() -> bool {
        PLAN.set(None);
        CAME.get()
    }

    pub fn operation() -> Result<()> {
        match PLAN.get() {
            None => Ok(()),
            Some((0, fault)) => {
                CAME.set(true);
                if fault == Fault::Once {
                    PLAN.set(None);
                }
                Err(Error::from(ErrorKind::StorageFull))
            }
            Some((left, fault)) => {
                PLAN.set(Some((left - 1, fault)));
                Ok(())
            }
        }
    }
}
