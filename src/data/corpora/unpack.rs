//! Converts the bytes of a text source to UTF-8: decodes UTF-16, and makes all lines end in line feeds.

use crate::error::{Error, Result};
use crate::formats::gzip::Trailing;
use crate::markup::shell_word;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Chain, Cursor, Error as IoError, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

/// The number of bytes from which a format is detected.
pub(super) const DETECTION_BYTES: u64 = 1 << 16;

/// A source whose first bytes have been read, with these bytes put back.
pub(super) type WithStart<'a> = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + 'a>>;

/// A source as text in UTF-8.
pub(super) struct Decoded<'a> {
    pub reader: Box<dyn BufRead + 'a>,
    /// How often what was read so far was no text, and was read as U+FFFD.
    pub replaced: Rc<Cell<u64>>,
}

/// What a user should know of text of which so much was none.
pub(super) fn note(replaced: u64) -> Option<String> {
    (replaced > 0)
        .then(|| format!("UTF-16 that is damaged or cut off: half characters, which are read as U+FFFD: {replaced}"))
}

/// That reading failed at a place in a file, and what to do.
pub(super) fn unreadable(path: &Path, place: &str, error: IoError) -> Error {
    let is_trailing = error.get_ref().is_some_and(|cause| cause.is::<Trailing>());
    let advice = match error.kind() {
        ErrorKind::FileTooLarge => "unpack the file first, if you trust it",
        _ if is_trailing => "unpack the file first with gzip -dc, which leaves out what does not belong to it",
        _ => "get the file again",
    };
    Error::caused(path, format!("{place}cannot be read; {advice}"), error)
}

/// Reads the first bytes of a source, and returns them with the whole source.
pub(super) fn read_start<'a>(path: &Path, mut reader: Box<dyn BufRead + 'a>) -> Result<(Vec<u8>, WithStart<'a>)> {
    let mut start = Vec::new();
    let read = reader.by_ref().take(DETECTION_BYTES).read_to_end(&mut start);
    read.map_err(|error| unreadable(path, "", error))?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

/// Opens the text of a source as UTF-8.
///
/// # Errors
/// When it is no text: the message says what it is.
pub(super) fn text<'a>(path: &Path, reader: Box<dyn BufRead + 'a>) -> Result<Decoded<'a>> {
    let (start, reader) = read_start(path, reader)?;
    if is_utf32(&start) {
        let example =
            to_utf8(path, "utf-32").map_or(String::new(), |command| format!(", for example with `{command}`"));
        return Err(Error::file(path, format!("is UTF-32, which is not read; convert the file to UTF-8{example}")));
    }
    if let Some(kind) = not_text(&start) {
        return Err(Error::file(path, kind));
    }
    let decoded = match start.as_slice() {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    let replaced = Rc::default();
    let Some(unit) = decoded else { return Ok(Decoded { reader: with_line_feeds(&start, reader), replaced }) };
    let utf16 = Utf16 { reader, unit, high: None, decoded: Vec::new(), replaced: Rc::clone(&replaced) };
    let (start, reader) = read_start(path, Box::new(BufReader::new(utf16)))?;
    Ok(Decoded { reader: with_line_feeds(&start, reader), replaced })
}

/// Returns whether text is in UTF-32, by its byte order mark, which begins with the mark of UTF-16.
fn is_utf32(start: &[u8]) -> bool {
    start.starts_with(&[0xff, 0xfe, 0, 0]) || start.starts_with(&[0, 0, 0xfe, 0xff])
}

/// Returns a command that converts a file to UTF-8 under the same name, since its format may depend on the name. The
/// original is kept beside it under another ending. `None` if the name cannot be quoted for a shell.
pub(super) fn to_utf8(path: &Path, encoding: &str) -> Option<String> {
    let convert = format!("iconv -f {encoding} -t utf-8");
    if !path.is_file() {
        return Some(convert);
    }
    let mut kept = path.as_os_str().to_os_string();
    kept.push(format!(".{encoding}"));
    let (file, kept) = (shell_word(path)?, shell_word(Path::new(&kept))?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    Some(match is_packed {
        true => format!("mv {file} {kept} && gzip -dc < {kept} | {convert} | gzip > {file}"),
        false => format!("mv {file} {kept} && {convert} {kept} > {file}"),
    })
}

/// Replaces carriage returns by line feeds if lines end with carriage returns only, as on old Macs and from some
/// programs.
fn with_line_feeds<'a>(start: &[u8], reader: impl BufRead + 'a) -> Box<dyn BufRead + 'a> {
    if start.contains(&b'\r') && !start.contains(&b'\n') {
        return Box::new(BufReader::new(LineFeeds(reader)));
    }
    Box::new(reader)
}

