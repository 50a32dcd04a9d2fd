//! Builds the tensors of a pickle as `torch._utils._rebuild_tensor_v2` would, from storages outside the pickle.

use super::archive::Archive;
use super::pickle::{Id, Pickle, Value};
use crate::platform::budget::Budget;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// The most dimensions of a tensor: more than any model has, and few enough for libtorch.
pub(crate) const MAX_DIMENSIONS: usize = 64;

/// The location of the storages' bytes.
#[derive(Debug)]
pub(crate) enum Storages<'a> {
    /// Entries `data/KEY` of an archive.
    Archive(Archive<'a>),
    /// Parts of a file of PyTorch before 1.6, by key.
    Legacy(HashMap<&'a str, &'a [u8]>),
}

/// Builds tensors within a budget; reads each storage once.
#[derive(Debug)]
pub(crate) struct Rebuilder<'a> {
    pub pickle: &'a Pickle<'a>,
    pub storages: Storages<'a>,
    pub budget: Budget,
    /// The storages read so far, by key, as tensors of one dimension.
    read_storages: HashMap<&'a str, Tensor>,
}

impl<'a> Rebuilder<'a> {
    pub fn new(pickle: &'a Pickle<'a>, storages: Storages<'a>, budget: Budget) -> Self {
        Self { pickle, storages, budget, read_storages: HashMap::new() }
    }

    /// Returns whether Python would build a tensor from a value.
    pub fn is_tensor(&self, id: Id) -> bool {
        let Value::Call(call) = self.pickle.get(id) else { return false };
        self.pickle
            .function(call)
            .is_some_and(|(module, name)| module == "torch._utils" && name.starts_with("_rebuild_"))
    }

