//! Reads files and bytes as numbered lines, gzipped or not.

use super::unpack::{self, Decoded, to_utf8, unreadable};
use crate::error::{Error, Result};
use crate::formats::gzip::Gunzip;
use crate::platform::budget;
use crate::platform::open::{Opened, open};
use std::io::{BufRead, BufReader, Error as IoError, ErrorKind, Read};
use std::path::Path;

/// The limits bytes of a line, and of a file that is one document.
pub(super) const MAX_LINE_BYTES: u64 = budget::LINE;

/// The origin of a corpus; it can be read repeatedly.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    File(&'a Path),
    /// Bytes in memory, and their name in errors.
    Bytes(&'a Path, &'a [u8]),
}

impl<'a> Origin<'a> {
    /// Returns the path, or the name for errors.
    pub fn path(self) -> &'a Path {
        match self {
            Origin::File(path) | Origin::Bytes(path, _) => path,
        }
    }

    /// Opens the origin at its start, decompressed.
    pub fn open(self) -> Result<Box<dyn BufRead + 'a>> {
        Ok(self.unpacked()?.0)
    }

    /// Opens the origin, decompressed, and returns the limits on its content.
    fn unpacked(self) -> Result<(Box<dyn BufRead + 'a>, Limits)> {
        let wrong = |error: std::io::Error| Error::file(self.path(), error);
        let (mut reader, compressed_bytes): (Box<dyn BufRead + 'a>, u64) = match self {
            Origin::File(path) => {
                let opened = open(path).map_err(wrong)?;
                opened.hole().map_or(Ok(()), |problem| Err(Error::file(path, problem)))?;
                let Opened { file, held: compressed_bytes, .. } = opened;
                (Box::new(BufReader::with_capacity(1 << 16, file)), compressed_bytes)
            }
            Origin::Bytes(_, bytes) => (Box::new(bytes), bytes.len() as u64),
        };
        if !reader.fill_buf().map_err(wrong)?.starts_with(&[0x1f, 0x8b]) {
            return Ok((reader, Limits { line: MAX_LINE_BYTES, lines: u64::MAX }));
        }
        let unpacked =
            Unpacked { source: Gunzip::new(reader), bytes_left: budget::most_text(compressed_bytes), compressed_bytes };
        let limits = Limits {
            line: MAX_LINE_BYTES.min(budget::most_text(compressed_bytes)),
            lines: budget::most_lines(compressed_bytes),
        };
        Ok((Box::new(BufReader::with_capacity(1 << 16, unpacked)), limits))
    }

    /// Opens the origin as text in UTF-8, with lines that end in line feeds.
    ///
    /// # Errors
    /// When it is no text, or cannot be read.
    pub fn open_text(self) -> Result<Decoded<'a>> {
        unpack::text(self.path(), self.open()?)
    }

    /// Opens the origin as lines.
    pub fn lines(self) -> Result<Lines<'a>> {
        let (reader, limits) = self.unpacked()?;
        let text = unpack::text(self.path(), reader)?;
        Ok(Lines { origin: self, text, line: Vec::new(), number: 0, limits })
    }

    /// Makes the error that a line is not UTF-8.
    pub fn not_utf8(self, line: u64) -> Error {
        let example =
            to_utf8(self.path(), "latin1").map_or(String::new(), |command| format!(", for example with `{command}`"));
        Error::file(self.path(), format!("line {line} is not UTF-8; convert the file{example}"))
    }

    /// The whole as one text, and how much of it was none ([`Decoded`]).
    pub fn read_all(self) -> Result<(String, u64)> {
        let wrong = |problem: String| Error::file(self.path(), problem);
        let mut bytes = Vec::new();
        let (reader, limits) = self.unpacked()?;
        let Decoded { reader, replaced } = unpack::text(self.path(), reader)?;
        let read = reader.take(limits.line + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(self.path(), "", error))?;
        if bytes.len() as u64 > limits.line {
            return Err(wrong(format!("is one document of more than {} bytes; cut it into parts", limits.line)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            self.not_utf8(1 + before.iter().filter(|byte| **byte == b'\n').count() as u64)
        })?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_string(),
            None => text,
        };
        Ok((text, replaced.get()))
    }
}

