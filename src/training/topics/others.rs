//! Documents that a run was not trained on, out of any source.

use super::task::TRAINED_ON;
use super::trained::TrainedTopics;
use crate::data::{Columns, CorpusSet, Counted, Documents, document_hash};
use crate::error::Result;
use crate::training::data_record::DataRecord;
use crate::training::run_folder::RunFolder;
use std::collections::HashSet;
use std::path::Path;

/// Documents of a source in a run's own words.
#[derive(Debug)]
pub struct OtherDocuments {
    /// Those that the run was not trained on.
    pub documents: Documents,
    /// How many others there were; a document is known by its counts of words. `None` where the run does not know what
    /// it was trained on.
    pub left_out: Option<usize>,
    /// Words that the vocabulary does not have.
    pub unknown: u64,
    /// What a user should know of how the source was read.
    pub notes: Vec<String>,
}

impl OtherDocuments {
    /// Counts the documents of a source by the vocabulary and the rules of a run; `columns` are those of a table or of
    /// JSON lines.
    ///
    /// # Errors
    /// When the source cannot be read, or has no word of the run's; or when the run's record of its data is damaged.
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
        let (mut others, mut left_out) = (Documents::new(), 0);
        for document in documents.iter() {
            let document = document?;
            if trained_on.contains(&document_hash(&document)) {
                left_out += 1;
            } else {
                others.push(document)?;
            }
        }
        Ok(Self { documents: others, left_out: Some(left_out), unknown, notes })
    }
}
