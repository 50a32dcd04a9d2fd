//! Reads corpora from NumPy's archives.

use super::corpus::Parts;
use super::vocabulary::flaw;
use super::{Corpus, Documents};
use crate::error::{Error, Result};
use crate::formats::npz::Archive;
use std::io::{Read, Seek};
use std::path::Path;

/// Reads an archive; its arrays are described at [`Corpus::read_npz`].
pub(super) fn read(path: &Path, mut archive: Archive<'_, impl Read + Seek>) -> Result<Corpus> {
    let (_, vocabulary) = archive.bytes("vocab")?;
    let vocabulary = String::from_utf8(vocabulary)
        .map_err(|error| Error::file(path, format!("array 'vocab' must be UTF-8, but {}", error.utf8_error())))?;
    let vocabulary: Vec<String> = vocabulary.split('\n').map(String::from).collect();
    if let Some(flaw) = flaw(&vocabulary) {
        return Err(Error::file(path, format!("array 'vocab': {}", flaw.describe(|number| format!("word {number}")))));
    }
    let train = documents(&mut archive, path, "train", vocabulary.len())?;
    let test = documents(&mut archive, path, "test", vocabulary.len())?;
    Ok(Corpus::new(vocabulary, train, test)?.with_parts(Parts::Archive, None))
}

/// Reads the documents of one part, `train` or `test`, and checks their indices.
fn documents(
    archive: &mut Archive<'_, impl Read + Seek>,
    path: &Path,
    part: &str,
    vocabulary: usize,
) -> Result<Documents> {
    let [ptr, words, counts] = ["ptr", "words", "counts"].map(|name| format!("{part}_{name}"));
    let wrong = |problem: String| Error::file(path, problem);
    let narrow = |name: &str, numbers: Vec<i64>, allowed: &str| {
        let narrow = |(at, number): (usize, &i64)| {
            u32::try_from(*number).map_err(|_| wrong(format!("{name}[{at}] is {number}, but must be {allowed}")))
        };
        numbers.iter().enumerate().map(narrow).collect::<Result<Vec<u32>>>()
    };
    let ends = archive.integers(&ptr)?;
    let entries = narrow(&words, archive.integers(&words)?, "the number of a word")?;
    let numbers = narrow(&counts, archive.integers(&counts)?, "from 0 to 4294967295")?;
    if entries.len() != numbers.len() {
        return Err(wrong(format!("{words} has {} numbers, but {counts} has {}", entries.len(), numbers.len())));
    }
    if ends.first() != Some(&0) || ends.last() != Some(&(entries.len() as i64)) {
        return Err(wrong(format!("{ptr} must go from 0 to {}, the length of {words}", entries.len())));
    }
    if let Some(row) = ends.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(wrong(format!("{ptr} must not fall, but does at {row}")));
    }
    if let Some((at, word)) = entries.iter().enumerate().find(|(_, word)| **word as usize >= vocabulary) {
        return Err(wrong(format!("{words}[{at}] is {word}, but the vocabulary has {vocabulary} words")));
    }
    let mut documents = Documents::new();
    for pair in ends.windows(2) {
        let range = pair[0] as usize..pair[1] as usize;
        let document = entries[range.clone()].iter().copied().zip(numbers[range].iter().copied());
        documents.push(document.collect()).map_err(|error| Error::file(path, error))?;
    }
    Ok(documents)
}
