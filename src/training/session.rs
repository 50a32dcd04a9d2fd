//! The training loop.
//!
//! All randomness of a step is a function of (seed, epoch, step), so that a run that is stopped and resumed goes on exactly
//! as one that was not.

use super::checkpoint::{Checkpoint, Progress};
use super::run_folder::{METRICS, RunFolder};
use super::trainee::{Pace, Plan, Record, Settings, Trained, Trainee};
use crate::relaxation::one_pass::NoiseKey;
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
    /// Mean relaxed negative ELBO in the epoch so far, nats an example.
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
pub struct Session<T: Trainee> {
    settings: T::Settings,
    folder: RunFolder,
    trainee: T,
    progress: Progress,
    records: Vec<T::Record>,
    /// The best epoch since the last checkpoint, in memory until the next one.
    best: Option<Snapshot>,
    saved: Instant,
}

/// A copy of what a checkpoint holds.
type Snapshot = (Vec<(String, Tensor)>, Progress);

/// Steps between two looks at the loss: a look copies two numbers from the device.
const STEPS_BETWEEN_LOOKS: usize = 10;

impl<T: Trainee> Session<T> {
    /// A new run in a new folder.
    ///
    /// # Errors
    /// When a setting is wrong, the data cannot be read, or the folder cannot be made.
    pub fn start(settings: T::Settings, path: &Path, device: Device) -> Result<Self> {
        settings.check()?;
        tch::manual_seed(settings.pace().seed as i64);
        let mut trainee = T::new(&settings, device)?;
        trainee.begin(&settings)?;
        let folder = RunFolder::create(path, &settings)?;
        let mut session = Self::assemble(settings, folder, trainee);
        session.save()?;
        Ok(session)
    }

    /// The run in a folder, at its last checkpoint; `epochs` and `data_dir` replace its own, where given.
    ///
    /// # Errors
    /// When there is no run, or its files do not fit together.
    pub fn resume(path: &Path, epochs: Option<usize>, data_dir: Option<&Path>, device: Device) -> Result<Self> {
        let (folder, mut settings) = open::<T::Settings>(path, data_dir)?;
        if let Some(epochs) = epochs {
            settings.set_epochs(epochs);
        }
        settings.check()?;
        let trainee = T::new(&settings, device)?;
        let mut session = Self::assemble(settings, folder, trainee);
        let checkpoint = Checkpoint::read(&session.folder.file("last.safetensors"))?;
        session.trainee.restore(&checkpoint)?;
        session.progress = checkpoint.progress();
        session.records = session.folder.records(METRICS)?;
        let epochs = session.progress.epochs;
        session.records.retain(|record| record.epoch() <= epochs);
        session.trainee.load_beside(&session.folder, &checkpoint)?;
        Ok(session)
    }

    /// The trainee of a finished or unfinished run at its checkpoint `best` or `last`, and the settings.
    ///
    /// # Errors
    /// When there is no run, or no such checkpoint.
    pub fn load(path: &Path, checkpoint: &str, data_dir: Option<&Path>, device: Device) -> Result<(T, T::Settings)> {
        let (folder, settings) = open::<T::Settings>(path, data_dir)?;
        let mut trainee = T::new(&settings, device)?;
        trainee.restore(&Checkpoint::read(&folder.file(&format!("{checkpoint}.safetensors")))?)?;
        Ok((trainee, settings))
    }

    fn assemble(settings: T::Settings, folder: RunFolder, trainee: T) -> Self {
        Self {
            settings,
            folder,
            trainee,
            progress: Progress::default(),
            records: Vec::new(),
            best: None,
            saved: Instant::now(),
        }
    }

    /// The settings.
    pub fn settings(&self) -> &T::Settings {
        &self.settings
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What is trained.
    pub fn trainee(&self) -> &T {
        &self.trainee
    }

    /// The epochs so far.
    pub fn records(&self) -> &[T::Record] {
        &self.records
    }

    /// Trains until the last epoch, or until `on_step` says stop; `on_epoch` sees each finished epoch. Checkpoints are
    /// written every so many seconds of the settings, at a stop, and at the end.
    ///
    /// # Errors
    /// When a loss is not finite, or a file cannot be written.
    pub fn run(
        &mut self,
        mut on_step: impl FnMut(&StepReport) -> Control,
        mut on_epoch: impl FnMut(&T::Record),
    ) -> Result<Control> {
        while self.progress.epochs < self.settings.pace().epochs {
            let Some(record) = self.epoch(&mut on_step)? else {
                self.save()?;
                return Ok(Control::Stop);
            };
            on_epoch(&record);
        }
        self.save()?;
        tch::manual_seed(self.settings.pace().seed as i64);
        self.trainee.finish(&self.settings, &self.folder)?;
        Ok(Control::Continue)
    }

    /// Steps of an epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> usize {
        (self.trainee.examples() as usize).div_ceil(self.settings.pace().batch_size as usize)
    }

