//! Checkpoints: one safetensors file with PyTorch's parameter names, the optimiser's state, and progress as metadata.
//!
//! A file is written beside its place, synced, and renamed into it, so that a reader sees the old or the new one,
//! whole. A checksum of all that it holds tells damage that leaves the format intact; files from before there were
//! checksums are read without.

use crate::error::{Cause, Error, Result};
use crate::formats::safetensors::{bytes_of, fits, header_of};
use crate::nn::Adam;
use crate::nn::is_finite;
use crate::platform::files::replace;
use crate::platform::{budget, open};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tch::nn::VarStore;
use tch::{Kind, Tensor, no_grad_guard};

/// What a checkpoint holds beside parameters: the optimiser's state, and what an estimator learned.
const NO_PARAMETERS: [&str; 3] = ["adam.", "estimator.", DIAGNOSED];

/// What is in front of names of what estimators learned that only look at gradients. A checkpoint may lack it.
pub(super) const DIAGNOSED: &str = "diagnosed.";

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that are complete.
    pub epochs: usize,
    /// Steps made in the epoch that is not.
    pub steps: usize,
    /// Updates made by the model's optimiser.
    pub updates: i64,
    /// Updates made by the other optimisers.
    #[serde(default)]
    pub other_updates: Vec<i64>,
    /// Sums of the task's [metrics](super::TrainTask::METRICS) over the steps of the epoch that is not complete.
    pub sums: Vec<f64>,
    /// Steps of that epoch that were left out, since they were not finite.
    #[serde(default)]
    pub skipped_steps: usize,
    /// Examples whose numbers are not in the sums, since these would not be finite.
    #[serde(default)]
    pub uncounted_examples: i64,
    /// The lowest [selection metric](super::Record::selection_metric) so far, and the epoch that reached it.
    pub best: Option<(f64, usize)>,
    /// Seconds spent training.
    pub seconds: f64,
}

const PROGRESS: &str = "gengs.progress";

/// The name of the checksum in the metadata.
const CHECKSUM: &str = "gengs.crc32";

/// A part of the progress that came with the checksum: a checkpoint that has the one was written with the other.
const SINCE_CHECKSUMS: &str = "\"skipped_steps\"";

/// The most epochs that a run may have made.
const MOST_EPOCHS: usize = 1_000_000;

impl Progress {
    /// Fails, in a few words, with a number that no run comes to.
    fn check(&self) -> std::result::Result<(), String> {
        let Self { epochs, steps, updates, sums, skipped_steps, uncounted_examples, seconds, .. } = self;
        let count = |number: usize| number <= 1 << 53;
        let others = self.other_updates.iter().all(|&updates| updates >= 0);
        let whole = [*updates, *uncounted_examples].iter().all(|&number| number >= 0) && others;
        let numbers = sums.iter().chain([seconds]).all(|number| number.is_finite()) && *seconds >= 0.0;
        if *epochs <= MOST_EPOCHS && count(*steps) && count(*skipped_steps) && whole && numbers {
            return Ok(());
        }
        Err(format!("its record of progress is impossible: epoch {epochs}, step {steps}, {updates} updates"))
    }

