//! Weights from and to PyTorch.
//!
//! [`read`] detects the format of a file from its content:
//!
//! | file | what is read |
//! |---|---|
//! | any safetensors file | every tensor |
//! | a checkpoint of this library | the parameters |
//! | `torch.save(model.state_dict(), ...)`, or any dict of tensors; also from PyTorch before 1.6 | every tensor |
//! | `torch.jit.script(model).save(...)` or `torch.jit.trace` | parameters and buffers |
//! | `torch.save` of a checkpoint with the weights inside, or of a whole module | refused, with the Python command that converts it |
//!
//! Reading runs no code: pickles are read as data, and of a TorchScript file only the tensors are read. (To run a
//! TorchScript module, as `tch::CModule` does, is to run a program from whoever wrote the file.) Sizes are checked
//! before memory is allocated: a file can claim at most ten times its length and 64 MiB.
//!
//! [`load_into`] copies tensors into a model, all or none. [`write_safetensors`] and the functions in
//! [`export`](crate::export) write weights.

mod topic_model;

pub use crate::formats::safetensors::write_safetensors;
pub use topic_model::read_topics;

use super::bound_settings::BoundValues;
use super::checkpoint::Checkpoint;
use super::{Settings, TrainConfig};
use crate::error::{Error, Result};
use crate::formats::pytorch::{self, Named, Problem};
use crate::formats::safetensors;
use crate::markup::shell_word;
use crate::models::Vae;
use crate::nn::is_finite;
use crate::platform::{budget, open};
use crate::random;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::nn::VarStore;
use tch::{Device, Tensor, no_grad_guard};

/// Prefixes that PyTorch adds to the names of a wrapped model.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The most names that a message lists.
const LISTED: usize = 3;

/// Reads the named tensors of a file to a device, with their element types.
///
/// # Errors
/// Fails if the file is missing, damaged, or has no named tensors. If Python can convert the file, the message has the
/// command.
pub fn read(path: &Path, device: Device) -> Result<Vec<(String, Tensor)>> {
    read_bound(path, device).map(|(named, _)| named)
}

/// The same, with the settings that a checkpoint is bound to.
fn read_bound(path: &Path, device: Device) -> Result<(Named, Option<BoundValues>)> {
    let bytes = open::whole(path, budget::WEIGHTS).map_err(|error| Error::file(path, error))?;
    let damaged = |problem: String| Problem::Damaged(format!("not a whole file of weights ({problem}); get it again"));
    let named = if bytes.starts_with(b"PK\x03\x04") {
        pytorch::from_archive(&bytes)
    } else if bytes.starts_with(pytorch::LEGACY) {
        pytorch::from_legacy(&bytes)
    } else if safetensors::is_one(&bytes) {
        match Checkpoint::is_one(&bytes) {
            // A checkpoint is read whole or refused: it has a checksum and a list of its contents.
            true => {
                let checkpoint = Checkpoint::from_bytes(path, &bytes)?;
                let bound = checkpoint.bound().cloned();
                return Ok((on_device(checkpoint.into_parameters(), device)?, bound));
            }
            false => safetensors::read(&bytes),
        }
    } else if let Some(problem) = parts(&bytes) {
        Err(problem)
    } else {
        return Err(Error::file(
            path,
            "no weights are found in it: it must be a safetensors file, one of torch.save, or a TorchScript module",
        ));
    };
    let named = named.map_err(|problem| match problem {
        Problem::Damaged(problem) => damaged(problem),
        foreign => foreign,
    });
    let named = named.map_err(|problem| match problem {
        Problem::Damaged(problem) => Error::file(path, problem),
        Problem::Suspicious(what) => {
            Error::file(path, format!("{what}: the file is damaged, or made to do harm; do not load it in Python"))
        }
        Problem::Foreign { what, code } => match command(path, &code) {
            Some(command) => Error::file(path, format!("{what}; convert it with: {command}")),
            None => Error::file(path, format!("{what}; rename the file to have the command that converts it")),
        },
    })?;
    Ok((on_device(named, device)?, None))
}

