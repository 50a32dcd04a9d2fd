//! Reads PyTorch's zip archives.

use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// A zip archive whose entries lie in one folder; `data.pkl` is the root entry.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    /// The most bytes of an entry that are read. PyTorch does not compress elements of tensors, so no entry is longer
    /// than the file. Other zip programs may compress, but gain little; a mebibyte allows for that.
    max_entry_bytes: u64,
}

impl<'a> Archive<'a> {
    /// Opens an archive. Fails with a few words if the bytes are no complete zip archive, or have no `data.pkl`.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let is_root = |name: &&str| name.strip_suffix("/data.pkl").is_some_and(|folder| !folder.contains('/'));
        let root = zip.file_names().filter(is_root).min();
        let folder = root.ok_or("the archive has no data.pkl")?.trim_end_matches("data.pkl").to_string();
        Ok(Self { zip, folder, max_entry_bytes: bytes.len() as u64 + (1 << 20) })
    }

    /// Reads an entry; `None` if it does not exist.
    pub fn entry(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let entry = match self.zip.by_name(&format!("{}{name}", self.folder)) {
            Err(ZipError::FileNotFound) => return Ok(None),
            other => other.map_err(|error| format!("entry {name}: {error}"))?,
        };
        let mut bytes = Vec::with_capacity(entry.size().min(self.max_entry_bytes) as usize);
        entry
            .take(self.max_entry_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("entry {name}: {error}"))?;
        if bytes.len() as u64 > self.max_entry_bytes {
            return Err(format!("entry {name} is longer than the file"));
        }
        Ok(Some(bytes))
    }

    /// Reads an entry that every archive must have.
    pub fn needed(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.entry(name)?.ok_or_else(|| format!("the archive has no entry {name}"))
    }
}
