//! The vocabulary of a run, fixed when the run starts.

use crate::data::{TextRules, Vocabulary, words_hash};
use crate::error::{Error, Result};
use crate::training::data_record::DataRecord;
use crate::training::run_files::VOCABULARY;
use crate::training::run_folder::RunFolder;

/// Reads the vocabulary of a run, with the rules by which text is split into words. It is compared with the run's
/// record of its data, if there is one.
///
/// # Errors
/// Fails if the file is missing or damaged, or if its words are not those of the run.
pub fn read_run_words(folder: &RunFolder, rules: TextRules) -> Result<Vocabulary> {
    let path = folder.file(VOCABULARY);
    let vocabulary = Vocabulary::read(&path, rules)?;
    if let Some(DataRecord { identity, .. }) = DataRecord::read(folder)?
        && identity.features_hash != words_hash(vocabulary.words())
    {
        let problem = "holds other words than the run was trained with, or the same words in another order, so that \
            topics would be shown with wrong words; restore the run's own file";
        return Err(Error::file(path, problem));
    }
    Ok(vocabulary)
}
