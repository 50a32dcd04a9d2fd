//! Arrays of bytes and integers out of NumPy's `.npz` archives.

use super::LARGEST;
use crate::{Error, Result};
use npyz::npz::NpzArchive;
use npyz::{DType, Order};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use tch::Tensor;

/// An open archive.
pub(super) struct Archive<'a> {
    path: &'a Path,
    archive: NpzArchive<BufReader<File>>,
}

impl<'a> Archive<'a> {
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let archive = NpzArchive::new(BufReader::new(file))
            .map_err(|error| Error::file(path, format!("not a readable .npz archive ({error}); get the file again")))?;
        Ok(Self { path, archive })
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
        let names: Vec<String> = self.archive.array_names().map(String::from).collect();
        let array = self
            .archive
            .by_name(name)
            .map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?
            .ok_or_else(|| damaged(format!("has no array '{name}', only {names:?}")))?;
        let kind = array.dtype().descr();
        let DType::Plain(plain) = array.dtype() else {
            return Err(damaged(format!("array '{name}' must hold plain numbers, but its type is {kind}")));
        };
        let item = plain.num_bytes().unwrap_or(0);
        let fortran = array.order() == Order::Fortran;
        let shape: Vec<i64> = array.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let expected = array.shape().iter().try_fold(item as u64, |product, &size| product.checked_mul(size));
        let Some(expected) = expected.filter(|&expected| expected <= LARGEST) else {
            return Err(damaged(format!("array '{name}' announces an impossible shape {shape:?}")));
        };
        let mut bytes = Vec::new();
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