/// Moves named tensors to a device.
fn on_device(named: impl IntoIterator<Item = (String, Tensor)>, device: Device) -> Result<Named> {
    named.into_iter().map(|(name, tensor)| Ok((name, tensor.f_to_device(device)?))).collect()
}

/// Returns the problem of an index of several safetensors files (`model.safetensors.index.json`), which has no weights
/// itself; `None` if the bytes are no such index.
fn parts(bytes: &[u8]) -> Option<Problem> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Index { weight_map } = bytes.starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()?;
    let files: std::collections::BTreeSet<String> = weight_map.into_values().collect();
    Some(Problem::Foreign {
        what: format!(
            "it is the list of a checkpoint in parts ({}), and holds no weights",
            listed(files.into_iter().collect())?
        ),
        code: "import json, os; from safetensors.torch import load_file; d = os.path.dirname(sys.argv[1]); \
               files = set(json.load(open(sys.argv[1]))['weight_map'].values()); \
               torch.save({k: v for f in files for k, v in load_file(os.path.join(d, f)).items()}, sys.argv[2])"
            .into(),
    })
}

/// Returns a command line that runs Python code on a file and writes the result beside it; `None` if the file's name
/// cannot be quoted for a shell.
fn command(path: &Path, code: &str) -> Option<String> {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push("-weights.pt");
    let words = [shell_word(path)?, shell_word(&path.with_file_name(name))?].join(" ");
    Some(format!("python -c \"import sys, torch; {code}\" {words}"))
}

/// Copies tensors into the variables of a store, after checking all of them: both must have the same names and shapes,
/// and all numbers must be finite. Floating-point tensors are converted to the type of the variable, such as float64 to
/// float32.
///
/// If all names begin with a prefix that PyTorch adds to a wrapped model (`module.`, `_orig_mod.`) and the model's
/// names do not, the prefix is removed. The returned sentence says so; it is `None` otherwise.
///
/// # Errors
/// Fails if a tensor does not fit. One sentence lists all problems, and nothing is copied. `source` is the file that
/// the message names.
pub fn load_into(store: &VarStore, tensors: &[(String, Tensor)], source: &Path) -> Result<Option<String>> {
    let variables: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    let prefix = prefix(tensors, |name| variables.contains_key(name));
    let given = tensors.iter().map(|(name, tensor)| (name.strip_prefix(&prefix).unwrap_or(name), tensor));
    let given: BTreeMap<&str, &Tensor> = given.collect();
    let missing = variables.keys().filter(|name| !given.contains_key(name.as_str())).cloned().collect();
    let surplus = given.keys().filter(|name| !variables.contains_key(**name)).map(|name| name.to_string()).collect();
    let pairs = || variables.iter().filter_map(|(name, variable)| Some((name, variable, *given.get(name.as_str())?)));
    let shapes = pairs()
        .filter(|(_, variable, tensor)| variable.size() != tensor.size())
        .map(|(name, variable, tensor)| format!("{name} is {:?} and not {:?}", tensor.size(), variable.size()))
        .collect();
    let kinds = pairs()
        .filter(|(_, variable, tensor)| {
            variable.kind() != tensor.kind() && !(variable.is_floating_point() && tensor.is_floating_point())
        })
        .map(|(name, variable, tensor)| format!("{name} is {:?} and not {:?}", tensor.kind(), variable.kind()))
        .collect();
    let mut broken = Vec::new();
    for (name, _, tensor) in pairs() {
        if !is_finite(tensor)? {
            broken.push(name.clone());
        }
    }
    let problems: Vec<String> = [
        ("it lacks", missing),
        ("the model has no", surplus),
        ("of another shape:", shapes),
        ("of another kind:", kinds),
        ("with numbers that are not finite:", broken),
    ]
    .into_iter()
    .filter_map(|(what, names)| Some(format!("{what} {}", listed(names)?)))
    .collect();
    if !problems.is_empty() {
        return Err(Error::file(source, format!("its weights do not fit the model: {}", problems.join("; "))));
    }
    let _guard = no_grad_guard();
    for (_, variable, tensor) in pairs() {
        variable.shallow_clone().f_copy_(&tensor.f_to_kind(variable.kind())?)?;
    }
    let note = || format!("{}: '{prefix}' was taken off the names of its weights", source.display());
    Ok((!prefix.is_empty()).then(note))
}

