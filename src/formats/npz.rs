//! Arrays of bytes and integers out of NumPy's `.npz` archives: zip files of `.npy` files, each of them a header in Python's notation and the numbers.

use super::bounded::most_content;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

/// An open archive.
pub(crate) struct Archive<'a, R> {
    path: &'a Path,
    zip: ZipArchive<R>,
    /// The longest array that is read.
    most: u64,
}

impl<'a> Archive<'a, BufReader<File>> {
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        Self::new(path, BufReader::new(file))
    }
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    /// From any source; `path` is what errors call it.
    pub fn new(path: &'a Path, mut source: R) -> Result<Self> {
        let most = most_content(source.seek(SeekFrom::End(0)).map_err(|error| Error::file(path, error))?);
        let zip = ZipArchive::new(source)
            .map_err(|error| Error::file(path, format!("not a readable .npz archive ({error}); get the file again")))?;
        Ok(Self { path, zip, most })
    }

    /// Shape and content, in C order, of an array of unsigned bytes or booleans.
    pub fn bytes(&mut self, name: &str) -> Result<(Vec<i64>, Vec<u8>)> {
        let Raw { header, bytes } = self.raw(name)?;
        if header.item != 1 {
            let problem = format!("array '{name}' must hold bytes, but its type is '{}'", header.kind);
            return Err(Error::file(self.path, problem));
        }
        let bytes = if header.fortran { transposed(&bytes, &header.shape)? } else { bytes };
        Ok((header.shape, bytes))
    }

    /// Shape and content, in C order, of images: bytes from 0 to 255. Of booleans, and of bytes that are all 0 or 1, one is white.
    pub fn images(&mut self, name: &str) -> Result<(Vec<i64>, Vec<u8>)> {
        let Raw { header, bytes } = self.raw(name)?;
        let kind = header.kind.trim_start_matches(['<', '>', '|', '=']);
        if !matches!(kind, "u1" | "b1") {
            let problem = format!(
                "array '{name}' must hold bytes from 0 to 255 or booleans, but its type is '{}'; in Python: x.clip(0, 255).astype('uint8'), of \
                 shares (x * 255).astype('uint8')",
                header.kind
            );
            return Err(Error::file(self.path, problem));
        }
        let bytes = if header.fortran { transposed(&bytes, &header.shape)? } else { bytes };
        let is_binary = bytes.iter().all(|&byte| byte <= 1);
        Ok((header.shape, if is_binary { bytes.into_iter().map(|byte| byte * 255).collect() } else { bytes }))
    }

    /// Content of an array of integers of one dimension.
    pub fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        let Raw { header, bytes } = self.raw(name)?;
        let wrong = |expected: &str, found: String| {
            Error::file(self.path, format!("array '{name}' must {expected}, but its {found}"))
        };
        if header.shape.len() != 1 {
            return Err(wrong("have one dimension", format!("shape is {}", header.shown_shape())));
        }
        let signed = match header.kind.trim_start_matches(['<', '|']) {
            "u1" | "u2" | "u4" | "u8" => false,
            "i1" | "i2" | "i4" | "i8" => true,
            _ => return Err(wrong("hold integers in little-endian order", format!("type is '{}'", header.kind))),
        };
        let integer = |item: &[u8]| {
            let negative = signed && item.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            whole[..item.len()].copy_from_slice(item);
            // An unsigned number beyond 2^63 is beyond every use of these arrays: it must not turn negative.
            i64::try_from(u64::from_le_bytes(whole)).unwrap_or(if signed {
                i64::from_le_bytes(whole)
            } else {
                i64::MAX
            })
        };
        Ok(bytes.chunks_exact(header.item.max(1)).map(integer).collect())
    }

    fn raw(&mut self, name: &str) -> Result<Raw> {
        let path = self.path;
        let damaged = |problem: String| Error::file(path, format!("array '{name}' {problem}"));
        let entry = format!("{name}.npy");
        if !self.zip.file_names().any(|name| name == entry) {
            let names = self.zip.file_names().filter_map(|name| name.strip_suffix(".npy"));
            let mut names: Vec<String> = names.map(|name| name.chars().take(40).collect()).collect();
            names.sort_unstable();
            names.truncate(12);
            return Err(Error::file(path, format!("has no array '{name}', only {names:?}")));
        }
        let mut file = self.zip.by_name(&entry).map_err(|error| damaged(format!("is damaged: {error}")))?;
        if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(damaged(format!("is packed by {}, not as NumPy does", file.compression())));
        }
        let header = Header::read(&mut file).map_err(damaged)?;
        let mut sizes = header.shape.iter().map(|&size| size as u64);
        let expected = sizes.try_fold(header.item as u64, |product, size| product.checked_mul(size));
        let Some(expected) = expected.filter(|&expected| expected <= self.most) else {
            return Err(damaged(format!("announces a shape {}, too large for the file", header.shown_shape())));
        };
        let mut bytes = Vec::new();
        file.take(expected + 1).read_to_end(&mut bytes).map_err(|error| damaged(format!("is damaged: {error}")))?;
        if bytes.len() as u64 != expected {
            return Err(damaged(format!("announces {expected} bytes, but holds {}", bytes.len())));
        }
        Ok(Raw { header, bytes })
    }
}

