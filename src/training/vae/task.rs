//! A VAE, its images, and what trains it.

use super::config::TrainConfig;
use super::diagnose::{Diagnosis, GradientRecord};
use super::evaluate::evaluate;
use super::pictures::{ShownImages, draw_pictures, pictures};
use super::record::EpochRecord;
use crate::data::{Dataset, Identity, Images};
use crate::error::Result;
use crate::estimators::{Estimator, EstimatorKind};
use crate::models::{Elbo, Vae};
use crate::nn::{Adam, SparseProduct};
use crate::platform::limits::of_step;
use crate::random;
use crate::relaxation::Forward;
use crate::sampler::{Backend, NoiseKey};
use crate::training::checkpoint::{Checkpoint, Progress};
use crate::training::elbo_metrics::{ELBO_METRICS, KL, NEG_ELBO};
use crate::training::run_files::{GRADIENTS, PICTURES};
use crate::training::run_folder::RunFolder;
use crate::training::step_context::StepContext;
use crate::training::step_metrics::StepMetric;
use crate::training::train_task::{LogItem, TrainTask, Trained};
use std::collections::BTreeMap;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Importance samples behind the validation result that chooses the best epoch.
const VALIDATION_SAMPLES: i64 = 1;

/// Images of a validation batch.
const VALIDATION_BATCH: i64 = 500;

/// A VAE in training.
#[derive(Debug)]
pub struct VaeTask {
    data: Dataset,
    /// The images that the best epoch is chosen by, as they are evaluated.
    validation: Images,
    store: VarStore,
    vae: Vae,
    adam: Adam,
    /// Of the latents' gradient, where the relaxed sample itself is not differentiated.
    estimator: Option<Box<dyn Estimator>>,
    /// What looks at gradients, if anything, and what it has found.
    diagnosis: Option<Diagnosis>,
    gradients: Vec<GradientRecord>,
}

impl VaeTask {
    /// The model.
    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    /// The images.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// What drew the last relaxed sample; nothing before the first step.
    pub fn drawn_by(&self) -> Option<Backend> {
        self.vae.drawn_by()
    }

    /// The batch's negative ELBO with a gradient by the run's estimator, and what of it the graph does not hold.
    fn elbo(
        &mut self,
        x: &Tensor,
        config: &TrainConfig,
        temperature: f64,
        key: NoiseKey,
    ) -> Result<(Elbo, Option<SparseProduct>)> {
        let Some(estimator) = &mut self.estimator else {
            let forward = match config.estimator {
                EstimatorKind::GengsSt => Forward::StraightThrough,
                _ => Forward::Soft,
            };
            return self.vae.relaxed_elbo_sparse(x, temperature, forward, Some(key));
        };
        estimator.set_temperature(temperature)?;
        Ok((self.vae.estimated_elbo(x, estimator.as_mut(), config.samples())?, None))
    }

    fn diagnose(&mut self, plan: &StepContext<'_>) -> Result<()> {
        let _generator = random::seeded(plan.seed);
        let x = self.data.train.batch(plan.indices);
        let Some(diagnosis) = &mut self.diagnosis else { return Ok(()) };
        let mut encoder: Vec<_> =
            self.store.variables().into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect();
        encoder.sort_by(|a, b| a.0.cmp(&b.0));
        let encoder: Vec<Tensor> = encoder.into_iter().map(|(_, parameter)| parameter).collect();
        let at = (plan.temperature, plan.epoch, plan.step + 1);
        self.gradients.extend(diagnosis.look(&self.vae, &x, &encoder, self.estimator.as_mut(), at)?);
        Ok(())
    }
}

impl TrainTask for VaeTask {
    type Settings = TrainConfig;
    type Record = EpochRecord;

    const METRICS: &'static [StepMetric] = ELBO_METRICS;

    fn new(config: &TrainConfig, device: Device) -> Result<Self> {
        let data = config.image_set().load(config.data_dir.as_deref())?.to_device(device);
        let store = VarStore::new(device);
        let vae = Vae::new(&store.root(), &config.vae(data.train.size()))?;
        let adam = Adam::new(&store, config.lr)?;
        let estimator = match config.estimator {
            EstimatorKind::Gengs | EstimatorKind::GengsSt => None,
            kind => {
                let setting = vae.estimator_setting(config.temperature.first);
                // Tried on one image first, so that one that does not fit the latents leaves no run behind.
                let image = data.train.batch(&Tensor::zeros([1], (Kind::Int64, device)));
                vae.estimated_elbo(&image, kind.build(&setting)?.as_mut(), config.samples())?;
                Some(kind.build(&setting)?)
            }
        };
        let diagnosis = (config.diagnose_every > 0).then(|| Diagnosis::new(config, &vae)).transpose()?;
        let validation = data.validation.binarised()?;
        Ok(Self { data, validation, store, vae, adam, estimator, diagnosis, gradients: Vec::new() })
    }

    /// Tries the forward pass of a first step: what it draws from depends on the estimator and the family.
    fn check_step(&self, config: &TrainConfig) -> Result<()> {
        let _generator = random::seeded(config.seed as i64);
        let count = config.batch_size.min(self.data.train.len());
        let x = self.data.train.batch(&Tensor::arange(count, (Kind::Int64, self.device())));
        let temperature = config.temperature.first;
        let tried = match config.estimator {
            EstimatorKind::Gengs | EstimatorKind::GengsSt => {
                self.vae.relaxed_elbo(&x, temperature, Forward::Soft, Some(NoiseKey::new(config.seed, u64::MAX)))
            }
            kind => {
                let mut estimator = kind.build(&self.vae.estimator_setting(temperature))?;
                self.vae.estimated_elbo(&x, estimator.as_mut(), config.samples())
            }
        };
        tried.map(drop).map_err(|error| of_step(error, &["batch-size", "latents", "truncation", "samples"]))
    }

