//! Standard output: a closed pipe ends a program quietly, a full disk is a sentence, and text of files comes without
//! control characters.

use crate::markup::printable;
use std::io::{ErrorKind, Write};

/// Nobody reads standard output any more, as after `| head -1`.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(super) struct ClosedPipe;

/// Writes a line to standard output. Control characters, which words, titles and names of a file may have, are shown as
/// JSON has them.
///
/// # Errors
/// When it cannot be written. For a closed pipe, [`main`](super::main) then ends the program quietly.
pub fn print_line(line: impl std::fmt::Display) -> anyhow::Result<()> {
    write_line(&mut std::io::stdout().lock(), line)
}

/// Writes a line to a stream that stands for standard output, such as a buffer before it.
///
/// # Errors
/// As [`print_line`].
pub fn write_line(out: &mut impl Write, line: impl std::fmt::Display) -> anyhow::Result<()> {
    checked(writeln!(out, "{}", printable(&line.to_string())))
}

/// Writes what a stream that stands for standard output still holds.
///
/// # Errors
/// As [`print_line`].
pub fn flush(out: &mut impl Write) -> anyhow::Result<()> {
    checked(out.flush())
}

pub(super) fn checked(written: std::io::Result<()>) -> anyhow::Result<()> {
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ClosedPipe.into(),
        _ => anyhow::anyhow!("standard output cannot be written: {error}"),
    })
}
