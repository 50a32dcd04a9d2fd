//! Batches of documents as bags of words for a model.

use crate::data::{Document, Documents};
use crate::error::Result;
use crate::models::BagOfWordsBatch;
use tch::Device;

/// Makes a batch of the documents with these indices; documents without words are left out.
pub(super) fn bags(documents: &Documents, numbers: &[i64], device: Device) -> Result<BagOfWordsBatch> {
    let batch: Vec<Document> = numbers.iter().map(|&number| documents.get(number as usize)).collect::<Result<_>>()?;
    Ok(BagOfWordsBatch::from_documents(&batch, device))
}

/// Iterates over all documents that have a word, in batches of `size`, each with the indices of its documents.
pub(super) fn batches<'a>(
    documents: impl Iterator<Item = Result<Document>> + 'a,
    size: usize,
    device: Device,
) -> impl Iterator<Item = Result<(Vec<usize>, BagOfWordsBatch)>> + 'a {
    let numbered = documents.enumerate().map(|(number, document)| Ok((number, document?)));
    let mut with_words =
        numbered.filter(|numbered| numbered.as_ref().map_or(true, |(_, document)| !document.is_empty()));
    std::iter::from_fn(move || {
        let batch: Result<(Vec<usize>, Vec<Document>)> = with_words.by_ref().take(size.max(1)).collect();
        match batch {
            Ok((numbers, _)) if numbers.is_empty() => None,
            batch => {
                Some(batch.map(|(numbers, documents)| (numbers, BagOfWordsBatch::from_documents(&documents, device))))
            }
        }
    })
}
