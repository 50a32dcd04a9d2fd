//! Reads the idx format of MNIST, gzipped or not: two zero bytes, the element type (8 is bytes), the number of
//! dimensions, each dimension as a big-endian 32-bit number, the elements.

use super::array::{Array, Number};
use super::gzip::Gunzip;
use crate::error::{Error, Result};
use crate::platform::budget::{longest, most_content};
use crate::platform::open::{Opened, open};
use std::io::{BufReader, Read};
use std::path::Path;

/// The first bytes of a gzipped file.
pub(crate) const GZIP: &[u8] = &[0x1f, 0x8b];

/// Reads an idx file of bytes. Returns the shape and the bytes.
pub(crate) fn read(path: &Path) -> Result<(Vec<i64>, Vec<u8>)> {
    let Opened { file, length, held } = open(path).map_err(|error| Error::file(path, error))?;
    parse(path, BufReader::new(file), length.min(longest(held)))
}

/// Reads idx data of `length` bytes from any source, gzipped or not. Errors call the source `name`.
pub(crate) fn parse(name: &Path, mut source: impl Read, length: u64) -> Result<(Vec<i64>, Vec<u8>)> {
    let mut start = [0; 2];
    fill(name, &mut source, &mut start, "the first two bytes")?;
    let source = start.chain(source);
    let array = if start == GZIP {
        parse_plain(name, Gunzip::new(BufReader::new(source)), most_content(length))
    } else {
        parse_plain(name, source, length)
    }?;
    if !array.is_bytes() {
        return Err(Error::file(name, format!("must hold bytes, but holds {}", array.kind)));
    }
    array.into_bytes()
}

/// Reads idx data that is not gzipped and has at most `max_bytes` bytes of elements.
pub(crate) fn parse_plain(name: &Path, mut source: impl Read, max_bytes: u64) -> Result<Array> {
    let mut magic = [0; 4];
    fill(name, &mut source, &mut magic, "the idx header")?;
    let kind = match magic[2] {
        8 => Some((Number::Unsigned, 1, "bytes")),
        9 => Some((Number::Signed, 1, "signed bytes")),
        0xb => Some((Number::Signed, 2, "integers of 16 bits")),
        0xc => Some((Number::Signed, 4, "integers of 32 bits")),
        0xd => Some((Number::Float, 4, "floating-point numbers of 32 bits")),
        0xe => Some((Number::Float, 8, "floating-point numbers of 64 bits")),
        _ => None,
    };
    let ([0, 0, _, dimensions @ 1..=4], Some((number, item, kind))) = (magic, kind) else {
        return Err(Error::file(
            name,
            format!("not an idx file: it starts with {magic:02x?}, not [00, 00, 08, 01..04]"),
        ));
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        fill(name, &mut source, &mut size, "the idx header")?;
        shape.push(i64::from(u32::from_be_bytes(size)));
    }
    let expected = shape.iter().try_fold(item as u64, |product, &size| product.checked_mul(size as u64));
    let Some(expected) = expected else {
        return Err(Error::file(
            name,
            format!("its header announces an impossible shape {shape:?}; the file is damaged"),
        ));
    };
    if expected > max_bytes {
        return Err(Error::file(
            name,
            format!("its header announces {expected} bytes, too many for the file; get the file again"),
        ));
    }
    let mut bytes = Vec::with_capacity(expected as usize);
    source.take(expected + 1).read_to_end(&mut bytes).map_err(|error| Error::caused(name, "damaged", error))?;
    if bytes.len() as u64 != expected {
        let found = if bytes.len() as u64 > expected { "more".to_string() } else { bytes.len().to_string() };
        return Err(Error::file(
            name,
            format!("its header announces {expected} bytes, but {found} follow; get the file again"),
        ));
    }
    Ok(Array { number, item, big_endian: true, fortran: false, shape, kind: kind.into(), bytes })
}

/// Fills a buffer from the source; `what` names the bytes in errors.
fn fill(name: &Path, source: &mut impl Read, buffer: &mut [u8], what: &str) -> Result<()> {
    source
        .read_exact(buffer)
        .map_err(|error| Error::caused(name, format!("{what} cannot be read; get the file again"), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn parse_bytes(bytes: &[u8]) -> Result<(Vec<i64>, Vec<u8>)> {
        parse(Path::new("file"), bytes, bytes.len() as u64)
    }

    #[test]
    fn reads_plain_and_gzipped() {
        let plain = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let gzipped = encoder.finish().unwrap();
        // A gzip file of several members is decompressed as one.
        let members = plain.chunks(7).flat_map(|part| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        });
        for bytes in [plain.to_vec(), gzipped, members.collect()] {
            assert_eq!(parse_bytes(&bytes).unwrap(), (vec![2, 3], vec![1, 2, 3, 4, 5, 6]));
        }
    }

    #[test]
    fn every_truncation_and_a_huge_header_are_errors() {
        let whole = [0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4];
        for length in 0..whole.len() {
            assert!(parse_bytes(&whole[..length]).is_err(), "{length} bytes were accepted");
        }
        assert!(parse_bytes(&[0, 0, 8, 1, 0, 0, 0, 1, 9, 9]).is_err());
        let huge = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(parse_bytes(&huge).unwrap_err().to_string().contains("impossible shape"));
    }

    #[test]
    fn a_damaged_gzip_stream_is_an_error() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[0, 0, 8, 1, 0, 0, 0, 100]).unwrap();
        encoder.write_all(&[7; 100]).unwrap();
        let gzipped = encoder.finish().unwrap();
        for length in 2..gzipped.len() - 8 {
            assert!(parse_bytes(&gzipped[..length]).is_err(), "{length} bytes were accepted");
        }
    }
}