/// Returns what a file is that is not text, and what to do about it; `None` if it may be text.
fn not_text(start: &[u8]) -> Option<&'static str> {
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    if start.starts_with(b"PK\x03\x04") {
        return Some(
            "is a zip archive, as .docx, .xlsx, .odt and .epub files are, not text; save it as plain text or as \
             CSV in its own program",
        );
    }
    if start.starts_with(b"%PDF-") {
        return Some("is a PDF, not text; save it as plain text first");
    }
    if start.starts_with(b"\xd0\xcf\x11\xe0") {
        return Some("is a document of Microsoft Office, not text; save it as plain text or as CSV");
    }
    if !start.starts_with(&[0xff, 0xfe]) && !start.starts_with(&[0xfe, 0xff]) && 4 * zeros > start.len() {
        return Some(
            "is not text in UTF-8: a quarter of its bytes are zeros, as in UTF-16 without a byte order mark, or in a \
             file of a program",
        );
    }
    None
}

/// Reads bytes with carriage returns replaced by line feeds.
struct LineFeeds<R>(R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        buffer[..read].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(read)
    }
}

/// Reads UTF-16 as UTF-8; an unpaired surrogate becomes U+FFFD.
struct Utf16<R> {
    reader: R,
    unit: fn([u8; 2]) -> u16,
    /// The first half of a surrogate pair at the end of the bytes read so far.
    high: Option<u16>,
    /// Bytes that are decoded, the next one last.
    decoded: Vec<u8>,
    /// How many halves were alone.
    replaced: Rc<Cell<u64>>,
}

/// The number of bytes that are decoded at a time.
const CHUNK_BYTES: usize = 1 << 13;

impl<R: Read> Utf16<R> {
    /// Decodes the next bytes; at the end, `decoded` stays empty.
    fn fill(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        self.reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        units.extend(bytes.chunks_exact(2).map(|pair| (self.unit)([pair[0], pair[1]])));
        if bytes.len() == CHUNK_BYTES {
            self.high = units.pop_if(|last| (0xd800..0xdc00).contains(last));
        }
        let replaced = || {
            self.replaced.set(self.replaced.get() + 1);
            char::REPLACEMENT_CHARACTER
        };
        let mut text: String = char::decode_utf16(units).map(|c| c.unwrap_or_else(|_| replaced())).collect();
        if bytes.len() % 2 == 1 {
            text.push(replaced());
        }
        self.decoded = text.into_bytes();
        self.decoded.reverse();
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.decoded.is_empty() {
            self.fill()?;
        }
        let count = buffer.len().min(self.decoded.len());
        for (to, byte) in buffer.iter_mut().zip(self.decoded.drain(self.decoded.len() - count..).rev()) {
            *to = byte;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        let mut whole = String::new();
        let Decoded { mut reader, replaced } = text(Path::new("FILE"), Box::new(bytes))?;
        reader.read_to_string(&mut whole).unwrap();
        assert_eq!(replaced.get(), whole.matches('\u{fffd}').count() as u64);
        Ok(whole)
    }

    #[test]
    fn utf16_of_any_length_is_text() {
        // A pair at every position, so that some lie across the end of a chunk.
        let wanted = "a😀".repeat(20_000);
        let units: Vec<u16> = format!("\u{feff}{wanted}").encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little, big] {
            assert_eq!(read(&bytes).unwrap().trim_start_matches('\u{feff}'), wanted);
        }
        assert_eq!(read(&[0xff, 0xfe, 0x61, 0, 0x0a]).unwrap(), "\u{feff}a\u{fffd}");
        assert_eq!(read(&[0xff, 0xfe, 0x61, 0, 0, 0xd8, 0x62, 0]).unwrap(), "\u{feff}a\u{fffd}b");
    }

    #[test]
    fn lines_end_in_line_feeds_and_other_files_are_named() {
        assert_eq!(read(b"one\rtwo\r").unwrap(), "one\ntwo\n");
        assert_eq!(read(b"one\r\ntwo\rthree\n").unwrap(), "one\r\ntwo\rthree\n");
        for (bytes, part) in [
            (&b"PK\x03\x04 word"[..], "a zip archive, as .docx"),
            (b"%PDF-1.7 ", "is a PDF"),
            (b"a\0b\0c\0", "UTF-16 without a byte order mark"),
        ] {
            assert!(read(bytes).unwrap_err().to_string().contains(part));
        }
    }
}
