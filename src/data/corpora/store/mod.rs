//! A file of documents, of which only a few blocks are in memory at a time.
//!
//! ```text
//! blocks   one after the other from byte 64, about 128 KiB each, of whole documents
//! index    28 bytes per block: its offset (u64), its bytes (u32), its first document (u64), its number of documents
//! (u32), its CRC-32
//! header   64 bytes at the start, written last: "GENGSDOC", version (u32), first word (u32), documents, tokens,
//! blocks, offset of the index (u64 each), largest word + 1 (u64), CRC-32 of the index, CRC-32 of the header
//! ```
//!
//! A document is encoded as its number of entries; for each entry, the difference from the word before and the count;
//! the bytes of its label, and the label. All numbers within a block have variable length (7 bits per byte, the lowest
//! first), all others are little-endian. Words are stored as numbered in their source; `first word` is subtracted on
//! reading.

mod block;
mod hash;
mod writer;

pub(super) use hash::hash;
pub(super) use writer::Writer;

use super::rows::Rows;
use crate::data::batches::order_generator;
use crate::error::{Error, Result};
use crate::platform::budget;
use crate::platform::open::{Opened, open};
use flate2::Crc;
use rand::seq::SliceRandom;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"GENGSDOC";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const INDEX_ENTRY: usize = 28;

/// The number of blocks whose documents an epoch mixes; they are in memory at the same time.
const MIXED_BLOCKS: usize = 16;

/// The number of blocks in the cache: those that are mixed, and as many for a batch that extends into the next ones.
const CACHED_BLOCKS: usize = 2 * MIXED_BLOCKS;

/// An open file of documents.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: File,
    header: Header,
    blocks: Vec<Block>,
    cache: Mutex<Cache>,
}

/// The header of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    first_word: u32,
    documents: u64,
    tokens: u64,
    blocks: u64,
    index: u64,
    /// Largest word as it is stored, plus 1; 0 if there is none.
    words: u64,
    index_crc: u32,
}

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    offset: u64,
    bytes: u32,
    first: u64,
    documents: u32,
    crc: u32,
}

/// The blocks in memory; the one used last is at the end.
#[derive(Debug, Default)]
struct Cache {
    blocks: Vec<(usize, Arc<Rows>)>,
    reads: u64,
}

