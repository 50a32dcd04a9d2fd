//! Limits of the memory and content that a file may claim. `docs/security.md` has the same table, with the test of each
//! line.
//!
//! Lengths, sizes and counts in a file may be wrong or malicious. They are compared with the file's actual size before
//! any memory is allocated.

/// The largest array that is unpacked, in bytes.
const LARGEST: u64 = 4 << 30;

/// The most bytes of content per byte of the file: twice the ratio of MNIST's files, which are compressed to a fifth.
const CONTENT_PER_BYTE: u64 = 10;

/// The bytes of content that any file may have, however small it is.
const CONTENT: u64 = 60 << 20;

/// Returns the greatest length of a file with `held` bytes outside holes.
pub(crate) fn longest(held: u64) -> u64 {
    held.saturating_mul(CONTENT_PER_BYTE).saturating_add(CONTENT)
}

/// Returns the most bytes that a file with `held` bytes may unpack to, so that a small compressed file cannot fill the
/// memory.
pub(crate) fn most_content(held: u64) -> u64 {
    LARGEST.min(longest(held))
}

/// Returns the most bytes of text that a compressed file of this size may unpack to. Prose is compressed to a third,
/// JSON lines to a twentieth. Text is processed line by line, so the limit is generous.
pub(crate) fn most_text(compressed: u64) -> u64 {
    compressed.saturating_mul(32).saturating_add(64 << 20)
}

/// Returns the most lines of a compressed file of this size: each may be a document, and an empty one takes 16 bytes of
/// memory.
pub(crate) fn most_lines(compressed: u64) -> u64 {
    compressed.saturating_mul(4).saturating_add(1 << 20)
}

/// The longest file of settings, in bytes: a hundred times the length of one with every setting.
pub(crate) const SETTINGS: u64 = 256 << 10;

/// The longest file of records, in bytes: enough for a million epochs, the most that a run may have.
pub(crate) const RECORDS: u64 = 512 << 20;

/// The longest file of weights, in bytes: a checkpoint of the largest model, 2^30 parameters with Adam's two averages
/// in float32, has 12 GiB.
pub(crate) const WEIGHTS: u64 = 16 << 30;

/// The longest file of words and the longest line of a text, in bytes.
pub(crate) const LINE: u64 = 256 << 20;

/// The longest name of a tensor, in bytes: ten times the longest in PyTorch's models.
pub(crate) const NAME: usize = 1 << 10;

/// The memory of a tensor beside its name and its elements, in bytes: libtorch's object, and its entries in lists.
pub(crate) const TENSOR: u64 = 256;

/// The memory of a name in a set of names, in bytes.
pub(crate) const MEMBER: u64 = 64;

/// The most pixels of an image: 1,024 by 1,024.
pub(crate) const PIXELS: i64 = 1 << 20;

/// The memory, in bytes, that the content of a file may still take.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    /// Makes a budget for the tensors of a file of this length: three times the file and 16 MiB. With the file, its
    /// pickle, one entry as it is read and 40 MiB of values, at most ten times the file and 64 MiB are in use.
    pub fn of_tensors(length: usize) -> Self {
        Self((length as u64).saturating_mul(3).saturating_add(16 << 20))
    }

    /// Takes bytes from the budget; call it before an allocation.
    ///
    /// # Errors
    /// Fails, with the problem in a few words, if the budget does not suffice.
    pub fn spend(&mut self, bytes: u64) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or("its tensors would take many times the room of the file")?;
        Ok(())
    }
}
