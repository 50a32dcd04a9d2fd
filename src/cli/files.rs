//! Files and folders that a command was told to write.

use crate::error::Result;
use crate::platform::files;
use std::path::Path;

/// Writes a file, or replaces it, whole: by a random name beside it, never through a link.
///
/// # Errors
/// When it cannot be written, or what is there is no regular file.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    files::write_file(path, content)
}

/// Whether a file can be written where it is to be, asked before the work that fills it: a name is made beside it, and
/// removed.
///
/// # Errors
/// As [`write_file`].
pub fn check_writable(path: &Path) -> Result<()> {
    files::check_writable(path)
}

/// Makes a folder, where it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<()> {
    files::make_folder(path)
}
