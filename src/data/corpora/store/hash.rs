//! The hash of the documents of a store. It is stored beside the file, so that opening a store need not read it whole.

use super::Store;
use crate::data::corpora::Document;
use crate::data::identity::ContentHash;
use crate::error::Result;
use crate::platform::files::write_file;
use crate::platform::open;
use std::path::{Path, PathBuf};

/// The most bytes of a hash file; they are far shorter.
const MAX_HASH_FILE_BYTES: u64 = 256;

/// Computes the hash of `count` documents.
pub(in crate::data::corpora) fn hash(
    count: usize,
    documents: impl Iterator<Item = Result<Document>>,
) -> Result<String> {
    let mut hash = ContentHash::default();
    hash.add_count(count);
    for document in documents {
        hash.add_document(&document?);
    }
    Ok(hash.to_text())
}

impl Store {
    /// Returns the hash stored beside the file, if it belongs to this file: its line starts with the checksum of the
    /// file's header, which covers the checksums of the index and so of all blocks. `None` if the hash file is missing.
    pub fn known_hash(&self) -> Option<String> {
        let path = hash_path(&self.path);
        let line = open::text(&path, MAX_HASH_FILE_BYTES).ok()?;
        let (mark, hash) = line.trim_end().split_once(' ')?;
        (mark == self.mark() && hash.starts_with("blake3:")).then(|| hash.to_string())
    }

    /// Reads all documents once, block by block, and writes their hash beside the file.
    pub(super) fn write_hash(&self) -> Result<()> {
        let mut hash = ContentHash::default();
        hash.add_count(self.len());
        for block in &self.blocks {
            let rows = self.read(block)?;
            (0..rows.len()).filter_map(|number| rows.get(number)).for_each(|document| hash.add_document(&document));
        }
        let line = format!("{} {}\n", self.mark(), hash.to_text());
        write_file(&hash_path(&self.path), line.as_bytes())
    }

    /// Returns the checksum of the header, in hexadecimal.
    fn mark(&self) -> String {
        format!("{:08x}", super::crc(&self.header.to_bytes()))
    }
}

/// Returns the path of the hash of a file of documents.
fn hash_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".hash");
    path.with_file_name(name)
}
