//! Reads NumPy's `.npy`: a header in Python's notation, then the elements.

use super::array::{Array, Number};
use std::io::Read;

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// The most bytes of a header: NumPy itself writes headers of 128 bytes.
const MAX_HEADER_BYTES: u32 = 1 << 16;

/// The most dimensions of an array, as in NumPy.
const MAX_DIMENSIONS: usize = 64;

/// Reads an array whose elements take at most `max_bytes` bytes. Fails with a few words.
pub(crate) fn read(source: &mut impl Read, max_bytes: u64) -> std::result::Result<Array, String> {
    let mut array = header(source)?;
    let mut sizes = array.shape.iter().map(|&size| size as u64);
    let expected = sizes.try_fold(array.item as u64, |product, size| product.checked_mul(size));
    // If one dimension is zero, the product of the others must still be representable.
    let countable = array.shape.iter().try_fold(1i64, |product, &size| product.checked_mul(size.max(1))).is_some();
    let Some(expected) = expected.filter(|&expected| countable && expected <= max_bytes) else {
        let shape = &array.shape[..array.shape.len().min(8)];
        return Err(format!("announces a shape {shape:?}, too large for the file"));
    };
    let read = source.take(expected + 1).read_to_end(&mut array.bytes);
    read.map_err(|error| format!("is damaged: {error}"))?;
    if array.bytes.len() as u64 != expected {
        return Err(format!("announces {expected} bytes, but holds {}", array.bytes.len()));
    }
    Ok(array)
}

/// Reads the header; the elements are still empty.
fn header(source: &mut impl Read) -> std::result::Result<Array, String> {
    let mut start = [0; 8];
    let cut = |error| format!("is damaged: its header cannot be read ({error})");
    source.read_exact(&mut start).map_err(cut)?;
    let [MAGIC, [version @ 1..=3, _]] = [&start[..6], &start[6..]] else {
        return Err("is damaged: it does not start as an array".into());
    };
    let mut length = [0; 4];
    source.read_exact(&mut length[..if *version == 1 { 2 } else { 4 }]).map_err(cut)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_HEADER_BYTES {
        return Err(format!("is damaged: it announces a header of {length} bytes"));
    }
    let mut text = vec![0; length as usize];
    source.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8_lossy(&text);
    parse(&text).ok_or_else(|| {
        let start: String = text.trim().chars().take(100).collect();
        format!("must hold plain numbers, but its header is {start:?}")
    })
}

/// Parses a header such as `{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }`. Other writers use double
/// quotes, and Python 2 wrote `3L`. Returns `None` if the header is something else.
fn parse(text: &str) -> Option<Array> {
    let text = text.replace('"', "'");
    let value = |key: &str| {
        let (_, after) = text.split_once(&format!("'{key}':"))?;
        Some(after.trim_start())
    };
    let (kind, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
    let (letter, item) = kind.trim_start_matches(['<', '>', '|', '=']).split_at_checked(1)?;
    let item = item.parse().ok()?;
    let number = match (letter, item) {
        ("b", 1) => Number::Bool,
        ("i", 1 | 2 | 4 | 8) => Number::Signed,
        ("u", 1 | 2 | 4 | 8) => Number::Unsigned,
        ("f", 2 | 4 | 8) => Number::Float,
        ("S", _) => Number::Text,
        _ => return None,
    };
    let fortran = value("fortran_order")?.starts_with("True");
    let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let size = |text: &str| text.strip_suffix('L').unwrap_or(text).parse().ok().filter(|size| *size >= 0);
    let shape: Vec<i64> = sizes.map(size).collect::<Option<Vec<i64>>>()?;
    let big_endian = kind.starts_with('>');
    let fits = shape.len() <= MAX_DIMENSIONS;
    fits.then(|| Array { number, item, big_endian, fortran, shape, kind: kind.into(), bytes: Vec::new() })
}