    /// Returns PyTorch's name of a tensor's element type if that type is not read; else `None`.
    pub fn unread_kind(&self, id: Id) -> Option<&'a str> {
        let Value::Call(call) = self.pickle.get(id) else { return None };
        let arguments = self.pickle.tuple(call.arguments)?;
        match (self.pickle.function(call)?.1, arguments) {
            // Element types without a storage class, such as float8, are named after the tensor's shape.
            ("_rebuild_tensor_v3", [_, _, _, _, _, _, kind, ..]) => match self.pickle.get(*kind) {
                Value::Global("torch", kind) => Some(kind),
                _ => None,
            },
            ("_rebuild_tensor_v2", [storage, ..]) => {
                let Value::Persistent(id) = self.pickle.get(*storage) else { return None };
                let [_, kind, ..] = self.pickle.tuple(*id)? else { return None };
                match self.pickle.get(*kind) {
                    Value::Global("torch", kind) if kind_of(kind).is_err() => Some(kind),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Builds the tensor that a value describes.
    pub fn tensor(&mut self, mut id: Id) -> Result<Tensor, String> {
        loop {
            let Value::Call(call) = self.pickle.get(id) else { return Err("something in place of a tensor".into()) };
            let arguments = self.pickle.tuple(call.arguments).unwrap_or_default();
            match (self.pickle.function(call), arguments) {
                // A parameter is a call with a tensor and a flag. Its tensor has a smaller index, so the loop ends.
                (Some((_, "_rebuild_parameter")), [data, ..]) => id = *data,
                (Some((_, "_rebuild_tensor_v2")), [storage, offset, size, stride, ..]) => {
                    return self.view(*storage, *offset, *size, *stride);
                }
                (Some((_, name)), _) => return Err(format!("a tensor made by {name}, which is not a dense one")),
                _ => return Err("something in place of a tensor".into()),
            }
        }
    }

    /// Builds a tensor from a storage, an offset, sizes and strides, after checking that they fit.
    fn view(&mut self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<Tensor, String> {
        let flat = self.storage(storage)?;
        let (size, stride) = (self.integers(size)?, self.integers(stride)?);
        let offset = self.integer(offset)?;
        if size.len() != stride.len() || size.len() > MAX_DIMENSIONS {
            return Err(format!("a tensor of {} sizes and {} strides", size.len(), stride.len()));
        }
        let Some(count) = elements(&size) else { return Err(format!("a tensor of sizes {size:?}")) };
        let steps = size.iter().zip(&stride).filter(|(size, _)| **size > 1);
        let last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride)).sum::<Option<i64>>();
        let last = last.and_then(|last| last.checked_add(offset));
        let storage_length = flat.numel() as i64;
        if count > 0 && last.is_none_or(|last| last >= storage_length) {
            return Err(format!("a tensor of sizes {size:?} in a storage of {storage_length} numbers"));
        }
        let tensor = if count == 0 {
            Tensor::f_empty(&size, (flat.kind(), tch::Device::Cpu))
        } else {
            let view = flat.f_as_strided(&size, &stride, offset).map_err(|error| error.to_string())?;
            if !view.is_contiguous() {
                self.budget.spend(count as u64 * flat.kind().elt_size_in_bytes() as u64)?;
            }
            view.f_contiguous()
        };
        tensor.map_err(|error| error.to_string())
    }

    /// Reads a storage as a tensor of one dimension.
    fn storage(&mut self, id: Id) -> Result<Tensor, String> {
        let pickle = self.pickle;
        let Some((kind, key, count)) = description(pickle, id) else {
            return Err("a storage that is not described as PyTorch does it".into());
        };
        let (kind, width) = kind?;
        if let Some(flat) = self.read_storages.get(key) {
            let same = flat.kind() == kind && flat.numel() as u64 == count;
            return if same {
                Ok(flat.shallow_clone())
            } else {
                Err(format!("storage {key} is described in two ways"))
            };
        }
        let length = count.checked_mul(width).ok_or_else(|| format!("storage {key} of {count} numbers"))?;
        self.budget.spend(length)?;
        let read;
        let bytes = match &mut self.storages {
            Storages::Archive(archive) => {
                read = archive.needed(&format!("data/{key}"))?;
                read.as_slice()
            }
            Storages::Legacy(storages) => storages.get(key).ok_or_else(|| format!("no storage {key}"))?,
        };
        if bytes.len() as u64 != length {
            return Err(format!("storage {key} should have {length} bytes, but has {}", bytes.len()));
        }
        let flat = Tensor::f_from_data_size(bytes, &[count as i64], kind).map_err(|error| error.to_string())?;
        self.read_storages.insert(key, flat.shallow_clone());
        Ok(flat)
    }

    fn integers(&self, id: Id) -> Result<Vec<i64>, String> {
        self.pickle.tuple(id).ok_or("sizes that are no tuple")?.iter().map(|&id| self.integer(id)).collect()
    }

    fn integer(&self, id: Id) -> Result<i64, String> {
        match self.pickle.get(id) {
            &Value::Int(x) if x >= 0 => Ok(x),
            _ => Err("something in place of a size".into()),
        }
    }
}

/// Returns the number of elements of a tensor of these sizes; `None` if its strides would overflow.
pub(crate) fn elements(size: &[i64]) -> Option<i64> {
    let strides = size.iter().try_fold(1i64, |product, &size| product.checked_mul(size.max(1)))?;
    Some(if size.contains(&0) { 0 } else { strides })
}

/// Reads the description of a storage, `('storage', torch.FloatStorage, key, location, count)`. Returns the element
/// type with its bytes per element, the key, and the number of elements; `None` if it is no such description.
#[expect(clippy::type_complexity, reason = "a kind that is not known is an error only where the storage is used")]
pub(crate) fn description<'a>(pickle: &Pickle<'a>, id: Id) -> Option<(Result<(Kind, u64), String>, &'a str, u64)> {
    let Value::Persistent(id) = pickle.get(id) else { return None };
    let [tag, kind, key, _, count, ..] = pickle.tuple(*id)? else { return None };
    match (pickle.get(*tag), pickle.get(*kind), pickle.get(*key), pickle.get(*count)) {
        (Value::Text("storage"), &Value::Global("torch", name), &Value::Text(key), &Value::Int(count @ 0..)) => {
            Some((kind_of(name), key, count as u64))
        }
        _ => None,
    }
}

/// Returns the element type of a storage class, and its bytes per element.
fn kind_of(storage: &str) -> Result<(Kind, u64), String> {
    let kind = match storage {
        "DoubleStorage" => Kind::Double,
        "FloatStorage" => Kind::Float,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        other => return Err(format!("a tensor in a {other}, which is not read")),
    };
    Ok((kind, kind.elt_size_in_bytes() as u64))
}
