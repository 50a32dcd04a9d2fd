//! Arrays of bytes and integers out of NumPy's `.npz` archives.

use super::most_content;
use crate::{Error, Result};
use npyz::npz::{array_name_from_file_name, file_name_from_array_name};
use npyz::{DType, NpyFile, Order};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use tch::Tensor;
use zip::ZipArchive;

/// An open archive.
pub(super) struct Archive<'a> {
    path: &'a Path,
    archive: ZipArchive<BufReader<File>>,
    /// The longest array that is read.
    most: u64,
}

/// The longest header of an array; NumPy's have 118 bytes, or 10,000 where the array is a table.
const LONGEST_HEADER: u32 = 1 << 16;

impl<'a> Archive<'a> {
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let most = most_content(file.metadata().map_err(|error| Error::file(path, error))?.len());
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|error| Error::file(path, format!("not a readable .npz archive ({error}); get the file again")))?;
        Ok(Self { path, archive, most })
    }

    /// Shape and content, in C order, of an array of unsigned bytes or booleans.
    pub fn bytes(&mut self, name: &str) -> Result<(Vec<i64>, Vec<u8>)> {
        let raw = self.raw(name)?;
        if raw.item != 1 {
            return Err(Error::file(
                self.path,
                format!("array '{name}' must hold bytes, but its type is {}", raw.kind),
            ));
        }
        let bytes = if raw.fortran { transposed(&raw.bytes, &raw.shape)? } else { raw.bytes };
        Ok((raw.shape, bytes))
    }

    /// Content of an array of integers of one dimension.
    pub fn integers(&mut self, name: &str) -> Result<Vec<i64>> {
        let raw = self.raw(name)?;
        let wrong = |expected: &str, found: String| {
            Error::file(self.path, format!("array '{name}' must {expected}, but its {found}"))
        };
        if raw.shape.len() != 1 {
            return Err(wrong("have one dimension", format!("shape is {:?}", raw.shape)));
        }
        let items = raw.bytes.chunks_exact(raw.item.max(1));
        let signed = match raw.kind.trim_matches('\'').trim_start_matches(['<', '|']) {
            "u1" | "u2" | "u4" | "u8" => false,
            "i1" | "i2" | "i4" | "i8" => true,
            _ => return Err(wrong("hold integers in little-endian order", format!("type is {}", raw.kind))),
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
        Ok(items.map(integer).collect())
    }

    fn raw(&mut self, name: &str) -> Result<Raw> {
        let damaged = |problem: String| Error::file(self.path, problem);
        let file_name = file_name_from_array_name(name);
        if !self.archive.file_names().any(|name| name == file_name) {
            let mut names: Vec<&str> = self.archive.file_names().filter_map(array_name_from_file_name).collect();
            names.sort_unstable();
            return Err(Error::file(self.path, format!("has no array '{name}', only {names:?}")));
        }
        let mut entry =
            self.archive.by_name(&file_name).map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?;
        // Magic, version, and the header's length in four bytes from version 2 on: a length that memory would be taken for.
        let mut start = [0; 12];
        let read = entry.read_exact(&mut start);
        read.map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?;
        let length = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
        if start[6] > 1 && length > LONGEST_HEADER {
            return Err(damaged(format!("array '{name}' announces an impossible header of {length} bytes")));
        }
        let array = NpyFile::new(start.chain(entry));
        let array = array.map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?;
        let kind = array.dtype().descr();
        let DType::Plain(plain) = array.dtype() else {
            return Err(damaged(format!("array '{name}' must hold plain numbers, but its type is {kind}")));
        };
        let item = plain.num_bytes().unwrap_or(0);
        let fortran = array.order() == Order::Fortran;
        let shape: Vec<i64> = array.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let expected = array.shape().iter().try_fold(item as u64, |product, &size| product.checked_mul(size));
        let Some(expected) = expected.filter(|&expected| expected <= self.most) else {
            return Err(damaged(format!("array '{name}' announces a shape {shape:?}, too large for the file")));
        };
        let mut bytes = Vec::with_capacity(expected as usize);
        array
            .into_inner()
            .take(expected + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?;
        if bytes.len() as u64 != expected {
            return Err(damaged(format!("array '{name}' announces {expected} bytes, but holds {}", bytes.len())));
        }
        Ok(Raw { kind, item, fortran, shape, bytes })
    }
}

/// An array as it is stored.
struct Raw {
    /// NumPy's name of its type.
    kind: String,
    /// Bytes of an item.
    item: usize,
    /// Whether the first dimension is the fastest.
    fortran: bool,
    shape: Vec<i64>,
    bytes: Vec<u8>,
}

/// From Fortran order, first dimension fastest, to C order.
fn transposed(bytes: &[u8], shape: &[i64]) -> Result<Vec<u8>> {
    let reversed: Vec<i64> = shape.iter().rev().copied().collect();
    let dimensions: Vec<i64> = (0..shape.len() as i64).rev().collect();
    let tensor = Tensor::from_slice(bytes).reshape(reversed).permute(dimensions);
    Ok(Vec::try_from(tensor.reshape([-1]))?)
}
