//! What to train on: images (the built-in digits, MNIST, static MNIST, OMNIGLOT, and files of one's own), and corpora of documents.

mod batches;
mod corpus;
mod idx;
mod images;
mod npz;

pub use batches::{Images, Pixels, epoch_order};
pub use corpus::{Corpus, CorpusSet, Document, Documents, Encoded, Format, TextRules, Vocabulary, visit_texts};
pub use images::{Dataset, ImageSet};

/// The largest file content that is read, in bytes: a corrupted size field must not become an allocation.
const LARGEST: u64 = 4 << 30;

/// The same for a file of this length, so that a small compressed file does not fill the memory. MNIST's files are compressed to a fifth.
fn most_content(length: u64) -> u64 {
    LARGEST.min(length.saturating_mul(10).saturating_add(60 << 20))
}
