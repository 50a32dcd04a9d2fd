//! Encodes documents as the bytes of a block, and decodes them.

use super::super::rows::Rows;

/// Appends a document, sorted by [`tidy`](super::super::rows::tidy), to a block.
pub(super) fn encode(block: &mut Vec<u8>, document: &[(u32, u32)], label: Option<&str>) {
    push(block, document.len() as u64);
    let mut before = 0;
    for &(word, count) in document {
        push(block, u64::from(word - before));
        push(block, u64::from(count));
        before = word;
    }
    let label = label.unwrap_or_default();
    push(block, label.len() as u64);
    block.extend(label.as_bytes());
}

/// Decodes the documents of a block, and subtracts `first_word` from each word. Returns `None` if the block is damaged.
pub(super) fn decode(mut bytes: &[u8], documents: u32, first_word: u32) -> Option<Rows> {
    let mut rows = Rows::default();
    let mut document = Vec::new();
    for _ in 0..documents {
        document.clear();
        let mut before = 0u32;
        for _ in 0..pop(&mut bytes)? {
            let distance = u32::try_from(pop(&mut bytes)?).ok()?;
            before = before.checked_add(distance)?;
            document.push((before.checked_sub(first_word)?, u32::try_from(pop(&mut bytes)?).ok()?));
        }
        let label = usize::try_from(pop(&mut bytes)?).ok()?;
        let (label, rest) = bytes.split_at_checked(label)?;
        bytes = rest;
        let label = std::str::from_utf8(label).ok()?;
        rows.push(&document, Some(label).filter(|label| !label.is_empty()));
    }
    bytes.is_empty().then_some(rows)
}

/// Appends a number with 7 bits per byte, the lowest first.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Removes a number from the start of the bytes; `None` if it is incomplete.
fn pop(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
