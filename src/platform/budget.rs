//! The one budget: what a file may ask for. `docs/security.md` has the same table, with the test of each line.
//!
//! A length, a size or a count that stands in a file is a wish of whoever wrote it. What is wished is compared with
//! what the file holds before any memory is taken for it.

/// The largest array that is unpacked, in bytes.
const LARGEST: u64 = 4 << 30;

/// Bytes of content for each byte that a file holds: MNIST's files are compressed to a fifth.
const CONTENT_PER_BYTE: u64 = 10;

/// Bytes of content that any file may have, however small it is.
const CONTENT: u64 = 60 << 20;

/// The longest that a file may be which holds so many bytes, the others being holes.
pub(crate) fn longest(held: u64) -> u64 {
    held.saturating_mul(CONTENT_PER_BYTE).saturating_add(CONTENT)
}

/// The most that a file of so many bytes may unpack to: a small compressed file must not fill the memory.
pub(crate) fn most_content(held: u64) -> u64 {
    LARGEST.min(longest(held))
}

/// The most text that a compressed file of so many bytes may unpack to. Prose packs to a third, lines of JSON to a
/// twentieth; text passes through memory line by line.
pub(crate) fn most_text(compressed: u64) -> u64 {
    compressed.saturating_mul(32).saturating_add(64 << 20)
}

/// The most lines of a compressed file of so many bytes: a line may be a document, which takes 16 bytes of memory even
/// where it is empty.
pub(crate) fn most_lines(compressed: u64) -> u64 {
    compressed.saturating_mul(4).saturating_add(1 << 20)
}

/// The longest file of settings, in bytes: a hundred times one with every setting.
pub(crate) const SETTINGS: u64 = 256 << 10;

/// The longest file of records, in bytes: those of a million epochs, the most that a run may have.
pub(crate) const RECORDS: u64 = 512 << 20;

/// The longest file of weights, in bytes: a checkpoint of the largest model, 2^30 parameters with both averages of
/// Adam, has 12 GiB.
pub(crate) const WEIGHTS: u64 = 16 << 30;

/// The longest file of words, in bytes, and the longest line of a text.
pub(crate) const LINE: u64 = 256 << 20;

/// The longest name of a tensor, in bytes; PyTorch's longest models come to a tenth of it.
pub(crate) const NAME: usize = 1 << 10;

/// What a tensor costs beside its name and its numbers, in bytes: libtorch's object, and its place in lists.
pub(crate) const TENSOR: u64 = 256;

/// What a name costs in a set of names, in bytes.
pub(crate) const MEMBER: u64 = 64;

/// The most pixels of an image: a square of 1,024.
pub(crate) const PIXELS: i64 = 1 << 20;

/// Memory that what is read may take.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    /// For tensors, so that a small file cannot fill the machine's: three times the file and 16 MiB. With the file, its
    /// pickle, one entry as it is read and 40 MiB of values, never more than ten times the file and 64 MiB are in use.
    pub fn of_tensors(length: usize) -> Self {
        Self((length as u64).saturating_mul(3).saturating_add(16 << 20))
    }

    /// Before an allocation.
    ///
    /// # Errors
    /// When no more may be asked for, in a few words.
    pub fn spend(&mut self, bytes: u64) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or("its tensors would take many times the room of the file")?;
        Ok(())
    }
}
