//! Documents in a file, of which only a few blocks are in memory.
//!
//! ```text
//! blocks   one after the other from byte 64, of about 128 KiB of whole documents
//! index    for each block, in 28 bytes: where it is (u64), its bytes (u32), its first document (u64), its documents
//!          (u32), its CRC-32
//! header   64 bytes at the start, written last: "GENGSDOC", version (u32), first word (u32), documents, tokens,
//!          blocks, place of the index (u64 each), largest word + 1 (u64), CRC-32 of the index, CRC-32 of the header
//! ```
//!
//! A document is its number of entries; each entry's distance from the word before it, and its count; the bytes of its
//! label, and the label. All numbers within a block are variable-length (7 bits a byte, the lowest first), all others
//! little-endian. Words are stored as their source counts them, and `first word` is what is subtracted.

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

/// How many blocks an epoch mixes: their documents are in memory at once.
const MIXED: usize = 16;

/// How many blocks are kept: those that are mixed, and as many again for a batch that reaches into the next ones.
const KEPT: usize = 2 * MIXED;

/// An open file of documents.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: File,
    header: Header,
    blocks: Vec<Block>,
    cache: Mutex<Cache>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    first_word: u32,
    documents: u64,
    tokens: u64,
    blocks: u64,
    index: u64,
    /// Largest word as it is stored, plus 1; 0 where there is none.
    words: u64,
    index_crc: u32,
}

/// A line of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    at: u64,
    bytes: u32,
    first: u64,
    documents: u32,
    crc: u32,
}

/// Blocks that were read, the last used last.
#[derive(Debug, Default)]
struct Cache {
    blocks: Vec<(usize, Arc<Rows>)>,
    reads: u64,
}

impl Store {
    /// # Errors
    /// When the file is missing, cut off, damaged, or of another version.
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
        let (mut at, mut first) = (HEADER as u64, 0);
        for block in &blocks {
            if block.at != at || block.first != first || !(1..=block.bytes / 2).contains(&block.documents) {
                return Err(wrong("has an index that does not fit its blocks"));
            }
            at += u64::from(block.bytes);
            first += u64::from(block.documents);
        }
        if at != header.index || first != header.documents {
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

    pub fn largest_word(&self) -> Option<u32> {
        let largest = self.header.words.checked_sub(1)?;
        u32::try_from(largest).ok().map(|word| word.saturating_sub(self.header.first_word))
    }

    /// Looks at the rows with this document, and at its number within them; none beyond the last document.
    pub fn with<T>(&self, number: usize, look: impl Fn(&Rows, usize) -> Option<T>) -> Result<Option<T>> {
        if number >= self.len() {
            return Ok(None);
        }
        let block = self.blocks.partition_point(|block| block.first <= number as u64) - 1;
        let rows = self.rows(block)?;
        Ok(look(&rows, number - self.blocks[block].first as usize))
    }

    /// See [`Documents::order`](super::Documents::order).
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<i64> {
        let mut generator = order_generator(seed, epoch);
        let mut blocks = self.blocks.clone();
        blocks.shuffle(&mut generator);
        let mut order: Vec<i64> = Vec::with_capacity(self.len());
        for mixed in blocks.chunks(MIXED) {
            let start = order.len();
            for block in mixed {
                order.extend((block.first..block.first + u64::from(block.documents)).map(|number| number as i64));
            }
            order[start..].shuffle(&mut generator);
        }
        order
    }

    /// A block, from the cache or from the file.
    fn rows(&self, number: usize) -> Result<Arc<Rows>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = cache.blocks.iter().position(|(kept, _)| *kept == number) {
            cache.blocks[place..].rotate_left(1);
        } else {
            let rows = Arc::new(self.read(&self.blocks[number])?);
            if cache.blocks.len() >= KEPT {
                cache.blocks.remove(0);
            }
            cache.blocks.push((number, rows));
            cache.reads += 1;
        }
        let (_, rows) = &cache.blocks[cache.blocks.len() - 1];
        Ok(Arc::clone(rows))
    }

    fn read(&self, block: &Block) -> Result<Rows> {
        let mut bytes = vec![0; block.bytes as usize];
        self.file.read_exact_at(&mut bytes, block.at).map_err(|error| Error::file(&self.path, error))?;
        let rows = (crc(&bytes) == block.crc).then(|| block::decode(&bytes, block.documents, self.header.first_word));
        rows.flatten().ok_or_else(|| {
            let problem = format!("its block at byte {} is damaged; write the file anew from its corpus", block.at);
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
        let mut whole = [0; HEADER];
        whole.copy_from_slice(&bytes);
        whole
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
        let [documents, tokens, blocks, index, words] = [16, 24, 32, 40, 48].map(|at| u64_at(bytes, at));
        let (first_word, index_crc) = (u32_at(bytes, 12), u32_at(bytes, 56));
        Ok(Self { first_word, documents, tokens, blocks, index, words, index_crc })
    }
}

impl Block {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.at.to_le_bytes().to_vec();
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.documents.to_le_bytes());
        bytes.extend(self.crc.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            at: u64_at(bytes, 0),
            bytes: u32_at(bytes, 8),
            first: u64_at(bytes, 12),
            documents: u32_at(bytes, 20),
            crc: u32_at(bytes, 24),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut whole = [0; 4];
    whole.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(whole)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests;