/// An array as it is stored.
struct Raw {
    header: Header,
    bytes: Vec<u8>,
}

/// What a `.npy` file says of its array.
struct Header {
    /// NumPy's name of its type.
    kind: String,
    /// Bytes of an item.
    item: usize,
    /// Whether the first dimension is the fastest.
    fortran: bool,
    shape: Vec<i64>,
}

/// The longest header: NumPy's own are of 128 bytes.
const LONGEST_HEADER: u32 = 1 << 16;

/// The most dimensions of an array, as in NumPy.
const DIMENSIONS: usize = 64;

impl Header {
    /// Reads up to the numbers; fails with a few words.
    fn read(source: &mut impl Read) -> std::result::Result<Self, String> {
        let mut start = [0; 8];
        let cut = |error| format!("is damaged: its header cannot be read ({error})");
        source.read_exact(&mut start).map_err(cut)?;
        let [b"\x93NUMPY", [version @ 1..=3, _]] = [&start[..6], &start[6..]] else {
            return Err("is damaged: it does not start as an array".into());
        };
        let mut length = [0; 4];
        source.read_exact(&mut length[..if *version == 1 { 2 } else { 4 }]).map_err(cut)?;
        let length = u32::from_le_bytes(length);
        if length > LONGEST_HEADER {
            return Err(format!("is damaged: it announces a header of {length} bytes"));
        }
        let mut text = vec![0; length as usize];
        source.read_exact(&mut text).map_err(cut)?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text).ok_or_else(|| {
            let start: String = text.trim().chars().take(100).collect();
            format!("must hold plain numbers, but its header is {start:?}")
        })
    }

    /// From `{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }`.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let (_, after) = text.split_once(&format!("'{key}':"))?;
            Some(after.trim_start())
        };
        let (kind, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let item = match kind.trim_start_matches(['<', '>', '|', '=']).split_at_checked(1)? {
            ("b" | "i" | "u" | "f" | "S", bytes) => bytes.parse().ok()?,
            _ => return None,
        };
        let fortran = value("fortran_order")?.starts_with("True");
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Vec<i64> =
            sizes.map(|size| size.parse().ok().filter(|size| *size >= 0)).collect::<Option<Vec<i64>>>()?;
        (shape.len() <= DIMENSIONS).then(|| Self { kind: kind.into(), item, fortran, shape })
    }

    fn shown_shape(&self) -> String {
        format!("{:?}", &self.shape[..self.shape.len().min(8)])
    }
}

/// From Fortran order, first dimension fastest, to C order.
fn transposed(bytes: &[u8], shape: &[i64]) -> Result<Vec<u8>> {
    let reversed: Vec<i64> = shape.iter().rev().copied().collect();
    let dimensions: Vec<i64> = (0..shape.len() as i64).rev().collect();
    let tensor = Tensor::from_slice(bytes).reshape(reversed).permute(dimensions);
    Ok(Vec::try_from(tensor.reshape([-1]))?)
}
