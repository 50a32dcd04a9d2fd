//! Corpora in NumPy's archives.

use super::{Corpus, Documents};
use crate::data::npz::Archive;
use crate::{Error, Result};
use std::path::Path;

/// See [`Corpus::read_npz`].
pub(super) fn read(path: &Path) -> Result<Corpus> {
    let mut archive = Archive::open(path)?;
    let (_, vocabulary) = archive.bytes("vocab")?;
    let vocabulary = String::from_utf8(vocabulary)
        .map_err(|error| Error::file(path, format!("array 'vocab' must be UTF-8, but {error}")))?;
    let vocabulary: Vec<String> = vocabulary.split('\n').map(String::from).collect();
    let train = documents(&mut archive, path, "train", vocabulary.len())?;
    let test = documents(&mut archive, path, "test", vocabulary.len())?;
    Corpus::new(vocabulary, train, test)
}

fn documents(archive: &mut Archive<'_>, path: &Path, part: &str, vocabulary: usize) -> Result<Documents> {
    let [ptr, words, counts] = ["ptr", "words", "counts"].map(|name| format!("{part}_{name}"));
    let (ends, entries, numbers) = (archive.integers(&ptr)?, archive.integers(&words)?, archive.integers(&counts)?);
    let wrong = |problem: String| Error::file(path, problem);
    if entries.len() != numbers.len() {
        return Err(wrong(format!("{words} has {} numbers, but {counts} has {}", entries.len(), numbers.len())));
    }
    if ends.first() != Some(&0) || ends.last() != Some(&(entries.len() as i64)) {
        return Err(wrong(format!("{ptr} must go from 0 to {}, the length of {words}", entries.len())));
    }
    if let Some(row) = ends.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(wrong(format!("{ptr} must not fall, but does at {row}")));
    }
    if let Some((at, word)) = entries.iter().enumerate().find(|(_, word)| !(0..vocabulary as i64).contains(*word)) {
        return Err(wrong(format!("{words}[{at}] is {word}, but the vocabulary has {vocabulary} words")));
    }
    if let Some((at, count)) = numbers.iter().enumerate().find(|(_, count)| u32::try_from(**count).is_err()) {
        return Err(wrong(format!("{counts}[{at}] is {count}, but must be from 0 to {}", u32::MAX)));
    }
    let mut documents = Documents::new();
    for pair in ends.windows(2) {
        let range = pair[0] as usize..pair[1] as usize;
        let document = entries[range.clone()].iter().zip(&numbers[range]);
        documents.push(document.map(|(&word, &count)| (word as u32, count as u32)).collect())?;
    }
    Ok(documents)
}
