//! PyTorch's zip archives.

use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// An archive: entries under one folder, of which `data.pkl` is the root.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    /// The longest entry that is read. PyTorch does not compress numbers, so that none is longer than the file; zip
    /// programs do, and may shorten a little.
    longest: u64,
}

impl<'a> Archive<'a> {
    /// Fails with a few words where this is not a whole zip archive, or not one of PyTorch's.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let is_root = |name: &&str| name.strip_suffix("/data.pkl").is_some_and(|folder| !folder.contains('/'));
        let root = zip.file_names().filter(is_root).min();
        let folder = root.ok_or("the archive has no data.pkl")?.trim_end_matches("data.pkl").to_string();
        Ok(Self { zip, folder, longest: bytes.len() as u64 + (1 << 20) })
    }

    /// The content of an entry, if it is there.
    pub fn entry(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let entry = match self.zip.by_name(&format!("{}{name}", self.folder)) {
            Err(ZipError::FileNotFound) => return Ok(None),
            other => other.map_err(|error| format!("entry {name}: {error}"))?,
        };
        let mut bytes = Vec::with_capacity(entry.size().min(self.longest) as usize);
        entry.take(self.longest + 1).read_to_end(&mut bytes).map_err(|error| format!("entry {name}: {error}"))?;
        if bytes.len() as u64 > self.longest {
            return Err(format!("entry {name} is longer than the file"));
        }
        Ok(Some(bytes))
    }

    /// The content of an entry without which the archive is not whole.
    pub fn needed(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.entry(name)?.ok_or_else(|| format!("the archive has no entry {name}"))
    }
}
