//! Files and bytes as lines with numbers, plain or gzipped.

use super::columns::quoted;
use super::unpack;
use crate::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The longest line, and the longest file of one document, in bytes.
pub(super) const LONGEST: u64 = 256 << 20;

/// Where a corpus comes from; it can be read more than once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    File(&'a Path),
    /// Bytes, and what errors call them.
    Bytes(&'a Path, &'a [u8]),
}

impl<'a> Origin<'a> {
    /// What errors call it.
    pub fn path(self) -> &'a Path {
        match self {
            Origin::File(path) | Origin::Bytes(path, _) => path,
        }
    }

    /// From the start, unpacked.
    pub fn open(self) -> Result<Box<dyn BufRead + 'a>> {
        let wrong = |error| Error::file(self.path(), format!("cannot be read: {error}"));
        let mut reader: Box<dyn BufRead + 'a> = match self {
            Origin::File(path) => Box::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(wrong)?)),
            Origin::Bytes(_, bytes) => Box::new(bytes),
        };
        if reader.fill_buf().map_err(wrong)?.starts_with(&[0x1f, 0x8b]) {
            reader = Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)));
        }
        Ok(reader)
    }

    /// The same as text in UTF-8, each of whose lines ends with a line feed.
    ///
    /// # Errors
    /// When it is no text, or cannot be read.
    pub fn open_text(self) -> Result<Box<dyn BufRead + 'a>> {
        unpack::text(self.path(), self.open()?)
    }

    pub fn lines(self) -> Result<Lines<'a>> {
        Ok(Lines { origin: self, reader: self.open_text()?, line: Vec::new(), number: 0 })
    }

    /// An error at a line that is not UTF-8.
    pub fn not_utf8(self, line: u64) -> Error {
        let path = self.path().display().to_string();
        let command = match self {
            Origin::File(_) if path.ends_with(".gz") => {
                let to = quoted(&format!("{}.utf8.txt", path.trim_end_matches(".gz")));
                format!("gzip -dc {} | iconv -f latin1 -t utf-8 > {to}", quoted(&path))
            }
            Origin::File(_) => {
                format!("iconv -f latin1 -t utf-8 {} > {}", quoted(&path), quoted(&format!("{path}.utf8.txt")))
            }
            Origin::Bytes(..) => "iconv -f latin1 -t utf-8".into(),
        };
        Error::file(self.path(), format!("line {line} is not UTF-8; convert the file, for example with `{command}`"))
    }

    /// The whole as one text.
    pub fn whole(self) -> Result<String> {
        let wrong = |problem: String| Error::file(self.path(), problem);
        let mut bytes = Vec::new();
        let read = self.open_text()?.take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| wrong(format!("cannot be read ({error}); get the file again")))?;
        if bytes.len() as u64 > LONGEST {
            return Err(wrong(format!("is one document of more than {LONGEST} bytes; cut it into parts")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            self.not_utf8(1 + before.iter().filter(|byte| **byte == b'\n').count() as u64)
        })?;
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_string(),
            None => text,
        })
    }
}

/// Lines one after the other; a byte order mark, `\n` and `\r\n` are not part of them.
pub(super) struct Lines<'a> {
    origin: Origin<'a>,
    reader: Box<dyn BufRead + 'a>,
    line: Vec<u8>,
    number: u64,
}

impl Lines<'_> {
    /// Reads the next line; false at the end.
    pub fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let read = (&mut self.reader).take(LONGEST + 1).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| self.wrong(&format!("cannot be read ({error}); get the file again")))?;
        if read as u64 > LONGEST {
            return Err(self.wrong(&format!("is longer than {LONGEST} bytes")));
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

    /// The line that was read last.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| self.origin.not_utf8(self.number))
    }

    /// What errors call their file.
    pub fn path(&self) -> &Path {
        self.origin.path()
    }

    /// An error that names the file and the line.
    pub fn wrong(&self, problem: &str) -> Error {
        Error::file(self.path(), format!("line {} {problem}", self.number))
    }
}
