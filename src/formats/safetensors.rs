//! Reads tensors from any safetensors file, and writes the variables of a store under PyTorch's names.

use super::pytorch::{Named, Problem};
use super::rebuild::{MAX_DIMENSIONS, elements};
use crate::error::{Cause, Error, Result};
use crate::platform::files::replace;
use crate::platform::open::open;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// The element types, in safetensors and in libtorch.
const KINDS: [(Dtype, Kind); 10] = [
    (Dtype::F64, Kind::Double),
    (Dtype::F32, Kind::Float),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::I16, Kind::Int16),
    (Dtype::I8, Kind::Int8),
    (Dtype::U8, Kind::Uint8),
    (Dtype::BOOL, Kind::Bool),
];

/// Python that loads a file.
const LOAD: &str = "__import__('safetensors.torch').torch.load_file(sys.argv[1])";

/// Returns whether bytes start as a safetensors file does: with a length, then a JSON object.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// Reads the tensors of a file, sorted by name.
pub(crate) fn read(bytes: &[u8]) -> std::result::Result<Named, Problem> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut named = Vec::new();
    for (name, view) in file.iter() {
        let kind = KINDS.iter().find(|(dtype, _)| *dtype == view.dtype());
        let kind = kind
            .map(|&(_, kind)| kind)
            .ok_or_else(|| Problem::unread_kind(name, &format!("{:?}", view.dtype()), LOAD))?;
        let shape = fits(&view, kind).ok_or_else(|| format!("{name} has the impossible shape {:?}", view.shape()))?;
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|error| error.to_string())?;
        named.push((name.to_string(), tensor));
    }
    named.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(named)
}

/// Reads the metadata of a file.
pub(crate) fn metadata(bytes: &[u8]) -> std::result::Result<HashMap<String, String>, String> {
    let (_, header): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    Ok(header.metadata().clone().unwrap_or_default())
}

/// The metadata of a file whose tensors are left unread; `None` where there is none.
pub(crate) fn header_of(path: &Path) -> Option<HashMap<String, String>> {
    /// The longest header, in bytes: what safetensors itself allows.
    const LONGEST: u64 = 100_000_000;
    let mut file = open(path).ok()?.file;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(LONGEST)).read_to_end(&mut header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    serde_json::from_value(header.get("__metadata__")?.clone()).ok()
}

/// The shape of a tensor in a file, if it can be one of libtorch's and has as many bytes as it should.
pub(crate) fn fits(view: &TensorView<'_>, kind: Kind) -> Option<Vec<i64>> {
    let shape: Vec<i64> = view.shape().iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
    let length = elements(&shape).and_then(|count| count.checked_mul(kind.elt_size_in_bytes() as i64));
    (length == Some(view.data().len() as i64) && shape.len() <= MAX_DIMENSIONS).then_some(shape)
}

/// Writes the variables of a store with their element types, atomically. In Python,
/// `model.load_state_dict(safetensors.torch.load_file(path))` reads them.
///
/// # Errors
/// Fails if the file cannot be written; an existing file at `path` then stays.
pub fn write_safetensors(path: &Path, store: &VarStore) -> Result<()> {
    let named: Vec<(String, Tensor)> = store.variables().into_iter().collect();
    // The format's name for PyTorch, which some readers require.
    write_named(path, named, HashMap::from([("format".to_string(), "pt".to_string())]))
}

/// Writes tensors with their element types, and metadata, atomically.
pub(crate) fn write_named(
    path: &Path,
    mut named: Vec<(String, Tensor)>,
    mut metadata: HashMap<String, String>,
) -> Result<()> {
    let failed = |cause: Cause| Error::caused(path, "cannot be written", cause);
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let contents = named.iter().map(|(_, tensor)| bytes_of(tensor)).collect::<Result<Vec<_>>>()?;
    let views = named.iter().zip(&contents).map(|((name, tensor), bytes)| {
        let dtype = KINDS.iter().find(|(_, kind)| *kind == tensor.kind());
        let dtype = dtype.ok_or_else(|| failed(format!("{name} is {:?}", tensor.kind()).into()))?.0;
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        Ok((name.as_str(), TensorView::new(dtype, shape, bytes).map_err(|error| failed(error.into()))?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    metadata.insert("gengs.version".into(), env!("CARGO_PKG_VERSION").into());
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(error.into()))?;
    replace(path, &bytes).map_err(|error| failed(error.into()))
}

/// Returns the bytes of a tensor in the machine's byte order; on all machines that libtorch runs on, this is the order
/// of the format.
pub(crate) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let count = tensor.numel();
    let mut bytes = vec![0; count * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, count)?;
    Ok(bytes)
}
