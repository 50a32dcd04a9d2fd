//! The words of a run, which are those of its first day.

use crate::data::{TextRules, Vocabulary, words_hash};
use crate::error::{Error, Result};
use crate::training::data_record::DataRecord;
use crate::training::run_files::VOCABULARY;
use crate::training::run_folder::RunFolder;

/// The words of a run, and the rules by which text is cut into them. Those of a run that does not know its data can be
/// compared with nothing.
///
/// # Errors
/// When the file of the words is missing or damaged, or is that of other words than the run was trained with.
pub fn read_run_words(folder: &RunFolder, rules: TextRules) -> Result<Vocabulary> {
    let path = folder.file(VOCABULARY);
    let vocabulary = Vocabulary::read(&path, rules)?;
    if let Some(DataRecord { identity, .. }) = DataRecord::read(folder)?
        && identity.features_hash != words_hash(vocabulary.words())
    {
        let problem = "holds other words, or the same in another order, than the run was trained with, and its topics \
            would be shown in \
                       wrong words; put the run's own file back";
        return Err(Error::file(path, problem));
    }
    Ok(vocabulary)
}
