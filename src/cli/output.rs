//! Standard output: a closed pipe ends a program quietly, a full disk is an error message, and control characters are
//! escaped.

use crate::markup::printable;
use std::io::{ErrorKind, Write};

/// The error that the reader of standard output has closed it, as after `| head -1`.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(super) struct ClosedPipe;

/// Writes a line to standard output. Control characters, which may occur in words, titles and file names, are escaped
/// as in JSON.
///
/// # Errors
/// Fails if the line cannot be written. After a closed pipe, [`main`](super::main) ends the program quietly.
pub fn print_line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    write_line(&mut std::io::stdout().lock(), line)
}

/// Writes a line to a stream in front of standard output, such as a buffer.
///
/// # Errors
/// Fails as [`print_line`] does.
pub fn write_line(out: &mut impl Write, line: impl std::fmt::Display) -> anyhow::Result<()> {
    checked(writeln!(out, "{}", printable(&line.to_string())))
}

/// Flushes a stream in front of standard output.
///
/// # Errors
/// Fails as [`print_line`] does.
pub fn flush(out: &mut impl Write) -> anyhow::Result<()> {
    checked(out.flush())
}

/// Turns an error of writing to standard output into [`ClosedPipe`] or a message.
pub(super) fn checked(written: std::io::Result<()>) -> anyhow::Result<()> {
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ClosedPipe.into(),
        _ => anyhow::anyhow!("standard output cannot be written: {error}"),
    })
}
