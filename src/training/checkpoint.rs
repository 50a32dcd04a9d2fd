//! Checkpoints: one safetensors file with PyTorch's parameter names, the optimiser's state, and as metadata progress
//! and the settings that the weights are bound to.
//!
//! A file is written under a temporary name, synced, and renamed, so that a reader sees the old or the new file whole.
//! A checksum over the contents detects damage that leaves the format intact. Files without a checksum or without the
//! settings, from versions that wrote none, are read unchecked.

use super::bound_settings::BoundValues;
use super::settings::Settings;
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

/// Prefixes of the names that are no parameters of the model: the optimiser's state, and variables of estimators.
const NO_PARAMETERS: [&str; 3] = ["adam.", "estimator.", DIAGNOSED];

/// The prefix of the variables of estimators that a run only measures. A checkpoint may lack them.
pub(super) const DIAGNOSED: &str = "diagnosed.";

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Number of complete epochs.
    pub epochs: usize,
    /// Number of steps made in the current epoch.
    pub steps: usize,
    /// Number of updates by the model's optimiser.
    pub updates: i64,
    /// Numbers of updates by the other optimisers.
    #[serde(default)]
    pub other_updates: Vec<i64>,
    /// Sums of the task's [metrics](super::TrainTask::METRICS) over the steps of the current epoch.
    pub sums: Vec<f64>,
    /// Number of steps of the current epoch that were skipped because they were not finite.
    #[serde(default)]
    pub skipped_steps: usize,
    /// Number of examples left out of the sums because their metrics are not finite.
    #[serde(default)]
    pub uncounted_examples: i64,
    /// The lowest [selection metric](super::Record::selection_metric) so far, and the epoch that reached it.
    pub best: Option<(f64, usize)>,
    /// Seconds of training.
    pub seconds: f64,
}

/// The key of the progress in the metadata.
const PROGRESS: &str = "gengs.progress";

/// The key of the bound settings in the metadata.
const SETTINGS: &str = "gengs.settings";

/// The key of the checksum in the metadata.
const CHECKSUM: &str = "gengs.crc32";

/// A field that every version with checksums writes. A file with this field but without a checksum is damaged.
const SINCE_CHECKSUMS: &str = "\"skipped_steps\"";

/// The most epochs of a run, as the settings allow them.
const MOST_EPOCHS: usize = 1_000_000;

impl Progress {
    /// Checks that all numbers are possible. Fails with a few words.
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

    /// Checks that the task's steps return so many metrics, and that its epochs have so many steps.
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
    /// The settings that the checkpoint is bound to; `None` if it has none.
    bound: Option<BoundValues>,
    /// The checksum, which identifies the checkpoint.
    mark: String,
}

