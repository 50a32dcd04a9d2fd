//! How much of a file is read.

/// The largest file content that is read, in bytes: a corrupted size field must not become an allocation.
const LARGEST: u64 = 4 << 30;

/// The same for a file of this length, so that a small compressed file does not fill the memory. MNIST's files are compressed to a fifth.
pub(crate) fn most_content(length: u64) -> u64 {
    LARGEST.min(length.saturating_mul(10).saturating_add(60 << 20))
}
