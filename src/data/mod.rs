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
