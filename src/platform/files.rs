//! Files that are replaced whole: a reader sees the old or the new one, whatever happens in between.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

/// Writes a file beside `path`, syncs it, renames it into place, and syncs the folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    if let Err(error) = write_synced(&temporary, bytes).and_then(|()| rename(&temporary, path)) {
        // Nobody will miss the half-written file, and a full disk needs its room.
        let _ = remove(&temporary);
        return Err(error);
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync(&File::open(folder)?),
        _ => Ok(()),
    }
}

/// A path made absolute, as text; `None` for standard input (`-`), which has none, where there is no current folder, and where it is not UTF-8.
pub(crate) fn absolute_text(path: &Path) -> Option<String> {
    if path == Path::new("-") {
        return None;
    }
    std::path::absolute(path).ok()?.into_os_string().into_string().ok()
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = create(path)?;
    write(&mut file, bytes)?;
    sync(&file)
}

fn create(path: &Path) -> Result<File> {
    operation()?;
    File::create(path)
}

fn write(file: &mut File, bytes: &[u8]) -> Result<()> {
    if let Err(error) = operation() {
        // A write that fails may have come half way.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)
}

fn sync(file: &File) -> Result<()> {
    operation()?;
    file.sync_all()
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    operation()?;
    std::fs::rename(from, to)
}

fn remove(path: &Path) -> Result<()> {
    operation()?;
    std::fs::remove_file(path)
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
