//! Gzipped bytes as `gzip` reads them: streams one after the other, and behind the last nothing, or the zeros that
//! tapes and some programs fill blocks with.

use flate2::bufread::GzDecoder;
use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// Something follows the compressed data that is not compressed; `gzip` ignores it, with a warning.
#[derive(Debug, thiserror::Error)]
#[error("something follows the compressed data that is not compressed")]
pub(crate) struct Trailing;

/// What they unpack to.
pub(crate) struct Gunzip<R> {
    /// `None` at the end.
    stream: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    /// Of a source that starts as a gzipped one does.
    pub fn new(source: R) -> Self {
        Self { stream: Some(GzDecoder::new(source)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while let Some(stream) = &mut self.stream {
            let read = stream.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.stream = self.stream.take().map_or(Ok(None), |ended| next(ended.into_inner()))?;
        }
        Ok(0)
    }
}

/// The stream that follows another one.
fn next<R: BufRead>(mut source: R) -> Result<Option<GzDecoder<R>>> {
    let mut is_padded = false;
    loop {
        match source.fill_buf()? {
            [] => return Ok(None),
            zeros @ [0, ..] => {
                let count = zeros.iter().take_while(|byte| **byte == 0).count();
                source.consume(count);
                is_padded = true;
            }
            [0x1f] | [0x1f, 0x8b, ..] if !is_padded => return Ok(Some(GzDecoder::new(source))),
            _ => return Err(Error::new(ErrorKind::InvalidData, Trailing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::{BufReader, Write};

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<String> {
        let mut text = String::new();
        // A buffer that ends within streams and paddings.
        Gunzip::new(BufReader::with_capacity(5, bytes)).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn streams_and_zeros_are_read_and_what_else_follows_is_named() {
        let two = [packed("one "), packed("two")].concat();
        assert_eq!(unpacked(&two).unwrap(), "one two");
        assert_eq!(unpacked(&[&two[..], &[0; 512]].concat()).unwrap(), "one two");
        for junk in [&b"junk"[..], b"\0\0junk", b"\x1fjunk", b"\0\x1f\x8b"] {
            let error = unpacked(&[&two[..], junk].concat()).unwrap_err();
            assert!(error.get_ref().is_some_and(|cause| cause.is::<Trailing>()), "{junk:?}: {error}");
        }
        for cut in [&two[..two.len() - 1], &[&two[..], b"\x1f\x8b"].concat()] {
            assert!(unpacked(cut).unwrap_err().get_ref().is_none_or(|cause| !cause.is::<Trailing>()));
        }
    }
}
