//! Documents on their way into a model.

use crate::Result;
use crate::data::{Document, Documents};
use crate::models::Bags;
use tch::Device;

/// The documents of these numbers that have a word, as a batch.
pub(super) fn bags(documents: &Documents, numbers: &[i64], device: Device) -> Result<Bags> {
    let batch: Vec<Document> = numbers.iter().map(|&number| documents.get(number as usize)).collect::<Result<_>>()?;
    Ok(Bags::from_documents(&batch, device))
}

/// All documents that have a word, `size` at a time, as they are and as a batch.
pub(super) fn batches<'a>(
    documents: impl Iterator<Item = Result<Document>> + 'a,
    size: usize,
    device: Device,
) -> impl Iterator<Item = Result<(Vec<Document>, Bags)>> + 'a {
    let mut documents = documents.filter(|document| document.as_ref().map_or(true, |document| !document.is_empty()));
    std::iter::from_fn(move || {
        let batch: Result<Vec<Document>> = documents.by_ref().take(size.max(1)).collect();
        match batch {
            Ok(batch) if batch.is_empty() => None,
            Ok(batch) => {
                let bags = Bags::from_documents(&batch, device);
                Some(Ok((batch, bags)))
            }
            Err(error) => Some(Err(error)),
        }
    })
}