impl Store {
    /// Opens a file and checks its header and its index.
    ///
    /// # Errors
    /// Fails if the file is missing, truncated, damaged, or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let wrong = |problem: &str| Error::file(path, format!("{problem}; write it anew from its corpus"));
        let Opened { file, length: size, held } = open(path).map_err(|error| Error::file(path, error))?;
        if size > budget::longest(held) {
            return Err(wrong("is mostly a hole"));
        }
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).map_err(|_| wrong("is too short for a file of documents"))?;
        let header = Header::from_bytes(&bytes).map_err(wrong)?;
        let length = header.blocks.checked_mul(INDEX_ENTRY as u64);
        if length.and_then(|length| header.index.checked_add(length)) != Some(size) {
            return Err(wrong("is cut off, or has bytes behind its end"));
        }
        let mut index = vec![0; header.blocks as usize * INDEX_ENTRY];
        file.read_exact_at(&mut index, header.index).map_err(|error| Error::file(path, error))?;
        if crc(&index) != header.index_crc {
            return Err(wrong("has a damaged index"));
        }
        let blocks: Vec<Block> = index.chunks_exact(INDEX_ENTRY).map(Block::from_bytes).collect();
        let (mut offset, mut first) = (HEADER as u64, 0);
        for block in &blocks {
            if block.offset != offset || block.first != first || !(1..=block.bytes / 2).contains(&block.documents) {
                return Err(wrong("has an index that does not fit its blocks"));
            }
            offset += u64::from(block.bytes);
            first += u64::from(block.documents);
        }
        if offset != header.index || first != header.documents {
            return Err(wrong("has an index that does not fit its header"));
        }
        Ok(Self { path: path.into(), file, header, blocks, cache: Mutex::default() })
    }

    pub fn len(&self) -> usize {
        self.header.documents as usize
    }

    pub fn tokens(&self) -> u64 {
        self.header.tokens
    }

    /// Returns the largest word number, counted from 0; `None` if there is no word.
    pub fn largest_word(&self) -> Option<u32> {
        let largest = self.header.words.checked_sub(1)?;
        u32::try_from(largest).ok().map(|word| word.saturating_sub(self.header.first_word))
    }

    /// Calls `read` with the rows of a block and the index of a document in it. Returns `None` beyond the last
    /// document.
    pub fn with<T>(&self, number: usize, read: impl Fn(&Rows, usize) -> Option<T>) -> Result<Option<T>> {
        if number >= self.len() {
            return Ok(None);
        }
        let block = self.blocks.partition_point(|block| block.first <= number as u64) - 1;
        let rows = self.rows(block)?;
        Ok(read(&rows, number - self.blocks[block].first as usize))
    }

    /// Returns the order of an epoch as [`Documents::order`](super::Documents::order) documents it.
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<i64> {
        let mut generator = order_generator(seed, epoch);
        let mut blocks = self.blocks.clone();
        blocks.shuffle(&mut generator);
        let mut order: Vec<i64> = Vec::with_capacity(self.len());
        for mixed in blocks.chunks(MIXED_BLOCKS) {
            let start = order.len();
            for block in mixed {
                order.extend((block.first..block.first + u64::from(block.documents)).map(|number| number as i64));
            }
            order[start..].shuffle(&mut generator);
        }
        order
    }

    /// Returns a block from the cache, or reads it.
    fn rows(&self, number: usize) -> Result<Arc<Rows>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = cache.blocks.iter().position(|(kept, _)| *kept == number) {
            cache.blocks[place..].rotate_left(1);
        } else {
            let rows = Arc::new(self.read(&self.blocks[number])?);
            if cache.blocks.len() >= CACHED_BLOCKS {
                cache.blocks.remove(0);
            }
            cache.blocks.push((number, rows));
            cache.reads += 1;
        }
        let (_, rows) = &cache.blocks[cache.blocks.len() - 1];
        Ok(Arc::clone(rows))
    }

    /// Reads a block from the file, and checks it.
    fn read(&self, block: &Block) -> Result<Rows> {
        let mut bytes = vec![0; block.bytes as usize];
        self.file.read_exact_at(&mut bytes, block.offset).map_err(|error| Error::file(&self.path, error))?;
        let rows = (crc(&bytes) == block.crc).then(|| block::decode(&bytes, block.documents, self.header.first_word));
        rows.flatten().ok_or_else(|| {
            let problem = format!("its block at byte {} is damaged; write the file anew from its corpus", block.offset);
            Error::file(&self.path, problem)
        })
    }
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.first_word.to_le_bytes());
        for number in [self.documents, self.tokens, self.blocks, self.index, self.words] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.index_crc.to_le_bytes());
        bytes.extend(crc(&bytes).to_le_bytes());
        let mut buffer = [0; HEADER];
        buffer.copy_from_slice(&bytes);
        buffer
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> std::result::Result<Self, &'static str> {
        if &bytes[..8] != MAGIC {
            return Err("is no file of documents");
        }
        if u32_at(bytes, 8) != VERSION {
            return Err("is of another version");
        }
        if u32_at(bytes, HEADER - 4) != crc(&bytes[..HEADER - 4]) {
            return Err("has a damaged header");
        }
        let [documents, tokens, blocks, index, words] = [16, 24, 32, 40, 48].map(|offset| u64_at(bytes, offset));
        let (first_word, index_crc) = (u32_at(bytes, 12), u32_at(bytes, 56));
        Ok(Self { first_word, documents, tokens, blocks, index, words, index_crc })
    }
}

impl Block {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.offset.to_le_bytes().to_vec();
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.documents.to_le_bytes());
        bytes.extend(self.crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            offset: u64_at(bytes, 0),
            bytes: u32_at(bytes, 8),
            first: u64_at(bytes, 12),
            documents: u32_at(bytes, 20),
            crc: u32_at(bytes, 24),
        }
    }
}

/// Reads a number at an offset.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut buffer = [0; 4];
    buffer.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(buffer)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) | u64::from(u32_at(bytes, offset + 4)) << 32
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests;
