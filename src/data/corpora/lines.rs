//! Files and bytes as lines with numbers, plain or gzipped.

use super::unpack::{self, Decoded, to_utf8, unreadable};
use crate::error::{Error, Result};
use crate::formats::gzip::Gunzip;
use crate::platform::budget;
use crate::platform::open::{Opened, open};
use std::io::{BufRead, BufReader, Error as IoError, ErrorKind, Read};
use std::path::Path;

/// The longest line, and the longest file of one document, in bytes.
pub(super) const LONGEST: u64 = budget::LINE;

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
        Ok(self.unpacked()?.0)
    }

    /// The same, and how much of it there may be.
    fn unpacked(self) -> Result<(Box<dyn BufRead + 'a>, Most)> {
        let wrong = |error: std::io::Error| Error::file(self.path(), error);
        let (mut reader, held): (Box<dyn BufRead + 'a>, u64) = match self {
            Origin::File(path) => {
                let opened = open(path).map_err(wrong)?;
                opened.hole().map_or(Ok(()), |problem| Err(Error::file(path, problem)))?;
                let Opened { file, held, .. } = opened;
                (Box::new(BufReader::with_capacity(1 << 16, file)), held)
            }
            Origin::Bytes(_, bytes) => (Box::new(bytes), bytes.len() as u64),
        };
        if !reader.fill_buf().map_err(wrong)?.starts_with(&[0x1f, 0x8b]) {
            return Ok((reader, Most { line: LONGEST, lines: u64::MAX }));
        }
        let unpacked = Unpacked { source: Gunzip::new(reader), left: budget::most_text(held), held };
        let most = Most { line: LONGEST.min(budget::most_text(held)), lines: budget::most_lines(held) };
        Ok((Box::new(BufReader::with_capacity(1 << 16, unpacked)), most))
    }

    /// The same as text in UTF-8, each of whose lines ends with a line feed.
    ///
    /// # Errors
    /// When it is no text, or cannot be read.
    pub fn open_text(self) -> Result<Decoded<'a>> {
        unpack::text(self.path(), self.open()?)
    }

    pub fn lines(self) -> Result<Lines<'a>> {
        let (reader, most) = self.unpacked()?;
        let text = unpack::text(self.path(), reader)?;
        Ok(Lines { origin: self, text, line: Vec::new(), number: 0, most })
    }

    /// An error at a line that is not UTF-8.
    pub fn not_utf8(self, line: u64) -> Error {
        let example =
            to_utf8(self.path(), "latin1").map_or(String::new(), |command| format!(", for example with `{command}`"));
        Error::file(self.path(), format!("line {line} is not UTF-8; convert the file{example}"))
    }

    /// The whole as one text, and how much of it was none ([`Decoded`]).
    pub fn whole(self) -> Result<(String, u64)> {
        let wrong = |problem: String| Error::file(self.path(), problem);
        let mut bytes = Vec::new();
        let (reader, most) = self.unpacked()?;
        let Decoded { reader, replaced } = unpack::text(self.path(), reader)?;
        let read = reader.take(most.line + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(self.path(), "", error))?;
        if bytes.len() as u64 > most.line {
            return Err(wrong(format!("is one document of more than {} bytes; cut it into parts", most.line)));
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

/// How much there may be, by what the file holds.
#[derive(Debug, Clone, Copy)]
struct Most {
    /// Bytes of a line, and of a file that is one document.
    line: u64,
    lines: u64,
}

/// What compressed bytes unpack to, which ends in an error where it is many times as much.
struct Unpacked<R> {
    source: Gunzip<R>,
    left: u64,
    held: u64,
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            let problem =
                format!("{} compressed bytes unpack to more than {}", self.held, budget::most_text(self.held));
            return Err(IoError::new(ErrorKind::FileTooLarge, problem));
        };
        self.left = left;
        Ok(read)
    }
}

/// Lines one after the other; a byte order mark, `\n` and `\r\n` are not part of them.
pub(super) struct Lines<'a> {
    origin: Origin<'a>,
    text: Decoded<'a>,
    line: Vec<u8>,
    number: u64,
    most: Most,
}

impl Lines<'_> {
    /// Reads the next line; false at the end.
    pub fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let Most { line, lines } = self.most;
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

    /// The line that was read last.
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

    /// An error that names the file and the line.
    pub fn wrong(&self, problem: &str) -> Error {
        Error::file(self.path(), format!("line {} {problem}", self.number))
    }

    /// An error at the last line, which has no text where one is expected, but perhaps in a field of another name.
    pub fn without_text(&self, problem: &str, likely: String) -> Error {
        Error::TextColumn { path: self.path().into(), problem: format!("line {} {problem}", self.number), likely }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command that is offered takes a file's name for a name, or is not offered.
    #[test]
    fn latin1_is_converted_by_a_command_that_a_shell_reads_as_it_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let said = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            let said = Origin::File(&path).not_utf8(3).to_string();
            said.replace(&format!("{}/", folder.path().display()), "")
        };
        for (name, command) in [
            ("a.txt", "`mv a.txt a.txt.latin1 && iconv -f latin1 -t utf-8 a.txt.latin1 > a.txt`"),
            (
                "$(x).txt.gz",
                "`mv '$(x).txt.gz' '$(x).txt.gz.latin1' && gzip -dc < '$(x).txt.gz.latin1' | iconv -f latin1 -t utf-8 \
                 | gzip > '$(x).txt.gz'`",
            ),
        ] {
            assert!(said(name).ends_with(command), "{}", said(name));
        }
        assert!(said("a\nb.txt").ends_with("line 3 is not UTF-8; convert the file"));
        let said = Origin::Bytes(Path::new("standard input"), b"").not_utf8(3).to_string();
        assert!(said.ends_with("with `iconv -f latin1 -t utf-8`"), "{said}");
    }
}
