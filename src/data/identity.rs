//! The identity of data in a few numbers and two hashes, by which a run recognises the data it was trained on.
//!
//! The hash covers what a model sees: images as bytes, documents as counts of words, each part in order. A file that is
//! compressed, renamed or moved has the same identity; a file that gains, loses, swaps or changes an example has
//! another one. The hash is BLAKE3, in one pass over the data after reading. A store of documents keeps its hash and is
//! not read again.

use serde::{Deserialize, Serialize};

/// The identity of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The numbers of examples for training, validation and testing; validation is 0 if it is taken from the training
    /// examples.
    pub examples: [u64; 3],
    /// The number of pixels per image, or of words in the vocabulary.
    pub features: u64,
    /// The hash of the words, or of height and width.
    pub features_hash: String,
    /// The hash of all examples.
    pub content_hash: String,
}

impl Identity {
    /// Describes how `found` differs from these data; `None` if they are equal. `example` and `feature` are the names
    /// of examples and features in the plural.
    pub fn difference(&self, found: &Self, example: &str, feature: &str) -> Option<String> {
        let counted = |identity: &Self| match identity.examples {
            [train, 0, test] => format!("{train} and {test}"),
            [train, validation, test] => format!("{train}, {validation} and {test}"),
        };
        if self.examples != found.examples {
            let parts = if found.examples[1] == 0 { "training and test" } else { "training, validation and test" };
            return Some(format!("{} {parts} {example}, not {}", counted(found), counted(self)));
        }
        if self.features != found.features {
            return Some(format!("{} {feature}, not {}", found.features, self.features));
        }
        if self.features_hash != found.features_hash {
            return Some(format!("as many {feature}, but other ones"));
        }
        (self.content_hash != found.content_hash).then(|| format!("as many {example}, but other content"))
    }
}

/// A hash of data that are added in parts.
#[derive(Debug, Default)]
pub(super) struct ContentHash {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl ContentHash {
    pub fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Adds a number of examples.
    pub fn add_count(&mut self, count: usize) {
        self.hasher.update(&(count as u64).to_le_bytes());
    }

    /// Adds a document: its words in ascending order, with their counts.
    pub fn add_document(&mut self, document: &[(u32, u32)]) {
        self.buffer.clear();
        self.buffer.extend((document.len() as u64).to_le_bytes());
        for (word, count) in document {
            self.buffer.extend(word.to_le_bytes());
            self.buffer.extend(count.to_le_bytes());
        }
        self.hasher.update(&self.buffer);
    }

    /// Returns the hash as text.
    pub fn to_text(&self) -> String {
        format!("blake3:{}", self.hasher.finalize().to_hex())
    }
}

/// Returns the hash of words in order, equal to the hash of a file with one word per line.
pub(crate) fn words_hash(words: &[String]) -> String {
    let mut hash = ContentHash::default();
    for word in words {
        hash.add(word.as_bytes());
        hash.add(b"\n");
    }
    hash.to_text()
}

/// Returns the first bytes of a document's hash, by which a run recognises its training documents.
pub(crate) fn document_hash(document: &[(u32, u32)]) -> i64 {
    let mut hash = ContentHash::default();
    hash.add_document(document);
    let mut start = [0; 8];
    start.copy_from_slice(&hash.hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_described() {
        let identity = Identity {
            examples: [90, 0, 10],
            features: 50,
            features_hash: "words".into(),
            content_hash: "content".into(),
        };
        let difference = |found: &Identity| identity.difference(found, "documents", "words of the vocabulary");
        assert_eq!(difference(&identity), None);
        for (found, said) in [
            (
                Identity { examples: [91, 0, 10], ..identity.clone() },
                "91 and 10 training and test documents, not 90 and 10",
            ),
            (Identity { features: 49, ..identity.clone() }, "49 words of the vocabulary, not 50"),
            (
                Identity { features_hash: "x".into(), ..identity.clone() },
                "as many words of the vocabulary, but other ones",
            ),
            (Identity { content_hash: "x".into(), ..identity.clone() }, "as many documents, but other content"),
        ] {
            assert_eq!(difference(&found).as_deref(), Some(said));
        }
    }

    #[test]
    fn hashes_do_not_change() {
        // Pinned: with another hash, no run would recognise its data.
        let words = ["wave", "ship"].map(String::from);
        let mut lines = ContentHash::default();
        lines.add(b"wave\nship\n");
        assert_eq!(words_hash(&words), lines.to_text());
        let mut hash = ContentHash::default();
        hash.add_document(&[(1, 2), (70_000, 1)]);
        assert_eq!(hash.to_text(), "blake3:04cccabd32f34395319300ccf0c794c915be82f42c43deb1c3a021641370943b");
        assert_eq!(
            document_hash(&[(1, 2), (70_000, 1)]).to_le_bytes(),
            [0x04, 0xcc, 0xca, 0xbd, 0x32, 0xf3, 0x43, 0x95]
        );
    }
}
