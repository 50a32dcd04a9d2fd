//! The only reader of files: regular files of a bounded length, opened without waiting.
//!
//! A path that a user passes may lead to a pipe, on which the program would wait, or to an endless device. A regular
//! file may have holes, which take no space on the disk but much in memory; they count as compressed content.

use super::budget;
use std::fs::{File, FileType, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// An open regular file.
#[derive(Debug)]
pub(crate) struct Opened {
    pub file: File,
    /// Its length in bytes, including holes.
    pub length: u64,
    /// The bytes that take space on the disk.
    pub held: u64,
}

impl Opened {
    /// Returns the problem, in a few words, if the file consists mostly of holes; `None` otherwise.
    pub fn hole(&self) -> Option<String> {
        let Self { length, held, .. } = *self;
        let is_hollow = length > budget::longest(held);
        is_hollow.then(|| {
            format!("has {length} bytes, but only {held} of them are stored on the disk: the others are holes")
        })
    }
}

/// Opens a regular file, or a link to one, for reading; never waits.
///
/// # Errors
/// Fails if there is no file, or if it is not a regular one.
pub(crate) fn open(path: &Path) -> Result<Opened> {
    // Checked before opening, too, because opening a device can have effects.
    must_be_a_file(std::fs::metadata(path)?.file_type())?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let found = file.metadata()?;
    must_be_a_file(found.file_type())?;
    let length = found.len();
    let held = held(&file, length);
    Ok(Opened { file, length, held })
}

/// Reads the whole content of a regular file of at most `longest` bytes.
///
/// # Errors
/// Fails as [`open`] does, and if the file is longer or consists mostly of holes.
pub(crate) fn whole(path: &Path, longest: u64) -> Result<Vec<u8>> {
    let opened = open(path)?;
    let length = opened.length;
    if length > longest {
        return Err(refused(format!("has {length} bytes, but at most {longest} are read")));
    }
    opened.hole().map_or(Ok(()), |problem| Err(refused(problem)))?;
    bytes(opened.file, length, longest)
}

/// Reads a regular file of at most `longest` bytes as text.
///
/// # Errors
/// Fails as [`whole`] does, and if the content is not UTF-8.
pub(crate) fn text(path: &Path, longest: u64) -> Result<String> {
    as_text(whole(path, longest)?)
}

/// Reads the text of a file, or of a pipe such as `<(sed ...)`, whose end the program waits for.
///
/// # Errors
/// Fails as [`text`] does.
pub(crate) fn text_or_stream(path: &Path, longest: u64) -> Result<String> {
    if !std::fs::metadata(path)?.file_type().is_fifo() {
        return text(path, longest);
    }
    as_text(bytes(File::open(path)?, 0, longest)?)
}

/// Returns the name of a file type, for messages.
pub(crate) fn kind(found: FileType) -> &'static str {
    match found {
        found if found.is_symlink() => "a link",
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a pipe",
        found if found.is_socket() => "a socket",
        found if found.is_file() => "a regular file",
        _ => "a device",
    }
}

/// Checks that a file type is a regular file.
fn must_be_a_file(found: FileType) -> Result<()> {
    if found.is_file() { Ok(()) } else { Err(refused(format!("is {}, not a regular file", kind(found)))) }
}

/// Makes the error of a file with unsuitable content.
fn refused(problem: String) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}

/// Reads to the end, which must come within `longest` bytes; `expected` sizes the buffer.
fn bytes(file: File, expected: u64, longest: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(expected).map_err(|_| refused(format!("does not fit into memory ({expected} bytes)")))?;
    file.take(longest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(refused(format!("has more than {longest} bytes, the most that are read")));
    }
    Ok(bytes)
}

fn as_text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| refused(format!("is not UTF-8 ({})", error.utf8_error())))
}

/// Returns how many bytes of a file of this length lie outside holes; all of them on systems that do not report holes.
fn held(file: &File, length: u64) -> u64 {
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    {
        // The most holes that are looked for; the rest of the file then counts as stored.
        const MOST_HOLES: usize = 1 << 12;
        // A file this short may be read even if it is all hole.
        if length <= budget::longest(0) {
            return length;
        }
        let seek = |from: u64, what| -> Option<u64> {
            let from = libc::off_t::try_from(from).ok()?;
            // SAFETY: lseek takes numbers only, and the descriptor is open as long as the file is.
            u64::try_from(unsafe { libc::lseek(file.as_raw_fd(), from, what) }).ok()
        };
        let (mut at, mut held) = (0, 0);
        for _ in 0..MOST_HOLES {
            let Some(start) = seek(at, libc::SEEK_DATA).filter(|&start| start < length) else { break };
            let end = seek(start, libc::SEEK_HOLE).unwrap_or(length).min(length);
            held += end - start;
            at = end;
        }
        if at < length && seek(at, libc::SEEK_DATA).is_some() {
            held += length - at;
        }
        // If the offset cannot be reset, reading fails with its own error.
        let _ = seek(0, libc::SEEK_SET);
        held
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
    {
        let _ = file;
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, what) in
            [(pipe.as_path(), "a pipe"), (Path::new("/dev/zero"), "a device"), (folder.path(), "a folder")]
        {
            let problem = whole(path, 10).unwrap_err().to_string();
            assert_eq!(problem, format!("is {what}, not a regular file"));
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_longest_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "twelve bytes").unwrap();
        assert_eq!(text(&path, 12).unwrap(), "twelve bytes");
        assert!(text(&path, 11).unwrap_err().to_string().contains("at most 11"));
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(whole(&folder.path().join("link"), 12).unwrap(), b"twelve bytes");
        // Files of /proc have no length before they are read.
        assert!(whole(Path::new("/proc/self/status"), 10).unwrap_err().to_string().contains("more than 10"));
    }

    #[test]
    fn holes_do_not_count_as_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(&[1; 4096]).unwrap();
        file.seek(SeekFrom::Start(8 << 30)).unwrap();
        file.write_all(&[1; 4096]).unwrap();
        let opened = open(&path).unwrap();
        assert_eq!(opened.length, (8 << 30) + 4096);
        if opened.held == opened.length {
            println!("skipped: this file system has no holes");
            return;
        }
        assert!(opened.held <= 1 << 20, "{}", opened.held);
        assert!(whole(&path, u64::MAX).unwrap_err().to_string().contains("are holes"));
    }
}
