//! Counts the documents of a new source with an existing vocabulary.

use super::lines::Origin;
use super::texts::Texts;
use super::{Columns, CorpusSet, Document, Documents, Format, TextRules, Vocabulary};
use crate::error::{Error, Result};
use std::path::Path;

/// All documents of a source, both training and test part, counted with a given vocabulary.
#[derive(Debug, Default)]
pub struct Counted {
    /// The documents, in order; a document without a known word stays, empty.
    pub documents: Documents,
    /// The number of words that the vocabulary lacks, with repetitions. For text, only words that pass the vocabulary's
    /// rules are counted.
    pub unknown: u64,
    /// Notes for the user about how the source was read.
    pub notes: Vec<String>,
}

impl Counted {
    /// Reads a source. Text is cut by the vocabulary's rules; words of counts are matched by name. `columns` applies to
    /// tables and JSON lines. `folder` holds the files of named sets.
    ///
    /// # Errors
    /// Fails if the source cannot be read, or if it has no word of the vocabulary.
    pub fn read(set: &CorpusSet, folder: Option<&Path>, columns: &Columns, vocabulary: &Vocabulary) -> Result<Self> {
        let counted = match set {
            CorpusSet::Path { path, format } => {
                match Texts::open(Format::or_recognise(*format, path)?, Origin::File(path), columns)? {
                    Some(texts) => Self::from_texts(&texts, vocabulary)?,
                    None => Self::from_counts(set, folder, vocabulary)?,
                }
            }
            _ => Self::from_counts(set, folder, vocabulary)?,
        };
        if counted.documents.tokens() == 0 {
            let problem = format!(
                "none of its {} documents has a word of the run's vocabulary, and {} words are not in it",
                counted.documents.len(),
                counted.unknown
            );
            return Err(match set {
                CorpusSet::Path { path, .. } => Error::file(path, problem),
                _ => Error::Config(format!("the corpus: {problem}")),
            });
        }
        Ok(counted)
    }

    /// Counts the words of texts.
    fn from_texts(texts: &Texts<'_>, vocabulary: &Vocabulary) -> Result<Self> {
        let mut counted = Self::default();
        counted.notes = texts.visit(&mut |text, _| {
            let encoded = vocabulary.encode(text);
            counted.unknown += encoded.unknown;
            counted.documents.push(encoded.document)
        })?;
        Ok(counted)
    }

    /// Translates the word numbers of a corpus of counts.
    fn from_counts(set: &CorpusSet, folder: Option<&Path>, vocabulary: &Vocabulary) -> Result<Self> {
        let corpus = set.load(folder, &TextRules::default(), None)?;
        let numbers: Vec<Option<u32>> = corpus.vocabulary.iter().map(|word| vocabulary.number(word)).collect();
        let mut counted = Self::default();
        for document in corpus.train.iter().chain(corpus.test.iter()) {
            let mut known = Document::new();
            for (word, count) in document? {
                match numbers.get(word as usize).copied().flatten() {
                    Some(number) => known.push((number, count)),
                    None => counted.unknown += u64::from(count),
                }
            }
            counted.documents.push(known)?;
        }
        Ok(counted)
    }
}
