//! Documents as counts of words, and corpora of them.

mod builder;
mod corpus;
mod counted;
mod counts;
mod documents;
mod format;
mod lines;
mod npz;
mod reading;
mod rows;
mod rules;
mod sets;
mod stop_words;
mod store;
mod texts;
mod vocabulary;

pub use builder::STORE_FILES;
pub use corpus::Corpus;
pub use counted::Counted;
pub use documents::Documents;
pub use format::Format;
pub use reading::visit_texts;
pub use rows::Document;
pub use rules::TextRules;
pub use sets::CorpusSet;
pub use vocabulary::{Encoded, Vocabulary};
