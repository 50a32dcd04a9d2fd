//! Tensors of a pickle: what `torch._utils._rebuild_tensor_v2` would build, from storages that lie outside the pickle.

use super::archive::Archive;
use super::pickle::{Id, Pickle, Value};
use crate::platform::budget::Budget;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// More dimensions than any tensor of a model has, and few enough for libtorch.
pub(crate) const MOST_DIMENSIONS: usize = 64;

/// Where the bytes of storages lie.
#[derive(Debug)]
pub(crate) enum Storages<'a> {
    /// In entries `data/KEY` of an archive.
    Archive(Archive<'a>),
    /// One after the other in a file of PyTorch before 1.6.
    Legacy(HashMap<&'a str, &'a [u8]>),
}

/// Builds tensors, each storage once, within a budget.
#[derive(Debug)]
pub(crate) struct Rebuilder<'a> {
    pub pickle: &'a Pickle<'a>,
    pub storages: Storages<'a>,
    pub budget: Budget,
    flat: HashMap<&'a str, Tensor>,
}

impl<'a> Rebuilder<'a> {
    pub fn new(pickle: &'a Pickle<'a>, storages: Storages<'a>, budget: Budget) -> Self {
        Self { pickle, storages, budget, flat: HashMap::new() }
    }

    /// Whether a value would become a tensor in Python.
    pub fn is_tensor(&self, id: Id) -> bool {
        let Value::Call(call) = self.pickle.get(id) else { return false };
        self.pickle
            .function(call)
            .is_some_and(|(module, name)| module == "torch._utils" && name.starts_with("_rebuild_"))
    }

    /// What PyTorch calls the numbers of a tensor, where they are of a kind that is not read.
    pub fn unread_kind(&self, id: Id) -> Option<&'a str> {
        let Value::Call(call) = self.pickle.get(id) else { return None };
        let arguments = self.pickle.tuple(call.arguments)?;
        match (self.pickle.function(call)?.1, arguments) {
            // Kinds that have no storage of their own, as float8, are named after the tensor's shape.
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

    /// The tensor that a value would become.
    pub fn tensor(&mut self, mut id: Id) -> Result<Tensor, String> {
        loop {
            let Value::Call(call) = self.pickle.get(id) else { return Err("something in place of a tensor".into()) };
            let arguments = self.pickle.tuple(call.arguments).unwrap_or_default();
            match (self.pickle.function(call), arguments) {
                // The parameter of a module is a tensor and a flag. Its tensor came before it, so that this ends.
                (Some((_, "_rebuild_parameter")), [data, ..]) => id = *data,
                (Some((_, "_rebuild_tensor_v2")), [storage, offset, size, stride, ..]) => {
                    return self.view(*storage, *offset, *size, *stride);
                }
                (Some((_, name)), _) => return Err(format!("a tensor made by {name}, which is not a dense one")),
                _ => return Err("something in place of a tensor".into()),
            }
        }
    }

    fn view(&mut self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<Tensor, String> {
        let flat = self.storage(storage)?;
        let (size, stride) = (self.integers(size)?, self.integers(stride)?);
        let offset = self.integer(offset)?;
        if size.len() != stride.len() || size.len() > MOST_DIMENSIONS {
            return Err(format!("a tensor of {} sizes and {} strides", size.len(), stride.len()));
        }
        let Some(count) = elements(&size) else { return Err(format!("a tensor of sizes {size:?}")) };
        let steps = size.iter().zip(&stride).filter(|(size, _)| **size > 1);
        let last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride)).sum::<Option<i64>>();
        let last = last.and_then(|last| last.checked_add(offset));
        let held = flat.numel() as i64;
        if count > 0 && last.is_none_or(|last| last >= held) {
            return Err(format!("a tensor of sizes {size:?} in a storage of {held} numbers"));
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

    /// A storage as one row of numbers.
    fn storage(&mut self, id: Id) -> Result<Tensor, String> {
        let pickle = self.pickle;
        let Some((kind, key, count)) = description(pickle, id) else {
            return Err("a storage that is not described as PyTorch does it".into());
        };
        let (kind, width) = kind?;
        if let Some(flat) = self.flat.get(key) {
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
        self.flat.insert(key, flat.shallow_clone());
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

/// How many numbers a tensor of these sizes has; nothing where libtorch could not count its strides.
pub(crate) fn elements(size: &[i64]) -> Option<i64> {
    let strides = size.iter().try_fold(1i64, |product, &size| product.checked_mul(size.max(1)))?;
    Some(if size.contains(&0) { 0 } else { strides })
}

/// Kind and bytes a number, key, and count of numbers of a storage, from
/// `('storage', torch.FloatStorage, key, location, count)`.
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
