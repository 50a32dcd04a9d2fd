//! The training loop.
//!
//! All randomness of a step is a function of (seed, epoch, step), so that a run that is stopped and resumed goes on exactly
//! as one that was not.

use super::checkpoint::{Checkpoint, Progress};
use super::config::TrainConfig;
use super::diagnose::{Diagnosis, GradientRecord};
use super::evaluate::evaluate;
use super::model::Model;
use super::pictures::write_grid;
use super::run_folder::{EpochRecord, GRADIENTS, METRICS, RunFolder};
use crate::data::{Dataset, epoch_order};
use crate::models::Vae;
use crate::relaxation::one_pass::{DrawnBy, NoiseKey};
use crate::{Error, Result};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// What a step looked like, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps made in it.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Mean relaxed negative ELBO in the epoch so far, nats an image.
    pub neg_elbo_relaxed: f64,
    /// Mean KL in the epoch so far.
    pub kl: f64,
    /// The step's temperature.
    pub temperature: f64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Make the next step.
    Continue,
    /// Save and return.
    Stop,
}

/// A run in progress.
#[derive(Debug)]
pub struct Session {
    config: TrainConfig,
    folder: RunFolder,
    data: Dataset,
    model: Model,
    progress: Progress,
    records: Vec<EpochRecord>,
    /// What looks at gradients, if anything, and what it has found.
    diagnosis: Option<Diagnosis>,
    gradients: Vec<GradientRecord>,
    /// The best epoch since the last checkpoint, in memory until the next one.
    best: Option<Snapshot>,
    saved: Instant,
}

/// A copy of what a checkpoint holds.
type Snapshot = (Vec<(String, Tensor)>, Progress);

/// Importance samples behind the validation result that chooses the best epoch.
const VALIDATION_SAMPLES: i64 = 1;

/// Steps between two looks at the loss: a look copies two numbers from the device.
const STEPS_BETWEEN_LOOKS: usize = 10;

/// Columns and rows of the pictures at the end of a run.
const GRID: (i64, i64) = (10, 10);

impl Session {
    /// A new run in a new folder.
    ///
    /// # Errors
    /// When a setting is wrong, the data cannot be read, or the folder cannot be made.
    pub fn start(config: TrainConfig, path: &Path, device: Device) -> Result<Self> {
        config.check()?;
        let data = load(&config, device)?;
        tch::manual_seed(config.seed as i64);
        let model = Model::new(&config, &data, device)?;
        let folder = RunFolder::create(path, &config)?;
        let mut session = Self::assemble(config, folder, data, model)?;
        session.save()?;
        Ok(session)
    }

    /// The run in a folder, at its last checkpoint; `epochs` and `data_dir` replace its own, where given.
    ///
    /// # Errors
    /// When there is no run, or its files do not fit together.
    pub fn resume(path: &Path, epochs: Option<usize>, data_dir: Option<&Path>, device: Device) -> Result<Self> {
        let (folder, mut config) = open(path, data_dir)?;
        config.epochs = epochs.unwrap_or(config.epochs);
        config.check()?;
        let data = load(&config, device)?;
        let model = Model::new(&config, &data, device)?;
        let mut session = Self::assemble(config, folder, data, model)?;
        let checkpoint = Checkpoint::read(&session.folder.file("last.safetensors"))?;
        session.model.restore(&checkpoint)?;
        session.progress = checkpoint.progress();
        let Progress { epochs, steps, .. } = session.progress;
        session.records = session.folder.records(METRICS)?;
        session.records.retain(|record| record.epoch <= epochs);
        session.gradients = session.folder.records(GRADIENTS)?;
        session.gradients.retain(|record| record.epoch <= epochs || record.epoch == epochs + 1 && record.step <= steps);
        Ok(session)
    }

    fn assemble(config: TrainConfig, folder: RunFolder, data: Dataset, model: Model) -> Result<Self> {
        let diagnosis = (config.diagnose_every > 0).then(|| Diagnosis::new(&config, &model.vae)).transpose()?;
        Ok(Self {
            config,
            folder,
            data,
            model,
            progress: Progress::default(),
            records: Vec::new(),
            diagnosis,
            gradients: Vec::new(),
            best: None,
            saved: Instant::now(),
        })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What drew the last relaxed sample; nothing before the first step.
    pub fn drawn_by(&self) -> Option<DrawnBy> {
        self.model.vae.drawn_by()
    }

    /// The epochs so far.
    pub fn records(&self) -> &[EpochRecord] {
        &self.records
    }

    /// Trains until the last epoch, or until `on_step` says stop; `on_epoch` sees each finished epoch. Checkpoints are
    /// written every so many seconds of the settings, at a stop, and at the end, where pictures are drawn too.
    ///
    /// # Errors
    /// When a loss is not finite, or a file cannot be written.
    pub fn run(
        &mut self,
        mut on_step: impl FnMut(&StepReport) -> Control,
        mut on_epoch: impl FnMut(&EpochRecord),
    ) -> Result<Control> {
        while self.progress.epochs < self.config.epochs {
            let Some(record) = self.epoch(&mut on_step)? else {
                self.save()?;
                return Ok(Control::Stop);
            };
            on_epoch(&record);
        }
        self.save()?;
        self.pictures(&self.folder.file("samples.png"), &self.folder.file("reconstructions.png"))?;
        Ok(Control::Continue)
    }

    /// Steps of an epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> usize {
        (self.data.train.len() as usize).div_ceil(self.config.batch_size as usize)
    }