    /// What is left of the current epoch; `None` when it was stopped.
    fn epoch(&mut self, on_step: &mut impl FnMut(&StepReport) -> Control) -> Result<Option<T::Record>> {
        let pace = self.settings.pace();
        let epoch = self.progress.epochs + 1;
        let steps = self.steps_per_epoch();
        let count = self.trainee.examples();
        let device = self.trainee.device();
        let order = self.trainee.order(pace.seed, epoch).to_device(device);
        let mut clock = Instant::now();
        let mut recent = Tensor::zeros([2], (Kind::Double, device));
        let mut temperature = pace.temperature.last;

        for step in self.progress.steps..steps {
            let start = step as i64 * pace.batch_size;
            let size = pace.batch_size.min(count - start);
            let indices = order.narrow(0, start, size);
            let plan = plan(&pace, &indices, epoch, step, steps);
            temperature = plan.temperature;
            recent += self.trainee.step(&self.settings, &plan)?;
            self.progress.updates = self.trainee.updates();
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

        self.progress.seconds += clock.elapsed().as_secs_f64();
        let [neg_elbo, kl] = self.progress.sums.map(|sum| sum / count as f64);
        let trained = Trained { epoch, neg_elbo, kl, temperature, seconds: self.progress.seconds };
        let record = self.trainee.record(&self.settings, &trained)?;
        let better = self.progress.best.is_none_or(|(best, _)| record.merit() < best);
        let best = if better { Some((record.merit(), epoch)) } else { self.progress.best };
        self.progress = Progress { epochs: epoch, steps: 0, sums: [0.0; 2], best, ..self.progress };
        self.records.push(record);
        if better {
            let copies = self.trainee.contents().into_iter().map(|(name, t)| (name, t.detach().copy()));
            self.best = Some((copies.collect(), self.progress));
        }
        self.save_when_due()?;
        Ok(Some(record))
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
        let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 1;
        let broken = self.trainee.contents().into_iter().find(|(_, tensor)| !finite(tensor));
        let what = broken.map_or("the loss".to_string(), |(name, _)| format!("the loss, and parameter {name},"));
        Err(Error::NotFinite { what, epoch, step: self.progress.steps })
    }

    fn save_when_due(&mut self) -> Result<()> {
        let due = self.saved.elapsed().as_secs_f64() >= self.settings.pace().checkpoint_every;
        if due { self.save() } else { Ok(()) }
    }

    /// Writes the best epoch, the record, and where the run is, in the order in which a crash between them does no harm.
    fn save(&mut self) -> Result<()> {
        if let Some((contents, progress)) = &self.best {
            Checkpoint::write(&self.folder.file("best.safetensors"), contents, progress)?;
            self.best = None;
        }
        self.folder.write_records(METRICS, &self.records)?;
        self.trainee.save_beside(&self.folder)?;
        let contents = self.trainee.contents();
        Checkpoint::write(&self.folder.file("last.safetensors"), &contents, &self.progress)?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// The plan of a step.
fn plan<'a>(pace: &Pace, indices: &'a Tensor, epoch: usize, step: usize, steps: usize) -> Plan<'a> {
    let total = (pace.epochs * steps).max(2) - 1;
    let done = (epoch - 1) * steps + step;
    let fraction = done as f64 / total as f64;
    Plan {
        indices,
        epoch,
        step,
        done,
        fraction,
        temperature: pace.temperature.at(fraction),
        kl_weight: match pace.kl_warmup {
            0.0 => 1.0,
            epochs => (done as f64 / (epochs * steps as f64)).min(1.0),
        },
        key: NoiseKey::new(pace.seed, done as u64),
        seed: step_seed(pace.seed, epoch, step),
    }
}

fn open<S: Settings>(path: &Path, data_dir: Option<&Path>) -> Result<(RunFolder, S)> {
    let (folder, mut settings) = RunFolder::open::<S>(path)?;
    if let Some(data_dir) = data_dir {
        settings.set_data_dir(data_dir);
    }
    Ok((folder, settings))
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
