//! The only writer of files: a reader sees the old or the new file even after a crash, and no other file is written.
//!
//! A file is written under a random name that is created exclusively and never through a link, then synced and renamed
//! to its final name, and its folder is synced. The new file gets the mode of the file that it replaces. Only regular
//! files are replaced: no links, devices, pipes or folders.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The bits of a mode that a new file takes over: who may read, write and execute it.
const PERMISSIONS: u32 = 0o777;

/// Writes a file, or replaces it.
///
/// # Errors
/// Fails if the file cannot be written or its path is not a regular file; an old file is then unchanged.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.put_in_place()
}

/// Writes a file as [`replace`] does, with an error that names it.
///
/// # Errors
/// Fails as [`replace`] does.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> crate::error::Result<()> {
    replace(path, bytes).map_err(|error| crate::error::Error::caused(path, "cannot be written", error))
}

/// Checks that a file can be written, by making and removing a temporary one beside it.
///
/// # Errors
/// Fails as [`write_file`] does.
#[cfg(feature = "cli")]
pub(crate) fn check_writable(path: &Path) -> crate::error::Result<()> {
    let made = NewFile::create(path).map(drop);
    made.map_err(|error| crate::error::Error::caused(path, "cannot be written", error))
}

/// Makes a folder as [`create_folder`] does, with an error that names it.
///
/// # Errors
/// Fails as [`create_folder`] does.
pub(crate) fn make_folder(path: &Path) -> crate::error::Result<()> {
    create_folder(path).map_err(|error| crate::error::Error::caused(path, "cannot be made", error))
}

/// A file that is being written under a temporary name. Dropping it before [`put_in_place`](Self::put_in_place) removes
/// it.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    is_in_place: bool,
}

impl NewFile {
    /// Creates the temporary file.
    ///
    /// # Errors
    /// Fails if the folder cannot be written, or if `path` exists and is not a regular file.
    pub fn create(path: &Path) -> Result<Self> {
        operation()?;
        let replaced = regular(path)?;
        // Others must never be able to read the replacement of a file that they may not read.
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

    /// Syncs the file, renames it to its final name, and syncs the folder.
    ///
    /// # Errors
    /// Fails if one of these steps fails. Before the renaming, the old file is still in place.
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

/// Returns an absolute path as text. `None` for standard input (`-`), without a current folder, or if the path is not
/// UTF-8.
pub(crate) fn absolute_text(path: &Path) -> Option<String> {
    if path == Path::new("-") {
        return None;
    }
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if let Err(error) = operation() {
            // A write that fails may have written a part.
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
            // The incomplete file has no use, and a full disk needs its space. Errors are ignored.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Removes the temporary files of the given `names` in a folder, left behind by killed processes.
///
/// # Errors
/// Fails if the folder cannot be listed, or if one of the files cannot be removed.
pub(crate) fn remove_leftovers(folder: &Path, names: &[&str]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| names.iter().any(|target| is_temporary_of(name, target))) {
            operation()?;
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a regular file, if there is one.
///
/// # Errors
/// Fails, naming the path, if it cannot be removed or is not a regular file.
pub(crate) fn remove_file(path: &Path) -> crate::error::Result<()> {
    let removed = regular(path).and_then(|found| match found {
        None => Ok(()),
        Some(_) => operation().and_then(|()| std::fs::remove_file(path)),
    });
    removed.map_err(|error| crate::error::Error::caused(path, "cannot be replaced", error))
}

/// Creates a new file that grows while the program runs.
///
/// # Errors
/// Fails if the path exists, even as a link that leads nowhere, or if the folder cannot be written.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    operation()?;
    exclusive(0o666).open(path)
}

/// Makes a folder and its missing parents.
///
/// # Errors
/// Fails if this is not permitted, or if one of the names belongs to something else.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    operation()?;
    std::fs::create_dir_all(path)
}

/// Returns the metadata of the regular file at a path; `None` if there is nothing.
///
/// # Errors
/// Fails if the path is a link, a folder, a device or a pipe.
pub(crate) fn regular(path: &Path) -> Result<Option<Metadata>> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if found.is_file() {
        return Ok(Some(found));
    }
    let problem = format!("it is {}, and only a regular file is replaced", super::open::kind(found.file_type()));
    Err(Error::new(ErrorKind::InvalidInput, problem))
}

/// Returns options that create a new file and fail if the path exists.
fn exclusive(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    options
}

/// Returns an unpredictable name beside a path, with 64 random bits.
fn temporary_name(path: &Path) -> PathBuf {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    // Cuts a long name, so that the result is not too long for the file system.
    let own: String = own.chars().take(40).collect();
    path.with_file_name(format!(".{own}.{:016x}.tmp", RandomState::new().build_hasher().finish()))
}

/// Returns whether `name` is one that [`temporary_name`] makes for the (short) file name `target`.
fn is_temporary_of(name: &str, target: &str) -> bool {
    let number = name.strip_prefix('.').and_then(|name| name.strip_prefix(target)?.strip_prefix('.'));
    let number = number.and_then(|name| name.strip_suffix(".tmp"));
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

fn sync(file: &File) -> Result<()> {
    operation()?;
    file.sync_all()
}

/// Precedes each operation on files. Unit tests make it fail.
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

    /// The outcome of the operations after the given number of successful ones.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// One fails, as on a full disk.
        Once,
        /// No further operation happens, as after a SIGKILL.
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