    /// What is left of the current epoch; `None` when it was stopped.
    fn epoch(&mut self, on_step: &mut impl FnMut(&StepReport) -> Control) -> Result<Option<EpochRecord>> {
        let epoch = self.progress.epochs + 1;
        let steps = self.steps_per_epoch();
        let count = self.data.train.len();
        let order = epoch_order(count, self.config.seed, epoch).to_device(self.model.store.device());
        let total = (self.config.epochs * steps).max(2) - 1;
        let mut clock = Instant::now();
        let mut recent = Tensor::zeros([2], (Kind::Double, self.model.store.device()));
        let mut temperature = self.config.temperature.last;

        for step in self.progress.steps..steps {
            let done = (epoch - 1) * steps + step;
            temperature = self.config.temperature.at(done as f64 / total as f64);
            let kl_weight = match self.config.kl_warmup {
                0.0 => 1.0,
                epochs => (done as f64 / (epochs * steps as f64)).min(1.0),
            };
            let start = step as i64 * self.config.batch_size;
            let size = self.config.batch_size.min(count - start);
            let x = self.batch(&order.narrow(0, start, size), epoch, step);
            if self.diagnosis.is_some() && done.is_multiple_of(self.config.diagnose_every) {
                self.diagnose(&x, temperature, epoch, step)?;
                // Looking draws; the step draws as if nobody had looked.
                let _ = self.batch(&order.narrow(0, start, size), epoch, step);
            }
            let key = NoiseKey::new(self.config.seed, done as u64);
            recent += self.step(&x, temperature, kl_weight, key)?;
            self.progress.steps = step + 1;

            if (step + 1) % STEPS_BETWEEN_LOOKS == 0 || step + 1 == steps {
                self.look(&mut recent, &mut clock, epoch)?;
                if step + 1 < steps {
                    self.save_when_due()?;
                }
            }
            let seen = (start + size) as f64;
            let [neg_elbo_relaxed, kl] = self.progress.sums.map(|sum| sum / seen);
            if on_step(&StepReport { epoch, step: step + 1, steps, neg_elbo_relaxed, kl, temperature }) == Control::Stop
            {
                self.look(&mut recent, &mut clock, epoch)?;
                return Ok(None);
            }
        }

        let validation = evaluate(
            &self.model.vae,
            &self.data.validation,
            VALIDATION_SAMPLES,
            temperature,
            500,
            self.config.seed as i64,
        )?;
        self.progress.seconds += clock.elapsed().as_secs_f64();
        let [train_neg_elbo_relaxed, train_kl] = self.progress.sums.map(|sum| sum / count as f64);
        let record = EpochRecord {
            epoch,
            train_neg_elbo_relaxed,
            train_kl,
            validation_neg_elbo: validation.neg_elbo,
            validation_kl: validation.kl,
            temperature,
            seconds: self.progress.seconds,
        };
        let better = self.progress.best.is_none_or(|(best, _)| record.validation_neg_elbo < best);
        let best = if better { Some((record.validation_neg_elbo, epoch)) } else { self.progress.best };
        self.progress = Progress { epochs: epoch, steps: 0, sums: [0.0; 2], best, ..self.progress };
        self.records.push(record);
        if better {
            let copies = self.model.contents().into_iter().map(|(name, t)| (name, t.detach().copy()));
            self.best = Some((copies.collect(), self.progress));
        }
        self.save_when_due()?;
        Ok(Some(record))
    }

    /// The images of a step; seeds libtorch's generator for all that the step draws.
    fn batch(&self, indices: &Tensor, epoch: usize, step: usize) -> Tensor {
        tch::manual_seed(step_seed(self.config.seed, epoch, step));
        self.data.train.batch(indices)
    }

    fn diagnose(&mut self, x: &Tensor, temperature: f64, epoch: usize, step: usize) -> Result<()> {
        let Some(diagnosis) = &mut self.diagnosis else { return Ok(()) };
        let Model { store, vae, estimator, .. } = &mut self.model;
        let mut encoder: Vec<_> =
            store.variables().into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect();
        encoder.sort_by(|a, b| a.0.cmp(&b.0));
        let encoder: Vec<Tensor> = encoder.into_iter().map(|(_, parameter)| parameter).collect();
        let at = (temperature, epoch, step + 1);
        self.gradients.extend(diagnosis.look(vae, x, &encoder, estimator.as_mut(), at)?);
        Ok(())
    }

