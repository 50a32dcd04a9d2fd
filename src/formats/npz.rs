//! Reads arrays from NumPy's `.npz` archives: zip files of `.npy` files.

use super::array::{Array, Number};
use super::npy;
use crate::error::{Error, Result};
use crate::platform::budget::most_content;
use crate::platform::open::{Opened, open};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// The first bytes of a zip archive.
pub(crate) const MAGIC: &[u8] = b"PK";

/// The most array names that a message lists.
const MAX_LISTED_NAMES: usize = 12;

/// An open archive.
pub(crate) struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    /// The most bytes of an array that are read.
    max_bytes: u64,
}

impl<'a> Archive<'a, BufReader<File>> {
    /// Opens an archive at a path. Fails if it is no readable zip file.
    pub fn open(path: &'a Path) -> Result<Self> {
        let Opened { file, held, .. } = open(path).map_err(|error| Error::file(path, error))?;
        Self::with_budget(path, BufReader::new(file), held)
    }
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    /// Opens an archive from any source. Errors call it `path`.
    pub fn new(path: &'a Path, mut source: R) -> Result<Self> {
        let length = source.seek(SeekFrom::End(0)).map_err(|error| Error::file(path, error))?;
        Self::with_budget(path, source, length)
    }

    /// Opens an archive from a source that occupies `held` bytes on disk: holes of a sparse file do not count.
    fn with_budget(path: &'a Path, source: R, held: u64) -> Result<Self> {
        let max_bytes = most_content(held);
        let zip = ZipArchive::new(source)
            .map_err(|error| Error::caused(path, "not a readable .npz archive; get the file again", error))?;
        Ok(Self { path, zip, max_bytes })
    }

    /// Returns the names of all arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.zip.file_names().filter_map(|name| name.strip_suffix(".npy")).map(String::from).collect();
        names.sort_unstable();
        names
    }

    /// Returns whether PyTorch wrote the archive.
    pub fn is_pytorch(&self) -> bool {
        self.zip.file_names().any(|name| name.ends_with("/data.pkl"))
    }

    /// Reads an array of unsigned bytes or booleans. Returns its shape, and its elements in C order.
    pub fn bytes(&mut self, name: &str) -> Result<(Vec<i64>, Vec<u8>)> {
        let array = self.array(name)?;
        if !array.is_bytes() {
            let problem = format!("array '{name}' must hold bytes, but its type is '{}'", array.kind);
            return Err(Error::file(self.path, problem));
        }
        array.into_bytes()
    }

    /// Reads an array of integers of one dimension.
    pub fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        let array = self.array(name)?;
        let Array { number, big_endian, shape, kind, .. } = &array;
        let wrong = |expected: &str, found: String| {
            Error::file(self.path, format!("array '{name}' must {expected}, but its {found}"))
        };
        if shape.len() != 1 {
            return Err(wrong("have one dimension", format!("shape is {:?}", &shape[..shape.len().min(8)])));
        }
        let signed = *number == Number::Signed;
        if !(signed || *number == Number::Unsigned) || *big_endian {
            return Err(wrong("hold integers in little-endian order", format!("type is '{kind}'")));
        }
        // Unsigned numbers from 2^63 are saturated: none of these arrays needs them, and they must not turn negative.
        let unsigned = |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX);
        let integer = |bytes| if signed { i64::from_le_bytes(bytes) } else { unsigned(bytes) };
        Ok(array.eight_bytes().map(integer).collect())
    }

    /// Reads an array as it is stored.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let path = self.path;
        let damaged = |problem: String| Error::file(path, format!("array '{name}' {problem}"));
        let entry = format!("{name}.npy");
        if !self.zip.file_names().any(|name| name == entry) {
            let names = self.names().into_iter().map(|name| name.chars().take(40).collect()).take(MAX_LISTED_NAMES);
            let names: Vec<String> = names.collect();
            return Err(Error::file(path, format!("has no array '{name}', only {names:?}")));
        }
        self.check_compression(&entry).map_err(damaged)?;
        let broken = |error| Error::caused(path, format!("array '{name}' is damaged"), error);
        let mut file = self.zip.by_name(&entry).map_err(broken)?;
        npy::read(&mut file, self.max_bytes).map_err(damaged)
    }

    /// Checks that an entry is stored or deflated, as NumPy writes it; other programs use other compression methods.
    fn check_compression(&mut self, entry: &str) -> std::result::Result<(), String> {
        let index =
            (0..self.zip.len()).find(|&index| self.zip.by_index_raw(index).is_ok_and(|file| file.name() == entry));
        let Some(index) = index else { return Ok(()) };
        let Ok(file) = self.zip.by_index_raw(index) else { return Ok(()) };
        let compression = file.compression();
        if matches!(compression, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Ok(());
        }
        // Method numbers of the zip format.
        #[allow(deprecated)]
        let number = compression.to_u16();
        let name = match number {
            9 => "deflate64".into(),
            12 => "bzip2".into(),
            14 => "LZMA".into(),
            93 => "zstd".into(),
            95 => "xz".into(),
            number => format!("method {number}"),
        };
        let file = self.path.to_string_lossy();
        Err(format!(
            "is packed by {name}, and not as NumPy does; in Python: numpy.savez_compressed('again.npz', \
             **numpy.load({file:?}))"
        ))
    }
}
