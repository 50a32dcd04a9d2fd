//! The hash of the documents of a store, kept beside its file so that opening it does not read it whole.

use super::Store;
use crate::data::corpora::Document;
use crate::data::identity::ContentHash;
use crate::error::Result;
use crate::platform::files::write_file;
use crate::platform::open;
use std::path::{Path, PathBuf};

/// Bytes of the longest file beside a store that is looked at.
const LONGEST: u64 = 256;

/// The hash of documents, of which there are so many.
pub(in crate::data::corpora) fn hash(
    count: usize,
    documents: impl Iterator<Item = Result<Document>>,
) -> Result<String> {
    let mut hash = ContentHash::default();
    hash.add_count(count);
    for document in documents {
        hash.add_document(&document?);
    }
    Ok(hash.shown())
}

impl Store {
    /// The hash that was written beside the file, if it is that of this file: its line starts with the checksum of the
    /// file's header, which holds that of the index, which holds those of all blocks. Stores of before have none.
    pub fn known_hash(&self) -> Option<String> {
        let path = beside(&self.path);
        let line = open::text(&path, LONGEST).ok()?;
        let (of, hash) = line.trim_end().split_once(' ')?;
        (of == self.mark() && hash.starts_with("blake3:")).then(|| hash.to_string())
    }

    /// Reads all documents once, a block at a time, and writes their hash beside the file.
    pub(super) fn keep_hash(&self) -> Result<()> {
        let mut hash = ContentHash::default();
        hash.add_count(self.len());
        for block in &self.blocks {
            let rows = self.read(block)?;
            (0..rows.len()).filter_map(|number| rows.get(number)).for_each(|document| hash.add_document(&document));
        }
        let line = format!("{} {}\n", self.mark(), hash.shown());
        write_file(&beside(&self.path), line.as_bytes())
    }

    fn mark(&self) -> String {
        format!("{:08x}", super::crc(&self.header.to_bytes()))
    }
}

/// Where the hash of a file of documents lies.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".hash");
    path.with_file_name(name)
}