impl Checkpoint {
    /// Returns the contents of a checkpoint by name; they share memory with the model.
    pub fn contents(store: &VarStore, adam: &Adam) -> Vec<(String, Tensor)> {
        let mut named: Vec<(String, Tensor)> = store.variables().into_iter().chain(adam.state()).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Writes [`contents`](Self::contents) and progress to `path`, atomically.
    ///
    /// # Errors
    /// Fails if the file cannot be written; an existing file at `path` then stays.
    pub fn write(path: &Path, named: &[(String, Tensor)], progress: &Progress) -> Result<()> {
        Self::write_bound(path, named, progress, None)
    }

    /// The same, with the settings that the weights are bound to.
    pub(super) fn write_bound(
        path: &Path,
        named: &[(String, Tensor)],
        progress: &Progress,
        bound: Option<&BoundValues>,
    ) -> Result<()> {
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
        let bound = bound.map(serde_json::to_string).transpose().map_err(|error| failed(error.into()))?;
        let mut metadata = HashMap::from([
            (CHECKSUM.to_string(), checksum(&progress, bound.as_deref(), &views)),
            (PROGRESS.to_string(), progress),
            ("gengs.version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ]);
        metadata.extend(bound.map(|bound| (SETTINGS.to_string(), bound)));
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| failed(error.into()))?;
        replace(path, &bytes).map_err(|error| failed(error.into()))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// Fails if the file is missing, truncated, damaged, or not a checkpoint of this library.
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

    /// Reads a checkpoint from the bytes of a file.
    ///
    /// # Errors
    /// Fails as [`read`](Self::read) does.
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
        let settings = metadata.and_then(|metadata| metadata.get(SETTINGS)).map(String::as_str);
        let bound = settings.map(serde_json::from_str).transpose().map_err(|error| unreadable(error.into()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.into()))?;
        let views: BTreeMap<&str, TensorView<'_>> = file.iter().collect();
        if let Some((name, view)) = views.iter().find(|(_, view)| view.dtype() != Dtype::F32) {
            return Err(damaged(&format!("tensor {name} is {:?}, not F32", view.dtype())));
        }
        let expected = metadata.and_then(|metadata| metadata.get(CHECKSUM));
        if expected.is_none() && text.contains(SINCE_CHECKSUMS) {
            return Err(damaged("its checksum is missing"));
        }
        let mark = checksum(text, settings, &views);
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
        Ok(Self { path: path.to_path_buf(), tensors, progress, bound, mark })
    }

    /// The settings that it is bound to; `None` where it does not know them.
    pub(super) fn bound(&self) -> Option<&BoundValues> {
        self.bound.as_ref()
    }

    /// Compares the settings of a run with those that it is bound to. Returns a warning where it does not know these.
    ///
    /// # Errors
    /// [`Error::OtherSettings`] where they differ.
    pub(super) fn check_settings<S: Settings>(&self, settings: &S) -> Result<Option<String>> {
        if let Some(bound) = &self.bound {
            return bound.check_run(settings, &self.path).map(|()| None);
        }
        let path = self.path.display();
        let warning = format!(
            "{path}: was written before checkpoints knew their settings; those of config.toml are taken to be what it \
             was trained with"
        );
        Ok(BoundValues::of(settings)?.map(|_| warning))
    }

    /// Returns the parameters of the model, without the optimiser's state and the variables of estimators.
    pub(super) fn into_parameters(self) -> impl Iterator<Item = (String, Tensor)> {
        self.tensors.into_iter().filter(|(name, _)| !NO_PARAMETERS.iter().any(|prefix| name.starts_with(prefix)))
    }

    /// Describes how the settings or the tensors of another checkpoint differ; `None` if they are equal.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let settings = self.bound.as_ref().zip(other.bound.as_ref()).and_then(|(own, other)| own.difference(other));
        let tensors = || other.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        settings.or_else(|| difference(&self.tensors, &tensors()))
    }

    /// Returns the progress of the run at this checkpoint.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Returns the checksum, by which the checkpoint is distinguished from others.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Checks that the checkpoint has exactly the tensors of a model, before any tensor is copied.
    ///
    /// # Errors
    /// Fails for the first tensor, by name, that only one of them has, or whose shapes differ.
    pub fn check(&self, contents: &[(String, Tensor)]) -> Result<()> {
        let model: BTreeMap<&str, &Tensor> = contents.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        difference(&self.tensors, &model).map_or(Ok(()), |difference| {
            Err(Error::file(&self.path, format!("belongs to another model than config.toml describes: {difference}")))
        })
    }

    /// Copies the parameters into a store with the same names and shapes.
    ///
    /// # Errors
    /// Fails for the first name that is missing or has another shape.
    pub fn restore(&self, store: &VarStore) -> Result<()> {
        let mut variables: Vec<_> = store.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        self.copy_into(variables)
    }

    /// Copies the state of the optimiser, and its number of updates.
    ///
    /// # Errors
    /// Fails as [`restore`](Self::restore) does.
    pub fn restore_adam(&self, adam: &mut Adam) -> Result<()> {
        adam.set_steps(self.progress.updates);
        self.copy_into(adam.state())
    }

    /// Returns a tensor by name.
    pub(super) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Copies tensors by name, after comparing all shapes.
    ///
    /// # Errors
    /// Fails as [`restore`](Self::restore) does.
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

/// Describes the first tensor, by name, that only a checkpoint or only a model has, or whose shapes differ.
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

/// Returns the name of the first tensor with a number that is not finite.
pub(super) fn not_finite(contents: Vec<(String, Tensor)>) -> Option<String> {
    let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
    contents.into_iter().find(|(_, tensor)| !finite(tensor)).map(|(name, _)| format!("parameter {name}"))
}

/// Computes the checksum of the progress, the bound settings, and names, shapes and elements of the tensors, ordered by
/// name.
fn checksum(progress: &str, bound: Option<&str>, views: &BTreeMap<&str, TensorView<'_>>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(progress.as_bytes());
    if let Some(bound) = bound {
        hasher.update(format!("\n{bound}").as_bytes());
    }
    for (name, view) in views {
        hasher.update(format!("\n{name} {:?}\n", view.shape()).as_bytes());
        hasher.update(view.data());
    }
    format!("{:08x}", hasher.finalize())
}
