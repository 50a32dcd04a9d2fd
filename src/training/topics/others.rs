//! Documents of another source, without those that a run was trained on.

use super::task::TRAINED_ON;
use super::trained::TrainedTopics;
use crate::data::{Columns, CorpusSet, Counted, Documents, document_hash};
use crate::error::Result;
use crate::training::data_record::DataRecord;
use crate::training::run_folder::RunFolder;
use std::collections::HashSet;
use std::path::Path;

/// Documents of a source, counted with the vocabulary of a run.
#[derive(Debug)]
pub struct OtherDocuments {
    /// The documents that the run was not trained on.
    pub documents: Documents,
    /// Number of documents left out because a training document has the same counts of words. `None` if the run does
    /// not record its training documents.
    pub left_out: Option<usize>,
    /// Number of words that the vocabulary lacks, with repetitions.
    pub unknown: u64,
    /// Notes for the user about how the source was read.
    pub notes: Vec<String>,
}

impl OtherDocuments {
    /// Counts the documents of a source with the vocabulary and the rules of a run. `columns` applies to tables and
    /// JSON lines.
    ///
    /// # Errors
    /// Fails if the source cannot be read, if it has no word of the vocabulary, or if the run's record of its data is
    /// damaged.
    pub fn read(
        corpus: &str,
        data_dir: Option<&Path>,
        columns: &Columns,
        run: &RunFolder,
        trained: &TrainedTopics,
    ) -> Result<Self> {
        let Counted { documents, unknown, notes } =
            Counted::read(&CorpusSet::from_name(corpus), data_dir, columns, &trained.vocabulary)?;
        let record = DataRecord::read(run)?;
        let Some(hashes) = record.as_ref().and_then(|record| record.tensors.get(TRAINED_ON)) else {
            return Ok(Self { documents, left_out: None, unknown, notes });
        };
        let trained_on: HashSet<i64> = Vec::<i64>::try_from(&hashes.reshape([-1]))?.into_iter().collect();
        let (mut new, mut left_out) = (Documents::new(), 0);
        for document in documents.iter() {
            let document = document?;
            if trained_on.contains(&document_hash(&document)) {
                left_out += 1;
            } else {
                new.push(document)?;
            }
        }
        Ok(Self { documents: new, left_out: Some(left_out), unknown, notes })
    }
}