/// Returns the prefix of PyTorch that all names have: `module.` from DataParallel and similar wrappers, `_orig_mod.`
/// from torch.compile. It is empty if the model has a variable with one of these names.
fn prefix(tensors: &[(String, Tensor)], is_variable: impl Fn(&str) -> bool) -> String {
    let mut prefix = String::new();
    if tensors.iter().any(|(name, _)| is_variable(name)) {
        return prefix;
    }
    let all_have = |prefix: &str| !tensors.is_empty() && tensors.iter().all(|(name, _)| name.starts_with(prefix));
    while let Some(longer) = WRAPPERS.iter().map(|wrapper| format!("{prefix}{wrapper}")).find(|longer| all_have(longer))
    {
        prefix = longer;
    }
    prefix
}

/// Returns a tensor by its name without a prefix of PyTorch.
fn named<'a>(tensors: &'a [(String, Tensor)], name: &str) -> Option<&'a Tensor> {
    let prefix = prefix(tensors, |found| found == name);
    let found = tensors.iter().find(|(found, _)| found.strip_prefix(&prefix) == Some(name));
    found.map(|(_, tensor)| tensor)
}

/// A file, and the settings that its weights are bound to, where it is a checkpoint that knows them.
type Source = (PathBuf, Option<BoundValues>);

/// A model with the weights of a file.
#[derive(Debug)]
pub struct FromFile<M> {
    /// The store of the model's variables.
    pub store: VarStore,
    /// The model.
    pub model: M,
    /// A sentence about a prefix that was removed from the names of the weights.
    pub note: Option<String>,
    source: Source,
}

impl<M> FromFile<M> {
    /// Fails where the file is a checkpoint of a run with other settings, also of those that do not change the model:
    /// for who takes it for a run's own.
    ///
    /// # Errors
    /// [`Error::OtherSettings`], with the first that differs.
    pub fn check_run(&self, settings: &impl Settings) -> Result<()> {
        let (path, bound) = &self.source;
        bound.as_ref().map_or(Ok(()), |bound| bound.check_run(settings, path))
    }
}

/// The tensors of a file, and the settings that they are bound to, whose model must be that of a run's settings.
fn read_for(settings: &impl Settings, path: &Path, device: Device) -> Result<(Named, Source)> {
    let (tensors, bound) = read_bound(path, device)?;
    bound.as_ref().map_or(Ok(()), |bound| bound.check_model(settings, path))?;
    Ok((tensors, (path.into(), bound)))
}

/// Lists the first few names and the number of the others; `None` without names.
fn listed(names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(LISTED);
    let first = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first),
        (false, more) => Some(format!("{first} and {more} more")),
    }
}

/// Makes a VAE of a run's architecture with the weights of a file. The size of the images is that of the file's
/// `encoder.0.weight`.
///
/// # Errors
/// Fails as [`read`] and [`load_into`] do, and with [`Error::OtherSettings`] for a checkpoint whose model has other
/// settings.
pub fn read_vae(config: &TrainConfig, path: &Path, device: Device) -> Result<FromFile<Vae>> {
    let (tensors, source) = read_for(config, path, device)?;
    let first = named(&tensors, "encoder.0.weight").map(Tensor::size);
    let Some(&[_, pixels]) = first.as_deref() else {
        return Err(Error::file(
            path,
            "its weights do not fit the model: it lacks a matrix encoder.0.weight, whose columns are an image's pixels",
        ));
    };
    let store = VarStore::new(device);
    let _generator = random::hold();
    let model = Vae::new(&store.root(), &config.vae(pixels))?;
    let note = load_into(&store, &tensors, path)?;
    Ok(FromFile { store, model, note, source })
}
