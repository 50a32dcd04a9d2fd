//! The settings of a VAE run, as `config.toml` holds them.

use crate::data::ImageSet;
use crate::error::{Error, Result};
use crate::estimators::{EstimatorKind, LawNeeds};
use crate::models::{Family, Inference, LatentConfig, VaeConfig};
use crate::training::checkpoint_interval::{Interval, OnNan};
use crate::training::ranges::{integer, number};
use crate::training::schedule::{Schedule, TruncationSetting};
use crate::training::settings::{BoundSettings, DataWords, LoopConfig, Settings, absolute};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The settings of a VAE run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The image set: `mnist-5k`, `mnist`, `static-mnist`, `omniglot`, or a path.
    pub dataset: String,
    /// The folder with the files of named sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Law of the latents.
    pub family: Family,
    /// Whether the encoder computes parameters of the family, or logits of the atoms.
    pub inference: Inference,
    /// Mean of the prior; default: 2, or 1/2 for the Bernoulli.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<f64>,
    /// The window of the latents; default: 12 atoms, or 2 for the Bernoulli.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<TruncationSetting>,
    /// The estimator of the gradient through the latents.
    pub estimator: EstimatorKind,
    /// Samples per image and step; default: the fewest that the estimator allows, one or two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<i64>,
    /// Steps between two measurements of the gradients of the estimators in `diagnose`; 0: no measurements.
    pub diagnose_every: usize,
    /// The estimators whose gradients are measured.
    pub diagnose: Vec<EstimatorKind>,
    /// The schedule of the temperature, from the first to the last step.
    pub temperature: Schedule,
    /// Number of latents.
    pub latents: i64,
    /// Widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<i64>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: i64,
    /// Adam's learning rate.
    pub lr: f64,
    /// Epochs over which the weight of the KL grows from 0 to 1.
    pub kl_warmup: f64,
    /// How often a checkpoint is written.
    pub checkpoint_every: Interval,
    /// How to handle a step that is not finite.
    pub on_nan: OnNan,
    /// The file of the initial weights; a resumed run does not need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// The seed of all random numbers.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            dataset: "mnist-5k".into(),
            data_dir: None,
            family: Family::Poisson,
            inference: Inference::Implicit,
            prior: None,
            truncation: None,
            estimator: EstimatorKind::Gengs,
            samples: None,
            diagnose_every: 0,
            diagnose: vec![EstimatorKind::Gengs, EstimatorKind::ReinforceLoo, EstimatorKind::Rebar],
            temperature: Schedule { first: 1.0, last: 0.3 },
            latents: 50,
            hidden: vec![500, 500],
            epochs: 100,
            batch_size: 100,
            lr: 1e-3,
            kl_warmup: 0.0,
            checkpoint_every: Interval::Seconds(10.0),
            on_nan: OnNan::Stop,
            init_from: None,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Returns the number of samples per image and step.
    pub fn samples(&self) -> i64 {
        self.samples.unwrap_or(self.estimator.fewest_samples())
    }

    /// Whether the gradient goes through one sample per image, which the model draws itself.
    pub(super) fn is_pathwise(&self) -> bool {
        self.samples() == 1 && self.estimator.pathwise(1.0).is_some()
    }

    /// Returns the image set.
    pub fn image_set(&self) -> ImageSet {
        ImageSet::from_name(&self.dataset)
    }

    /// Returns the architecture of the model for images of this many pixels.
    pub fn vae(&self, pixels: i64) -> VaeConfig {
        let atoms = if self.family == Family::Bernoulli { 2 } else { 12 };
        let truncation = self.truncation.unwrap_or(TruncationSetting::Atoms(atoms)).into();
        let Self { family, inference, prior, latents, .. } = *self;
        let latent = LatentConfig { family, prior, truncation, inference, latents };
        VaeConfig { pixels, hidden: self.hidden.clone(), latent }
    }
}

impl Settings for TrainConfig {
    const PROGRAM: &'static str = "gengs-vae";

    const DATA: DataWords = DataWords { setting: "dataset", examples: "images", features: "pixels an image" };

    const BOUND: BoundSettings = BoundSettings {
        of_model: &["family", "inference", "prior", "truncation", "latents", "hidden"],
        of_run: &["temperature", "seed"],
    };

