//! Arrays of bytes out of NumPy's `.npz` archives.

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
        let damaged = |problem: String| Error::file(self.path, problem);
        let names: Vec<String> = self.archive.array_names().map(String::from).collect();
        let array = self
            .archive
            .by_name(name)
            .map_err(|error| damaged(format!("array '{name}' is damaged: {error}")))?
            .ok_or_else(|| damaged(format!("has no array '{name}', only {names:?}")))?;
        let one_byte = matches!(array.dtype(), DType::Plain(plain) if plain.num_bytes() == Some(1));
        if !one_byte {
            return Err(damaged(format!("array '{name}' must hold bytes, but its type is {}", array.dtype().descr())));
        }
        let order = array.order();
        let shape: Vec<i64> = array.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let expected = array.shape().iter().try_fold(1u64, |product, &size| product.checked_mul(size));
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
        if order == Order::Fortran {
            bytes = transposed(&bytes, &shape)?;
        }
        Ok((shape, bytes))
    }
}

/// From Fortran order, first dimension fastest, to C order.
fn transposed(bytes: &[u8], shape: &[i64]) -> Result<Vec<u8>> {
    let reversed: Vec<i64> = shape.iter().rev().copied().collect();
    let dimensions: Vec<i64> = (0..shape.len() as i64).rev().collect();
    let tensor = Tensor::from_slice(bytes).reshape(reversed).permute(dimensions);
    Ok(Vec::try_from(tensor.reshape([-1]))?)
}