    /// Fails where it is not that of a task whose steps return so many numbers and whose epochs have so many steps.
    pub(super) fn check_fit(&self, metrics: usize, steps_per_epoch: usize) -> Result<()> {
        if self.sums.len() != metrics {
            let allowed = format!("{metrics}, one for each metric of a step");
            return Err(Error::parameter("number of sums in the checkpoint", self.sums.len(), allowed));
        }
        if self.steps > steps_per_epoch {
            let allowed = format!("at most {steps_per_epoch}, those of an epoch: the data are others than in training");
            return Err(Error::parameter("steps that the checkpoint has made", self.steps, allowed));
        }
        Ok(())
    }
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    progress: Progress,
    /// The checksum of all that it holds.
    mark: String,
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
        let failed = |cause: Cause| {
            let kept = if path.exists() { "the one before it is kept" } else { "there is none before it" };
            Error::caused(path, format!("the checkpoint cannot be written, and {kept}"), cause)
        };
        let float = |tensor: &Tensor| bytes_of(&tensor.detach().f_to_kind(Kind::Float)?);
        let contents = named.iter().map(|(_, tensor)| float(tensor)).collect::<Result<Vec<_>>>()?;
        let views = named
            .iter()
            .zip(&contents)
            .map(|((name, tensor), bytes)| {
                let shape = tensor.size().iter().map(|&size| size as usize).collect();
                Ok((name.as_str(), TensorView::new(Dtype::F32, shape, bytes).map_err(|error| failed(error.into()))?))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let progress = serde_json::to_string(progress).map_err(|error| failed(error.into()))?;
        let metadata = HashMap::from([
            (CHECKSUM.to_string(), checksum(&progress, &views)),
            (PROGRESS.to_string(), progress),
            ("gengs.version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(error.into()))?;
        replace(path, &bytes).map_err(|error| failed(error.into()))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When the file is missing, truncated, damaged, or not one of ours.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = open::whole(path, budget::WEIGHTS).map_err(|error| Error::file(path, error))?;
        Self::from_bytes(path, &bytes)
    }

    /// How far the run had come at a checkpoint, by the start of its file alone; `None` where that cannot be read,
    /// which is the error of whoever reads the whole file.
    pub fn peek(path: &Path) -> Option<Progress> {
        let metadata = header_of(path)?;
        serde_json::from_str(metadata.get(PROGRESS)?).ok()
    }

    /// Whether these are bytes of a safetensors file that has a record of progress.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        let header: Option<(usize, Metadata)> = SafeTensors::read_metadata(bytes).ok();
        let metadata = header.and_then(|(_, header)| header.metadata().clone());
        metadata.is_some_and(|metadata| metadata.contains_key(PROGRESS))
    }

    /// From the bytes of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |problem: &str| Error::file(path, format!("not a whole checkpoint ({problem})"));
        let unreadable = |cause: Cause| Error::caused(path, "not a whole checkpoint", cause);
        let (_, header): (usize, Metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| unreadable(error.into()))?;
        let metadata = header.metadata().as_ref();
        let text = metadata.and_then(|metadata| metadata.get(PROGRESS));
        let text = text.ok_or_else(|| damaged("it has no record of progress"))?;
        let progress: Progress = serde_json::from_str(text).map_err(|error| unreadable(error.into()))?;
        progress.check().map_err(|problem| damaged(&problem))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.into()))?;
        let views: BTreeMap<&str, TensorView<'_>> = file.iter().collect();
        if let Some((name, view)) = views.iter().find(|(_, view)| view.dtype() != Dtype::F32) {
            return Err(damaged(&format!("tensor {name} is {:?}, not F32", view.dtype())));
        }
        let expected = metadata.and_then(|metadata| metadata.get(CHECKSUM));
        if expected.is_none() && text.contains(SINCE_CHECKSUMS) {
            return Err(damaged("its checksum is missing"));
        }
        let mark = checksum(text, &views);
        if expected.is_some_and(|expected| *expected != mark) {
            return Err(damaged("its checksum is another one than when it was written"));
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in views {
            let shape = fits(&view, Kind::Float)
                .ok_or_else(|| damaged(&format!("tensor {name} has the impossible shape {:?}", view.shape())))?;
            let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
            if !is_finite(&tensor)? {
                return Err(damaged(&format!("tensor {name} holds a number that is not finite")));
            }
            tensors.insert(name.to_string(), tensor);
        }
        Ok(Self { path: path.to_path_buf(), tensors, progress, mark })
    }

    /// The parameters of the model, without the optimiser's state and what an estimator learned.
    pub(super) fn into_parameters(self) -> impl Iterator<Item = (String, Tensor)> {
        self.tensors.into_iter().filter(|(name, _)| !NO_PARAMETERS.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// How the tensors of another checkpoint differ from its own, if they do.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        difference(&self.tensors, &other.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect())
    }

    /// How far the run had come.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// What tells it from other checkpoints.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether it holds what a model consists of, and nothing else, before anything of it is copied.
    ///
    /// # Errors
    /// With the first tensor, by name, that one has and the other has not, or that has another shape.
    pub fn check(&self, contents: &[(String, Tensor)]) -> Result<()> {
        let model: BTreeMap<&str, &Tensor> = contents.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        difference(&self.tensors, &model).map_or(Ok(()), |difference| {
            Err(Error::file(&self.path, format!("belongs to another model than config.toml describes: {difference}")))
        })
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

    /// A tensor by its name.
    pub(super) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Copies tensors by their names, after all shapes were compared.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub(super) fn copy_into(&self, targets: Vec<(String, Tensor)>) -> Result<()> {
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

/// The first tensor, by name, that a checkpoint has and a model has not, or the other way, or that has another shape.
fn difference(found: &BTreeMap<String, Tensor>, model: &BTreeMap<&str, &Tensor>) -> Option<String> {
    let names = model.keys().copied().chain(found.keys().map(String::as_str));
    let names: BTreeSet<&str> = names.filter(|name| !name.starts_with(DIAGNOSED)).collect();
    names.into_iter().find_map(|name| match (found.get(name), model.get(name)) {
        (None, _) => Some(format!("has no tensor {name}, which the model has")),
        (_, None) => Some(format!("has a tensor {name}, which the model has not")),
        (Some(found), Some(expected)) if found.size() != expected.size() => {
            Some(format!("tensor {name} has shape {:?}, but {:?} in the model", found.size(), expected.size()))
        }
        _ => None,
    })
}

/// The first tensor that is not finite.
pub(super) fn not_finite(contents: Vec<(String, Tensor)>) -> Option<String> {
    let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
    contents.into_iter().find(|(_, tensor)| !finite(tensor)).map(|(name, _)| format!("parameter {name}"))
}

/// The checksum of names, shapes and numbers, in the order of the names, and of progress.
fn checksum(progress: &str, views: &BTreeMap<&str, TensorView<'_>>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(progress.as_bytes());
    for (name, view) in views {
        hasher.update(format!("\n{name} {:?}\n", view.shape()).as_bytes());
        hasher.update(view.data());
    }
    format!("{:08x}", hasher.finalize())
}
