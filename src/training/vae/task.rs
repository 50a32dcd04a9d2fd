//! A VAE as a training task: model, images and optimiser.

use super::config::TrainConfig;
use super::diagnose::{Diagnosis, GradientRecord};
use super::evaluate::evaluate;
use super::pictures::{ShownImages, draw_pictures, pictures};
use super::record::EpochRecord;
use crate::data::{Dataset, Identity, Images};
use crate::error::Result;
use crate::estimators::Estimator;
use crate::models::{Elbo, Vae};
use crate::nn::{Adam, SparseProduct};
use crate::platform::limits::of_step;
use crate::random;
use crate::relaxation::{Forward, Pathwise};
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

/// Samples per image of the validation result that selects the best epoch.
const VALIDATION_SAMPLES: i64 = 1;

/// Images per validation batch.
const VALIDATION_BATCH: i64 = 500;

/// A VAE in training.
#[derive(Debug)]
pub struct VaeTask {
    data: Dataset,
    /// The validation images, binarised.
    validation: Images,
    store: VarStore,
    vae: Vae,
    adam: Adam,
    /// The estimator of the latents' gradient; `None` if the relaxed sample itself is differentiated.
    estimator: Option<Box<dyn Estimator>>,
    /// The estimators that are measured, if there are any; and the results.
    diagnosis: Option<Diagnosis>,
    gradients: Vec<GradientRecord>,
}

impl VaeTask {
    /// Returns the model.
    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    /// Returns the images.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Returns the backend that drew the last relaxed sample; `None` before the first step.
    pub fn drawn_by(&self) -> Option<Backend> {
        self.vae.drawn_by()
    }

    /// Returns the negative ELBO of a batch with a gradient by the run's estimator, and the sparse product whose
    /// gradient is not in the graph, if there is one.
    fn elbo(
        &mut self,
        x: &Tensor,
        config: &TrainConfig,
        temperature: f64,
        key: NoiseKey,
    ) -> Result<(Elbo, Option<SparseProduct>)> {
        if let Some(estimator) = &mut self.estimator {
            estimator.set_temperature(temperature)?;
            return Ok((self.vae.estimated_elbo(x, estimator.as_mut(), config.samples())?, None));
        }
        let relaxed = Pathwise::Relaxed { temperature, forward: Forward::Soft };
        let how = config.estimator.pathwise(temperature).unwrap_or(relaxed);
        self.vae.pathwise_elbo_sparse(x, how, Some(key))
    }

    /// Measures the gradients of the estimators on the batch of a step.
    fn diagnose(&mut self, plan: &StepContext<'_>) -> Result<()> {
        let _generator = random::seeded(plan.seed);
        let x = self.data.train.batch(plan.indices);
        let Some(diagnosis) = &mut self.diagnosis else { return Ok(()) };
        let mut encoder: Vec<_> =
            self.store.variables().into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect();
        encoder.sort_by(|a, b| a.0.cmp(&b.0));
        let encoder: Vec<Tensor> = encoder.into_iter().map(|(_, parameter)| parameter).collect();
        let at = (plan.temperature, plan.epoch, plan.step + 1);
        self.gradients.extend(diagnosis.measure(&self.vae, &x, &encoder, self.estimator.as_mut(), at)?);
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
        let estimator = if config.is_pathwise() {
            None
        } else {
            let (kind, setting) = (config.estimator, vae.estimator_setting(config.temperature.first));
            // Tried on one image first, so that no run folder is created for an estimator that does not fit the
            // latents.
            let image = data.train.batch(&Tensor::zeros([1], (Kind::Int64, device)));
            vae.estimated_elbo(&image, kind.build(&setting)?.as_mut(), config.samples())?;
            Some(kind.build(&setting)?)
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
        let how = config.estimator.pathwise(temperature).filter(|_| config.is_pathwise());
        let tried = match how {
            Some(how) => self.vae.pathwise_elbo(&x, how, Some(NoiseKey::new(config.seed, u64::MAX))),
            None => {
                let mut estimator = config.estimator.build(&self.vae.estimator_setting(temperature))?;
                self.vae.estimated_elbo(&x, estimator.as_mut(), config.samples())
            }
        };
        tried.map(drop).map_err(|error| of_step(error, &["batch-size", "latents", "truncation", "samples"]))
    }

    fn identity(&self) -> Result<Option<Identity>> {
        self.data.identity().map(Some)
    }

    /// Returns the test images that the pictures show.
    fn kept_of_data(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(ShownImages::from_data(&self.data).to_tensors())
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
        // Seeded after the measurement, so that images and estimators do not depend on it.
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

    /// Logs the pictures, and a histogram of the posterior means over validation images and latents.
    fn log_items(&self, _: &TrainConfig) -> Result<Vec<(String, LogItem)>> {
        let _guard = no_grad_guard();
        let count = VALIDATION_BATCH.min(self.data.validation.len());
        let at_once = self.vae.images_at_once(1);
        let means = (0..count).step_by(at_once as usize).map(|start| {
            let numbers = Tensor::arange_start(start, count.min(start + at_once), (Kind::Int64, self.device()));
            Ok(self.vae.posterior(&self.data.validation.batch(&numbers))?.mean())
        });
        let means = Tensor::f_cat(&means.collect::<Result<Vec<_>>>()?, 0)?;
        let [samples, reconstructions] = pictures(&self.vae, &ShownImages::from_data(&self.data))?;
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

    /// Draws the pictures of samples and of reconstructions.
    fn finish(&mut self, _: &TrainConfig, folder: &RunFolder) -> Result<()> {
        let shown = ShownImages::from_data(&self.data);
        let [samples, reconstructions] = PICTURES.map(|name| folder.file(name));
        draw_pictures(&self.vae, &shown, &samples, &reconstructions)
    }
}
