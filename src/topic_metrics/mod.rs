//! Measures of topics, clusters of documents, and the page that shows the hierarchy of topics.
//!
//! The module works for topics of any model: a topic is a row of word probabilities, a document is a list of
//! `(word, count)`. [`coherence`] and [`diversity`] judge topics by their top words, [`Completion`] by the words that
//! they predict. A [`Tree`] is the hierarchy of several layers, and [`page`] shows it. [`Clusters`] of documents
//! initialise the lowest layer of topics, [`Merged`] clusters the upper layers.

mod clusters;
mod coherence;
mod completion;
mod diversity;
pub mod page;
mod ratio;
mod tree;
mod ward;
mod words;

pub use clusters::Clusters;
pub use coherence::{COHERENCE_WORDS, Coherence, coherence};
pub use completion::{Completion, Halves, split};
pub use diversity::{DIVERSITY_WORDS, diversity};
pub use ratio::Ratio;
pub use tree::{Branch, Layer, LayerSummary, Link, NOTABLE_SHARE, ParentCoherence, Tree, Word};
pub use ward::Merged;
pub use words::top_words;
