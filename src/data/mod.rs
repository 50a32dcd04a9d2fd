//! Data: images (the built-in digits, MNIST, static MNIST, OMNIGLOT, and files of your own), and corpora of documents.

mod batches;
mod corpora;
mod identity;
mod image_files;
mod images;

pub use batches::{Images, Pixels, epoch_order};
pub use corpora::{
    Columns, Corpus, CorpusRules, CorpusSet, Counted, Document, Documents, Encoded, Format, Header, LongestDocument,
    Loss, Quotes, ReadingReport, Rule, STORE_FILES, ScriptReport, Segmentation, Split, SplitRule, TextReport,
    TextRules, Vocabulary, visit_texts,
};
pub use identity::Identity;
pub(crate) use identity::{document_hash, words_hash};
pub use images::{Dataset, ImageSet};