    fn check(&self) -> Result<()> {
        self.loop_config().check()?;
        number("kl-warmup", self.kl_warmup, 0.0..=1e6)?;
        check_diagnosed(&self.diagnose)?;
        let needs_poisson = |kind: &EstimatorKind| kind.needs_poisson();
        let is_poisson = self.family == Family::Poisson && self.inference == Inference::Explicit;
        let asked = std::iter::once(&self.estimator).chain(&self.diagnose);
        if let Some(kind) = asked.into_iter().find(|kind| needs_poisson(kind)).filter(|_| !is_poisson) {
            let what = format!("latents of the estimator {kind}");
            let found = format!("{} with {} inference", self.family, self.inference);
            return Err(Error::parameter(what, found, "poisson with explicit inference: it counts arrivals at a rate"));
        }
        let asked = std::iter::once(&self.estimator).chain(&self.diagnose);
        let needs_numbers = |kind: &EstimatorKind| kind.needs_of_law() == LawNeeds::Numbers;
        if let Some(kind) = asked.into_iter().find(|kind| needs_numbers(kind))
            && self.family == Family::Categorical
        {
            let what = format!("latents of the estimator {kind}");
            return Err(Error::parameter(what, "categorical", "numbers; for one-hot vectors take fini-1 or reinmax"));
        }
        let fewest = self.estimator.fewest_samples();
        if self.samples() < fewest {
            let allowed = format!("at least {fewest} for the estimator {}", self.estimator);
            return Err(Error::parameter("samples", self.samples(), allowed));
        }
        let relaxes = matches!(self.estimator, EstimatorKind::Gengs | EstimatorKind::GengsSt);
        if self.samples() > 1 && relaxes {
            let allowed = format!("1 for the estimator {}", self.estimator);
            return Err(Error::parameter("samples", self.samples(), allowed));
        }
        integer("samples", self.samples(), 1..=1000)?;
        number("lr", self.lr, f64::MIN_POSITIVE..=10.0)?;
        integer("latents", self.latents, 1..=1_000_000)?;
        integer("number of hidden layers", self.hidden.len(), 0..=32)?;
        self.hidden.iter().try_for_each(|&width| integer("width of a layer in hidden", width, 1..=1_000_000))?;
        integer("diagnose-every", self.diagnose_every, 0..=1_000_000_000)?;
        if let Some(prior) = self.prior {
            number("prior", prior, 1e-30..=1e6)?;
        }
        if let Some(TruncationSetting::Atoms(atoms)) = self.truncation {
            integer("truncation", atoms, 2..=10_000)?;
        }
        let two = TruncationSetting::Atoms(2);
        if let Some(truncation) = self.truncation.filter(|&found| self.family == Family::Bernoulli && found != two) {
            return Err(Error::parameter(
                "truncation",
                truncation,
                "2 for a Bernoulli latent, which is 0 or 1: leave it away",
            ));
        }
        Ok(())
    }

    fn loop_config(&self) -> LoopConfig {
        let Self { epochs, batch_size, temperature, checkpoint_every, on_nan, seed, .. } = *self;
        LoopConfig { epochs, batch_size, temperature, checkpoint_every, on_nan, seed }
    }

    fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn set_on_nan(&mut self, on_nan: OnNan) {
        self.on_nan = on_nan;
    }

    fn set_data_dir(&mut self, folder: &Path) {
        self.data_dir = Some(folder.to_path_buf());
    }

    fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    fn data_name(&self) -> String {
        self.dataset.clone()
    }

    fn make_absolute(&mut self) {
        self.dataset = ImageSet::absolute_name(&self.dataset);
        [&mut self.data_dir, &mut self.init_from].into_iter().for_each(absolute);
    }

    fn data_paths(&self) -> Vec<PathBuf> {
        let images = match self.image_set() {
            ImageSet::Mnist5k => None,
            ImageSet::File(path) => Some(path),
            ImageSet::Mnist | ImageSet::StaticMnist | ImageSet::Omniglot => self.data_dir.clone(),
        };
        images.into_iter().collect()
    }

    fn init_from(&self) -> Option<&Path> {
        self.init_from.as_deref()
    }
}

/// Checks that all estimators can be measured.
fn check_diagnosed(kinds: &[EstimatorKind]) -> Result<()> {
    match kinds.iter().find(|kind| matches!(kind, EstimatorKind::Exact | EstimatorKind::Vimco)) {
        None => Ok(()),
        Some(EstimatorKind::Vimco) => Err(Error::parameter(
            "diagnose",
            EstimatorKind::Vimco,
            "estimators of the ELBO's gradient; that of a bound of several samples has another expectation",
        )),
        Some(kind) => Err(Error::parameter("diagnose", kind, "estimators that draw samples")),
    }
}
