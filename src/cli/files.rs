//! Files and folders that a command was told to write.

use crate::error::{Error, Result};
use crate::platform::files;
use std::path::Path;

/// Writes a file, or replaces it, whole: by a random name beside it, never through a link.
///
/// # Errors
/// When it cannot be written, or what is there is no regular file.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    files::replace(path, content).map_err(|error| Error::file(path, format!("cannot be written ({error})")))
}

/// Makes a folder, where it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<()> {
    files::create_folder(path).map_err(|error| Error::file(path, format!("cannot be made ({error})")))
}
