//! Documents of another source, counted by a vocabulary that there is already.

use super::lines::Origin;
use super::texts::Texts;
use super::{Columns, CorpusSet, Document, Documents, Format, TextRules, Vocabulary};
use crate::error::{Error, Result};
use std::path::Path;

/// All documents of a source in the words of a vocabulary, whether its own split would train on them or test.
#[derive(Debug, Default)]
pub struct Counted {
    /// The documents, in order; one without a known word keeps its place.
    pub documents: Documents,
    /// Words that the vocabulary does not have, each as often as it occurs; of text, those that pass the vocabulary's
    /// rules.
    pub unknown: u64,
    /// What a user should know of how the source was read.
    pub notes: Vec<String>,
}

impl Counted {
    /// Cuts text by the vocabulary's rules, and finds the words of counts by their names; `columns` are those of a
    /// table or of JSON lines. `folder` is where the files of named sets are looked for.
    ///
    /// # Errors
    /// When the source cannot be read, or has no word that the vocabulary has.
    pub fn read(set: &CorpusSet, folder: Option<&Path>, columns: &Columns, vocabulary: &Vocabulary) -> Result<Self> {
        let counted = match set {
            CorpusSet::Path { path, format } => {
                match Texts::open(Format::or_recognise(*format, path)?, Origin::File(path), columns)? {
                    Some(texts) => Self::of_texts(&texts, vocabulary)?,
                    None => Self::of_counts(set, folder, vocabulary)?,
                }
            }
            _ => Self::of_counts(set, folder, vocabulary)?,
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

    fn of_texts(texts: &Texts<'_>, vocabulary: &Vocabulary) -> Result<Self> {
        let mut counted = Self::default();
        counted.notes = texts.visit(&mut |text, _| {
            let encoded = vocabulary.encode(text);
            counted.unknown += encoded.unknown;
            counted.documents.push(encoded.document)
        })?;
        Ok(counted)
    }

    fn of_counts(set: &CorpusSet, folder: Option<&Path>, vocabulary: &Vocabulary) -> Result<Self> {
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