    fn identity(&self) -> Result<Option<Identity>> {
        self.data.identity().map(Some)
    }

    /// The test images that pictures show.
    fn kept_of_data(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(ShownImages::of(&self.data).kept())
    }

    fn examples(&self) -> i64 {
        self.data.train.len()
    }

    fn store(&self) -> &VarStore {
        &self.store
    }

    fn optimisers(&mut self) -> Vec<&mut Adam> {
        let learned = self.estimator.as_mut().and_then(|estimator| estimator.learned());
        std::iter::once(&mut self.adam).chain(learned.map(|learned| &mut learned.adam)).collect()
    }

    fn step(&mut self, config: &TrainConfig, plan: &StepContext<'_>) -> Result<Tensor> {
        if self.diagnosis.is_some() && plan.done.is_multiple_of(config.diagnose_every) {
            self.diagnose(plan)?;
        }
        // Whatever was looked at before: images and estimators draw what the step's seed says.
        let _generator = random::seeded(plan.seed);
        let x = self.data.train.batch(plan.indices);
        let (elbo, product) = self.elbo(&x, config, plan.temperature, plan.key)?;
        let reconstruction = elbo.reconstruction.sum(None::<Kind>);
        let kl = elbo.kl.sum(None::<Kind>);
        let kl_weight = plan.warmup(config.kl_warmup);
        let loss = (&reconstruction + &kl * kl_weight) / x.size()[0] as f64;
        self.adam.minimize_products(&loss, product.as_slice())?;
        let kl = kl.detach();
        Ok(Tensor::stack(&[reconstruction.detach() + &kl, kl], 0).to_kind(Kind::Double))
    }

    fn record(&self, config: &TrainConfig, trained: &Trained) -> Result<EpochRecord> {
        let validation = evaluate(
            &self.vae,
            &self.validation,
            VALIDATION_SAMPLES,
            trained.temperature,
            VALIDATION_BATCH,
            config.seed as i64,
        )?;
        Ok(EpochRecord {
            epoch: trained.epoch,
            train_neg_elbo_relaxed: trained.means.get(NEG_ELBO),
            train_kl: trained.means.get(KL),
            validation_neg_elbo: validation.neg_elbo,
            validation_kl: validation.kl,
            temperature: trained.temperature,
            skipped_steps: trained.skipped_steps,
            seconds: trained.seconds,
        })
    }

    /// Pictures as at the end, and how the posterior means of validation images are distributed, over images and
    /// latents.
    fn log_items(&self, _: &TrainConfig) -> Result<Vec<(String, LogItem)>> {
        let _guard = no_grad_guard();
        let count = VALIDATION_BATCH.min(self.data.validation.len());
        let at_once = self.vae.images_at_once(1);
        let means = (0..count).step_by(at_once as usize).map(|start| {
            let numbers = Tensor::arange_start(start, count.min(start + at_once), (Kind::Int64, self.device()));
            Ok(self.vae.posterior(&self.data.validation.batch(&numbers))?.mean())
        });
        let means = Tensor::f_cat(&means.collect::<Result<Vec<_>>>()?, 0)?;
        let [samples, reconstructions] = pictures(&self.vae, &ShownImages::of(&self.data))?;
        Ok(vec![
            ("posterior/mean".into(), LogItem::Histogram(means)),
            ("pictures/samples".into(), LogItem::Picture(samples)),
            ("pictures/reconstructions".into(), LogItem::Picture(reconstructions)),
        ])
    }

    fn contents(&mut self) -> Vec<(String, Tensor)> {
        let mut named = Checkpoint::contents(&self.store, &self.adam);
        if let Some(learned) = self.estimator.as_mut().and_then(|estimator| estimator.learned()) {
            named.extend(Checkpoint::contents(&learned.store, &learned.adam));
        }
        named.extend(self.diagnosis.iter_mut().flat_map(Diagnosis::contents));
        named
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(&self.store)?;
        checkpoint.restore_adam(&mut self.adam)?;
        if let Some(learned) = self.estimator.as_mut().and_then(|estimator| estimator.learned()) {
            checkpoint.restore(&learned.store)?;
            checkpoint.restore_adam(&mut learned.adam)?;
        }
        self.diagnosis.as_mut().map_or(Ok(()), |diagnosis| diagnosis.restore(checkpoint))
    }

    fn save_extra_files(&self, folder: &RunFolder) -> Result<()> {
        if self.diagnosis.is_some() { folder.write_records(GRADIENTS, &self.gradients) } else { Ok(()) }
    }

    fn load_extra_files(&mut self, folder: &RunFolder, checkpoint: &Checkpoint) -> Result<()> {
        let Progress { epochs, steps, .. } = checkpoint.progress();
        self.gradients = folder.records(GRADIENTS)?;
        self.gradients.retain(|record| record.epoch <= epochs || record.epoch == epochs + 1 && record.step <= steps);
        Ok(())
    }

    /// Draws pictures of samples and of reconstructions.
    fn finish(&mut self, _: &TrainConfig, folder: &RunFolder) -> Result<()> {
        let shown = ShownImages::of(&self.data);
        let [samples, reconstructions] = PICTURES.map(|name| folder.file(name));
        draw_pictures(&self.vae, &shown, &samples, &reconstructions)
    }
}
