//! Files and folders that a command writes at the user's request.

use crate::error::Result;
use crate::platform::files;
use std::path::Path;

/// Writes a whole file, replacing what is there: under a random name in the same folder, then renamed; never through a
/// link.
///
/// # Errors
/// Fails if the file cannot be written, or if the path holds something other than a regular file.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    files::write_file(path, content)
}

/// Checks that a file can be written, before the work that fills it: creates a file in the same folder and removes it.
///
/// # Errors
/// Fails as [`write_file`] does.
pub fn check_writable(path: &Path) -> Result<()> {
    files::check_writable(path)
}

/// Creates a folder if it does not exist.
///
/// # Errors
/// Fails if the folder cannot be created.
pub fn make_folder(path: &Path) -> Result<()> {
    files::make_folder(path)
}
