//! Exports a VAE as a TorchScript archive, which `torch.jit.load` reads.
//!
//! An archive is a zip file whose entries are stored uncompressed, at multiples of 64 bytes, so that they can be mapped
//! into memory: `data.pkl`, a pickle of the module that describes its tensors; `data/N`, the elements of tensor `N`;
//! `code/__torch__.py`, the classes; `extra/NAME`, texts.

use super::vae_source::{Attribute, Script};
use crate::error::{Cause, Error, Result};
use crate::formats::safetensors::bytes_of;
use crate::models::Vae;
use crate::platform::files::replace;
use crate::training::TrainConfig;
use std::io::{Cursor, Write};
use std::path::Path;
use tch::{Kind, Tensor};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The alignment of entries in bytes, as in PyTorch.
const ALIGNMENT: u16 = 64;

/// The format version that PyTorch 2.11 writes unless an operation needs a later one.
const VERSION: &[u8] = b"3\n";

/// Writes a VAE as a TorchScript module with PyTorch's parameter names, atomically. Its methods are `encode` (log
/// weights of the posterior, `[B, latents, n]`), `mean` (of log weights), `decode` (pixel logits), and `reconstruct`,
/// also named `forward` (pixel probabilities at the posterior's mean). The settings that a reader needs are attributes
/// of the module, and are in the extra file `gengs.json`.
///
/// # Errors
/// Fails if the file cannot be written; an existing file at `path` then stays.
pub fn write_torchscript(path: &Path, vae: &Vae, config: &TrainConfig) -> Result<()> {
    let truncation = config.truncation.map_or_else(|| vae.prior().len().to_string(), |setting| setting.to_string());
    let script = vae.script(vec![
        ("temperature", Attribute::Float(config.temperature.last)),
        ("truncation", Attribute::Text(truncation)),
        ("gengs_version", Attribute::Text(env!("CARGO_PKG_VERSION").into())),
    ]);
    let parameters = vae.parameters();
    let entries =
        entries(pickle(&script, &parameters), &parameters, &script.source, &json_description(&script.attributes)?)?;
    write(path, "vae", &entries)
}

/// Returns the attributes as the JSON object of `gengs.json`.
pub(super) fn json_description(
    attributes: &[(&'static str, Attribute)],
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let named = attributes.iter().map(|(name, value)| Ok((name.to_string(), serde_json::to_value(value)?)));
    named
        .collect::<serde_json::Result<_>>()
        .map_err(|error| Error::Config(format!("no JSON of the settings ({error})")))
}

/// Returns the entries of an archive, as names and bytes: the module, its tensors, its source, and a description.
pub(super) fn entries(
    pickle: Vec<u8>,
    tensors: &[(String, Tensor)],
    source: &str,
    description: &serde_json::Map<String, serde_json::Value>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = vec![("data.pkl".to_string(), pickle)];
    for (i, (_, tensor)) in tensors.iter().enumerate() {
        entries.push((format!("data/{i}"), bytes_of(&tensor.to_kind(Kind::Float))?));
    }
    let description = serde_json::Value::Object(description.clone()).to_string();
    let further_entries: [(&str, &[u8]); 5] = [
        ("code/__torch__.py", source.as_bytes()),
        // No constants: an empty tuple.
        ("constants.pkl", b"\x80\x02)."),
        ("version", VERSION),
        ("byteorder", b"little"),
        ("extra/gengs.json", description.as_bytes()),
    ];
    entries.extend(further_entries.map(|(name, bytes)| (name.to_string(), bytes.to_vec())));
    Ok(entries)
}

/// Writes an archive atomically; its entries lie in `folder`.
pub(super) fn write(path: &Path, folder: &str, entries: &[(String, Vec<u8>)]) -> Result<()> {
    let failed = |cause: Cause| Error::caused(path, "cannot be written", cause);
    let bytes = archive(folder, entries).map_err(|error| failed(error.into()))?;
    replace(path, &bytes).map_err(|error| failed(error.into()))
}

/// Packs the entries into a zip file.
fn archive(folder: &str, entries: &[(String, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = FileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file_aligned(format!("{folder}/{name}"), options, ALIGNMENT)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Pickles the module: an object of class `Vae`, with its layers as objects in it.
fn pickle(script: &Script, parameters: &[(String, Tensor)]) -> Vec<u8> {
    let mut writer = Pickler::new();
    writer.object("Vae", |members| {
        for (name, value) in &script.attributes {
            members.text(name);
            members.attribute(value);
        }
        for part in ["Encoder", "Decoder"] {
            let prefix = format!("{}.", part.to_lowercase());
            let mut layers: Vec<(&str, &str, usize)> = Vec::new();
            for (i, (name, _)) in parameters.iter().enumerate() {
                let layer = name.strip_prefix(&prefix).and_then(|name| name.split_once('.'));
                layers.extend(layer.map(|(number, member)| (number, member, i)));
            }
            members.text(&part.to_lowercase());
            members.object(part, |members| {
                for layer in layers.chunk_by(|a, b| a.0 == b.0) {
                    members.text(layer[0].0);
                    members.object("Linear", |members| {
                        for &(_, member, i) in layer {
                            members.text(member);
                            members.tensor(i, &parameters[i].1, true);
                        }
                    });
                }
            });
        }
    });
    writer.finish()
}

/// Writes pickles with the opcodes that TorchScript uses.
pub(super) struct Pickler(Vec<u8>);

impl Pickler {
    pub fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'.');
        self.0
    }

    pub fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// Writes a signed integer of eight bytes.
    fn int(&mut self, x: i64) {
        self.0.extend(b"\x8a\x08");
        self.0.extend(x.to_le_bytes());
    }

    pub fn attribute(&mut self, value: &Attribute) {
        match value {
            Attribute::Int(x) => self.int(*x),
            Attribute::Float(x) => {
                self.0.push(b'G');
                self.0.extend(x.to_be_bytes());
            }
            Attribute::Text(text) => self.text(text),
        }
    }

    /// Writes an object of a class of `code/__torch__.py`, with its members. Every object has the member `training`,
    /// which is false.
    pub fn object(&mut self, class: &str, members: impl FnOnce(&mut Self)) {
        self.0.extend(format!("c__torch__\n{class}\n").as_bytes());
        self.0.extend(b")\x81}(");
        self.text("training");
        self.0.push(0x89);
        members(self);
        self.0.extend(b"ub");
    }

    /// Writes a contiguous float32 tensor whose elements are the entry `data/key`. `parameter` says whether it requires
    /// a gradient.
    pub fn tensor(&mut self, key: usize, tensor: &Tensor, parameter: bool) {
        let size = tensor.size();
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(b"ctorch\nFloatStorage\n");
        self.text(&key.to_string());
        self.text("cpu");
        self.int(tensor.numel() as i64);
        self.0.extend(b"tQ");
        self.int(0);
        let strides = (0..size.len()).map(|i| size[i + 1..].iter().product());
        for numbers in [size.clone(), strides.collect()] {
            self.0.push(b'(');
            numbers.into_iter().for_each(|x| self.int(x));
            self.0.push(b't');
        }
        self.0.push(if parameter { 0x88 } else { 0x89 });
        // An empty dictionary: the tensor has no hooks.
        self.0.extend(b"ccollections\nOrderedDict\n)RtR");
    }
}