/// Limits on the content, which depend on the size of the compressed file.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes per line, and per file that is one document.
    line: u64,
    lines: u64,
}

/// Decompresses bytes; fails if there are far more than compressed text would have.
struct Unpacked<R> {
    source: Gunzip<R>,
    bytes_left: u64,
    compressed_bytes: u64,
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        let Some(bytes_left) = self.bytes_left.checked_sub(read as u64) else {
            let problem = format!(
                "{} compressed bytes unpack to more than {}",
                self.compressed_bytes,
                budget::most_text(self.compressed_bytes)
            );
            return Err(IoError::new(ErrorKind::FileTooLarge, problem));
        };
        self.bytes_left = bytes_left;
        Ok(read)
    }
}

/// Numbered lines, without byte order mark, `\n` and `\r\n`.
pub(super) struct Lines<'a> {
    origin: Origin<'a>,
    text: Decoded<'a>,
    line: Vec<u8>,
    number: u64,
    limits: Limits,
}

impl Lines<'_> {
    /// Reads the next line; returns `false` at the end.
    pub fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let Limits { line, lines } = self.limits;
        let read = (&mut self.text.reader).take(line + 1).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| unreadable(self.origin.path(), &format!("line {} ", self.number), error))?;
        if read as u64 > line {
            return Err(self.wrong(&format!("is longer than {line} bytes")));
        }
        if self.number > lines && read > 0 {
            let problem = format!("is one more than the {lines} that so small a compressed file may have");
            return Err(self.wrong(&format!("{problem}; unpack the file first, if you trust it")));
        }
        if self.line.ends_with(b"\n") {
            self.line.pop();
            if self.line.ends_with(b"\r") {
                self.line.pop();
            }
        }
        if self.number == 1 && self.line.starts_with("\u{feff}".as_bytes()) {
            self.line.drain(..3);
        }
        Ok(read > 0)
    }

    /// Returns the line read last. Fails if it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| self.origin.not_utf8(self.number))
    }

    /// What a user should know of how the lines that were read so far were decoded.
    pub fn note(&self) -> Option<String> {
        unpack::note(self.text.replaced.get())
    }

    /// What errors call their file.
    pub fn path(&self) -> &Path {
        self.origin.path()
    }

    /// Makes an error that names the file and the line.
    pub fn wrong(&self, problem: &str) -> Error {
        Error::file(self.path(), format!("line {} {problem}", self.number))
    }

    /// Makes the error that the line read last has no text field; `likely` is the limits likely one.
    pub fn without_text(&self, problem: &str, likely: String) -> Error {
        Error::TextColumn { path: self.path().into(), problem: format!("line {} {problem}", self.number), likely }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A suggested command quotes the file's name; without a safe quotation, there is no suggestion.
    #[test]
    fn the_suggested_latin1_command_is_quoted_for_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let message = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            let message = Origin::File(&path).not_utf8(3).to_string();
            message.replace(&format!("{}/", folder.path().display()), "")
        };
        for (name, command) in [
            ("a.txt", "`mv a.txt a.txt.latin1 && iconv -f latin1 -t utf-8 a.txt.latin1 > a.txt`"),
            (
                "$(x).txt.gz",
                "`mv '$(x).txt.gz' '$(x).txt.gz.latin1' && gzip -dc < '$(x).txt.gz.latin1' | iconv -f latin1 -t utf-8 \
                 | gzip > '$(x).txt.gz'`",
            ),
        ] {
            assert!(message(name).ends_with(command), "{}", message(name));
        }
        assert!(message("a\nb.txt").ends_with("line 3 is not UTF-8; convert the file"));
        let message = Origin::Bytes(Path::new("standard input"), b"").not_utf8(3).to_string();
        assert!(message.ends_with("with `iconv -f latin1 -t utf-8`"), "{message}");
    }
}