    /// One update; returns the batch's sums of negative ELBO and KL, on the device.
    fn step(&mut self, x: &Tensor, temperature: f64, kl_weight: f64, key: NoiseKey) -> Result<Tensor> {
        let elbo = self.model.elbo(x, &self.config, temperature, key)?;
        let reconstruction = elbo.reconstruction.sum(None::<Kind>);
        let kl = elbo.kl.sum(None::<Kind>);
        let loss = (&reconstruction + &kl * kl_weight) / x.size()[0] as f64;
        self.model.adam.minimize(&loss, false)?;
        self.progress.updates = self.model.adam.steps();
        let kl = kl.detach();
        Ok(Tensor::stack(&[reconstruction.detach() + &kl, kl], 0).to_kind(Kind::Double))
    }

    /// Takes the sums since the last look off the device, and fails when they are not finite.
    fn look(&mut self, recent: &mut Tensor, clock: &mut Instant, epoch: usize) -> Result<()> {
        for (i, sum) in self.progress.sums.iter_mut().enumerate() {
            *sum += recent.double_value(&[i as i64]);
        }
        let _ = recent.zero_();
        self.progress.seconds += clock.elapsed().as_secs_f64();
        *clock = Instant::now();
        if self.progress.sums.iter().all(|sum| sum.is_finite()) {
            return Ok(());
        }
        let mut named: Vec<_> = self.model.store.variables().into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
        let broken = named.iter().find(|(_, tensor)| !finite(tensor));
        let what = broken.map_or("the loss".to_string(), |(name, _)| format!("the loss, and parameter {name},"));
        Err(Error::NotFinite { what, epoch, step: self.progress.steps })
    }

    fn save_when_due(&mut self) -> Result<()> {
        if self.saved.elapsed().as_secs_f64() < self.config.checkpoint_every { Ok(()) } else { self.save() }
    }

    /// Writes the best epoch, the record, and where the run is, in the order in which a crash between them does no harm.
    fn save(&mut self) -> Result<()> {
        if let Some((contents, progress)) = &self.best {
            Checkpoint::write(&self.folder.file("best.safetensors"), contents, progress)?;
            self.best = None;
        }
        self.folder.write_records(METRICS, &self.records)?;
        if self.diagnosis.is_some() {
            self.folder.write_records(GRADIENTS, &self.gradients)?;
        }
        let contents = self.model.contents();
        Checkpoint::write(&self.folder.file("last.safetensors"), &contents, &self.progress)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn pictures(&self, samples: &Path, reconstructions: &Path) -> Result<()> {
        tch::manual_seed(self.config.seed as i64);
        draw_pictures(&self.model.vae, &self.data, samples, reconstructions)
    }

    /// The model of a finished or unfinished run, with the data it was trained on: checkpoint `best` or `last`.
    ///
    /// # Errors
    /// When there is no run, or no such checkpoint.
    pub fn model(
        path: &Path,
        checkpoint: &str,
        data_dir: Option<&Path>,
        device: Device,
    ) -> Result<(Vae, Dataset, TrainConfig)> {
        let (folder, config) = open(path, data_dir)?;
        let data = load(&config, device)?;
        let model = Model::new(&config, &data, device)?;
        Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?.restore(&model.store)?;
        Ok((model.vae, data, config))
    }
}

/// Draws a grid of samples, and one of test images above their reconstructions.
///
/// # Errors
/// When a file cannot be written.
pub fn draw_pictures(vae: &Vae, data: &Dataset, samples: &Path, reconstructions: &Path) -> Result<()> {
    let (columns, rows) = GRID;
    write_grid(samples, &vae.generate(columns * rows)?, data.shape, columns)?;
    let device = vae.prior().device();
    let pairs = (columns * rows / 2).min(data.test.len());
    // Spread over the test set, which may be sorted.
    let indices = Tensor::arange(pairs, (Kind::Int64, device)) * (data.test.len() / pairs);
    let x = data.test.batch(&indices);
    let decoded = vae.reconstruct(&x)?;
    let rows: Vec<Tensor> = (0..pairs)
        .step_by(columns as usize)
        .flat_map(|start| {
            let length = columns.min(pairs - start);
            [x.narrow(0, start, length), decoded.narrow(0, start, length)]
        })
        .collect();
    write_grid(reconstructions, &Tensor::cat(&rows, 0), data.shape, columns)
}

fn open(path: &Path, data_dir: Option<&Path>) -> Result<(RunFolder, TrainConfig)> {
    let (folder, mut config) = RunFolder::open(path)?;
    if let Some(data_dir) = data_dir {
        config.data_dir = Some(data_dir.to_path_buf());
    }
    Ok((folder, config))
}

fn load(config: &TrainConfig, device: Device) -> Result<Dataset> {
    let data = config.image_set().load(config.data_dir.as_deref())?;
    Ok(Dataset {
        train: data.train.to_device(device),
        validation: data.validation.to_device(device),
        test: data.test.to_device(device),
        shape: data.shape,
    })
}

/// A seed for the noise of a step, by the finaliser of SplitMix64 (Steele, Lea, Flood, 2014) over the three numbers.
fn step_seed(seed: u64, epoch: usize, step: usize) -> i64 {
    [epoch as u64, step as u64].iter().fold(mix(seed), |state, &number| mix(state ^ number)) as i64
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
