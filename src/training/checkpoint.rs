//! Checkpoints: one safetensors file with PyTorch's parameter names, the optimiser's state, and progress as metadata.
//!
//! A file is written beside its place, synced, and renamed into it, so that a reader sees the old or the new one, whole.

use crate::nn::Adam;
use crate::{Error, Result};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Kind, Tensor, no_grad_guard};

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that are complete.
    pub epochs: usize,
    /// Steps made in the epoch that is not.
    pub steps: usize,
    /// Updates made by the optimiser.
    pub updates: i64,
    /// Sums over the steps of the epoch that is not complete: negative ELBO, KL.
    pub sums: [f64; 2],
    /// Best validation result so far: negative ELBO, and the epoch that reached it.
    pub best: Option<(f64, usize)>,
    /// Seconds spent training.
    pub seconds: f64,
}

pub(super) const PROGRESS: &str = "gengs.progress";

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    progress: Progress,
}

impl Checkpoint {
    /// What a checkpoint holds, by name, sharing memory with the model.
    pub fn contents(store: &VarStore, adam: &Adam) -> Vec<(String, Tensor)> {
        let mut named: Vec<(String, Tensor)> = store.variables().into_iter().chain(adam.state()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Writes [`contents`](Self::contents) and progress to `path`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written; what stood at `path` is then still there.
    pub fn write(path: &Path, named: &[(String, Tensor)], progress: &Progress) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::file(path, format!("the checkpoint cannot be written ({error}); the one before it is kept"))
        };
        let contents = named.iter().map(|(_, tensor)| bytes_of(tensor)).collect::<Result<Vec<_>>>()?;
        let views = named
            .iter()
            .zip(&contents)
            .map(|((name, tensor), bytes)| {
                let shape = tensor.size().iter().map(|&size| size as usize).collect();
                Ok((name.as_str(), TensorView::new(Dtype::F32, shape, bytes).map_err(|error| failed(&error))?))
            })
            .collect::<Result<Vec<_>>>()?;
        let progress = serde_json::to_string(progress).map_err(|error| failed(&error))?;
        let metadata = HashMap::from([
            (PROGRESS.to_string(), progress),
            ("gengs.version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))?;
        replace(path, &bytes).map_err(|error| failed(&error))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When the file is missing, truncated, or not one of ours.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
        let damaged = |error: &dyn std::fmt::Display| Error::file(path, format!("not a whole checkpoint ({error})"));
        let (_, header): (usize, Metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
        let progress = header.metadata().as_ref().and_then(|metadata| metadata.get(PROGRESS));
        let progress = progress.ok_or_else(|| damaged(&"it has no record of progress"))?;
        let progress = serde_json::from_str(progress).map_err(|error| damaged(&error))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(damaged(&format!("tensor {name} is {:?}, not F32", view.dtype())));
            }
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            tensors.insert(name.to_string(), Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?);
        }
        Ok(Self { tensors, progress })
    }

    /// How far the run had come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Copies the parameters into a store of the same names and shapes.
    ///
    /// # Errors
    /// With the first name that is missing or has another shape.
    pub fn restore(&self, store: &VarStore) -> Result<()> {
        let mut variables: Vec<_> = store.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        self.copy_into(variables)
    }

    /// Copies the optimiser's state.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_adam(&self, adam: &mut Adam) -> Result<()> {
        adam.set_steps(self.progress.updates);
        self.copy_into(adam.state())
    }

    fn copy_into(&self, targets: Vec<(String, Tensor)>) -> Result<()> {
        let _guard = no_grad_guard();
        let found = |name: &str| {
            self.tensors.get(name).ok_or_else(|| {
                Error::Config(format!("the checkpoint has no tensor {name}: it belongs to another model"))
            })
        };
        for (name, target) in &targets {
            let tensor = found(name)?;
            if tensor.size() != target.size() {
                return Err(Error::Shape {
                    what: format!("tensor {name} of the checkpoint"),
                    found: tensor.size(),
                    expected: format!("the model's {:?}", target.size()),
                });
            }
        }
        for (name, mut target) in targets {
            target.f_copy_(found(&name)?)?;
        }
        Ok(())
    }
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).reshape([-1]);
    Ok(Vec::<f32>::try_from(&flat)?.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// Writes a file beside `path`, syncs it, renames it into place, and syncs the folder.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        // Nobody will miss the half-written file, and a full disk needs its room.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
