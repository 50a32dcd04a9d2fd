//! Writes a file of documents, block by block.

use super::{Block, HEADER, Header, Store, block, crc};
use crate::data::corpora::Document;
use crate::data::corpora::rows::tidy;
use crate::error::{Error, Result};
use crate::platform::files::NewFile;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The fewest bytes of a block: for smaller blocks, seeks would dominate reading. 32 decoded blocks take about 30 MB.
const MIN_BLOCK_BYTES: usize = 1 << 17;

/// Writes a file under a temporary name; [`finish`](Self::finish) renames it.
pub(crate) struct Writer {
    path: PathBuf,
    file: BufWriter<NewFile>,
    header: Header,
    index: Vec<Block>,
    /// The bytes of the current block, and its number of documents.
    block: Vec<u8>,
    documents: u32,
    /// The offset of the current block.
    offset: u64,
}

impl Writer {
    pub fn create(path: &Path) -> Result<Self> {
        let created = NewFile::create(path).map(BufWriter::new);
        let mut file = created.map_err(|error| wrong(path, error))?;
        file.write_all(&[0; HEADER]).map_err(|error| wrong(path, error))?;
        let header = Header::default();
        let offset = HEADER as u64;
        Ok(Self { path: path.into(), file, header, index: vec![], block: vec![], documents: 0, offset })
    }

    /// Adds a document, and writes the block if it is full.
    pub fn push(&mut self, entries: Document, label: Option<&str>) -> Result<()> {
        let document = tidy(entries)?;
        block::encode(&mut self.block, &document, label);
        self.documents += 1;
        self.header.documents += 1;
        self.header.tokens += document.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
        self.header.words = self.header.words.max(document.last().map_or(0, |(word, _)| u64::from(*word) + 1));
        if self.block.len() >= MIN_BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    pub fn largest_word(&self) -> Option<u32> {
        self.header.words.checked_sub(1).and_then(|word| u32::try_from(word).ok())
    }

    fn end_block(&mut self) -> Result<()> {
        let Ok(bytes) = u32::try_from(self.block.len()) else {
            return Err(Error::file(&self.path, "a document takes more than 4 GiB; cut it into parts"));
        };
        let first = self.header.documents - u64::from(self.documents);
        self.index.push(Block { offset: self.offset, bytes, first, documents: self.documents, crc: crc(&self.block) });
        self.file.write_all(&self.block).map_err(|error| wrong(&self.path, error))?;
        self.offset += u64::from(bytes);
        self.documents = 0;
        self.block.clear();
        Ok(())
    }

    /// Writes index and header, renames the file and opens it. `first_word` is the number of the first word, 0 or 1.
    pub fn finish(mut self, first_word: u32) -> Result<Store> {
        if self.documents > 0 {
            self.end_block()?;
        }
        let index: Vec<u8> = self.index.iter().flat_map(|block| block.to_bytes()).collect();
        self.header = Header {
            first_word,
            blocks: self.index.len() as u64,
            index: self.offset,
            index_crc: crc(&index),
            ..self.header
        };
        let header = self.header.to_bytes();
        let Self { path, mut file, .. } = self;
        let written = file
            .write_all(&index)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(&header))
            .and_then(|()| file.into_inner().map_err(|error| error.into_error()))
            .and_then(NewFile::put_in_place);
        written.map_err(|error| wrong(&path, error))?;
        let store = Store::open(&path)?;
        store.write_hash()?;
        Ok(store)
    }
}

fn wrong(path: &Path, error: std::io::Error) -> Error {
    Error::caused(path, "cannot be written", error)
}
