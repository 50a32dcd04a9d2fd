//! Documents on their way into a model.

use crate::data::{Document, Documents};
use crate::error::Result;
use crate::models::BagOfWordsBatch;
use tch::Device;

/// The documents of these numbers that have a word, as a batch.
pub(super) fn bags(documents: &Documents, numbers: &[i64], device: Device) -> Result<BagOfWordsBatch> {
    let batch: Vec<Document> = numbers.iter().map(|&number| documents.get(number as usize)).collect::<Result<_>>()?;
    Ok(BagOfWordsBatch::from_documents(&batch, device))
}

/// All documents that have a word, `size` at a time, with their places among all and as a batch.
pub(super) fn batches<'a>(
    documents: impl Iterator<Item = Result<Document>> + 'a,
    size: usize,
    device: Device,
) -> impl Iterator<Item = Result<(Vec<usize>, BagOfWordsBatch)>> + 'a {
    let numbered = documents.enumerate().map(|(number, document)| Ok((number, document?)));
    let mut full = numbered.filter(|numbered| numbered.as_ref().map_or(true, |(_, document)| !document.is_empty()));
    std::iter::from_fn(move || {
        let batch: Result<(Vec<usize>, Vec<Document>)> = full.by_ref().take(size.max(1)).collect();
        match batch {
            Ok((numbers, _)) if numbers.is_empty() => None,
            batch => {
                Some(batch.map(|(numbers, documents)| (numbers, BagOfWordsBatch::from_documents(&documents, device))))
            }
        }
    })
}
