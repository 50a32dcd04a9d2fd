//! Further files of a run beside its checkpoints: a record and tensors in one safetensors file, with a checksum over
//! both.

use super::run_files::max_bytes;
use super::run_folder::RunFolder;
use crate::error::{Error, Result};
use crate::formats::safetensors::{bytes_of, metadata, read as read_tensors, write_named};
use crate::platform::open;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::Tensor;

/// The key of the record in the file's metadata.
const RECORD: &str = "gengs.record";
/// The key of the checksum in the file's metadata.
const CHECKSUM: &str = "gengs.crc32";

/// Writes a record and tensors atomically.
///
/// # Errors
/// Fails if the file cannot be written.
pub(super) fn write(
    folder: &RunFolder,
    name: &str,
    record: &impl Serialize,
    named: Vec<(String, Tensor)>,
) -> Result<()> {
    let path = folder.file(name);
    let record = serde_json::to_string(record).map_err(|error| Error::caused(&path, "cannot be written", error))?;
    let checksum = checksum(&record, &named)?;
    let metadata = HashMap::from([(RECORD.to_string(), record), (CHECKSUM.to_string(), checksum)]);
    write_named(&path, named, metadata)
}

/// Reads a record and tensors; `None` if the file does not exist.
///
/// # Errors
/// Fails if the file is damaged, or is not such a file.
pub(super) fn read<R: DeserializeOwned>(
    folder: &RunFolder,
    name: &str,
) -> Result<Option<(R, BTreeMap<String, Tensor>)>> {
    let path = folder.file(name);
    if !path.exists() {
        return Ok(None);
    }
    parse(&path).map(Some)
}

/// Reads a file that exists.
fn parse<R: DeserializeOwned>(path: &Path) -> Result<(R, BTreeMap<String, Tensor>)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = open::whole(path, max_bytes(&name)).map_err(|error| Error::file(path, error))?;
    let damaged =
        |problem: String| Error::file(path, format!("is damaged ({problem}); the run works without it, so remove it"));
    let metadata = metadata(&bytes).map_err(damaged)?;
    let (Some(record), Some(expected)) = (metadata.get(RECORD), metadata.get(CHECKSUM)) else {
        return Err(damaged("it has no record".into()));
    };
    let named = read_tensors(&bytes).map_err(|problem| damaged(format!("{problem:?}")))?;
    if *expected != checksum(record, &named)? {
        return Err(damaged("its checksum does not match its content".into()));
    }
    let record = serde_json::from_str(record).map_err(|error| damaged(error.to_string()))?;
    Ok((record, named.into_iter().collect()))
}

/// Computes the checksum of the record, and of the names, kinds, shapes and elements of the tensors, ordered by name.
fn checksum(record: &str, named: &[(String, Tensor)]) -> Result<String> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(record.as_bytes());
    let sorted: BTreeMap<&str, &Tensor> = named.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    for (name, tensor) in sorted {
        hasher.update(format!("\n{name} {:?} {:?}\n", tensor.kind(), tensor.size()).as_bytes());
        hasher.update(&bytes_of(tensor)?);
    }
    Ok(format!("{:08x}", hasher.finalize()))
}
