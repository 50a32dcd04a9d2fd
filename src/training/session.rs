//! The training loop.
//!
//! All randomness of a step depends only on the seed, the epoch and the step, so that a run that is stopped and resumed
//! gives the same result as one that is not.

use super::bound_settings::BoundValues;
use super::checkpoint::{Checkpoint, Progress, not_finite};
use super::checkpoint_interval::{Interval, OnNan};
use super::data_record::{DataRecord, unreadable_data};
use super::loaded::{Loaded, blank, compare_data, restore};
use super::recovery::{self, Recovered};
use super::run_events::RunEvents;
use super::run_files::{BEST, LAST, METRICS};
use super::run_folder::RunFolder;
use super::settings::{LoopConfig, Settings};
use super::step_context::{StepContext, step_seed};
use super::step_metrics::{RunningSums, StepMeans, to_sums};
use super::step_report::{Control, StepReport};
use super::train_task::{Metric, Record, TrainTask, Trained};
use super::weights;
use crate::error::{Error, Result};
use crate::platform::device::is_host;
use crate::random;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Tensor};

#[cfg(test)]
mod survival;

/// A run in progress.
#[derive(Debug)]
pub struct Session<T: TrainTask> {
    settings: T::Settings,
    folder: RunFolder,
    task: T,
    progress: Progress,
    records: Vec<T::Record>,
    /// A copy of the best epoch since the last checkpoint; it is written with the next checkpoint.
    best: Option<Snapshot>,
    saved: Instant,
    events: RunEvents,
    warnings: Vec<String>,
}

/// A copy of the contents of a checkpoint.
type Snapshot = (Vec<(String, Tensor)>, Progress);

/// The number of steps between two reads of a GPU's numbers, for which the CPU waits, and between two points of a
/// TensorBoard curve.
const STEPS_BETWEEN_READS: usize = 10;

impl<T: TrainTask> Session<T> {
    /// Starts a new run in a new folder.
    ///
    /// # Errors
    /// Fails if a setting is wrong, if the data or the initial weights cannot be read, or if the folder cannot be
    /// created.
    pub fn start(settings: T::Settings, path: &Path, device: Device) -> Result<Self> {
        settings.check()?;
        let mut settings = settings;
        settings.make_absolute();
        T::write_outside(&settings)?;
        let task = {
            let _generator = random::seeded(settings.loop_config().seed as i64);
            let mut task = T::new(&settings, device)?;
            task.check_step(&settings)?;
            task.init_from_data(&settings)?;
            task
        };
        let note = match settings.init_from() {
            Some(source) => weights::load_into(task.store(), &weights::read(source, device)?, source)?,
            None => None,
        };
        let folder = RunFolder::create(path)?;
        DataRecord::write(&folder, &task)?;
        let mut session = Self { warnings: note.into_iter().collect(), ..Self::assemble(settings, folder, task) };
        session.save()?;
        // The settings are written last: a folder with settings can be resumed.
        session.folder.write_settings(&session.settings)?;
        Ok(session)
    }

    /// Resumes the run in a folder from its newest readable checkpoint. `epochs` and `data_dir` replace the settings of
    /// the run.
    ///
    /// # Errors
    /// Fails as [`resume_with`](Self::resume_with) does.
    pub fn resume(path: &Path, epochs: Option<usize>, data_dir: Option<&Path>, device: Device) -> Result<Self> {
        Self::resume_with(path, device, |settings| {
            if let Some(epochs) = epochs {
                settings.set_epochs(epochs);
            }
            if let Some(data_dir) = data_dir {
                settings.set_data_dir(data_dir);
            }
            Ok(())
        })
    }

    /// Resumes the run in a folder from its newest readable checkpoint. `change` changes the settings, which the folder
    /// then keeps. [`warnings`](Self::warnings) reports damage.
    ///
    /// # Errors
    /// Fails if there is no run, if another process trains in it, if no checkpoint can be read, if the checkpoint does
    /// not match the settings, or if the settings that it is bound to or the data are not those of the run; and as
    /// `change` does.
    pub fn resume_with(
        path: &Path,
        device: Device,
        change: impl FnOnce(&mut T::Settings) -> Result<()>,
    ) -> Result<Self> {
        let (folder, mut settings) = RunFolder::open::<T::Settings>(path)?;
        let folder = folder.locked()?;
        change(&mut settings)?;
        settings.check()?;
        settings.make_absolute();
        let Recovered { checkpoint, best_lost, mut warnings } = recovery::newest(&folder)?;
        warnings.extend(checkpoint.check_settings(&settings)?);
        let progress = checkpoint.progress();
        let (fewest, epochs) = (progress.epochs + usize::from(progress.steps > 0), settings.loop_config().epochs);
        if epochs < fewest {
            let allowed = format!("at least {fewest}, of which the run has made {}", progress.epochs);
            return Err(Error::parameter("epochs of a resumed run", epochs, allowed));
        }
        let task = blank::<T>(&settings, device).map_err(|error| unreadable_data(&settings, error))?;
        task.check_outside(&settings)?;
        let unknown_data = compare_data(&folder, &settings, &task)?;
        let data_are_unknown = unknown_data.is_some();
        warnings.extend(unknown_data);
        let mut session = Self { warnings, ..Self::assemble(settings, folder, task) };
        restore(&mut session.task, &checkpoint)?;
        progress.check_fit(T::METRICS.len(), session.steps_per_epoch())?;
        session.progress = progress;
        let epochs = session.progress.epochs;
        if best_lost {
            session.progress.best = None;
        }
        session.records = session.folder.records(METRICS)?;
        session.records.retain(|record| record.epoch() <= epochs);
        if session.records.len() < epochs {
            let (path, found) = (session.folder.file(METRICS), session.records.len());
            let warning = format!("{}: holds {found} of the {epochs} epochs that the run has made", path.display());
            session.warnings.push(warning);
        }
        session.task.load_extra_files(&session.folder, &checkpoint)?;
        if data_are_unknown {
            DataRecord::write(&session.folder, &session.task)?;
        }
        session.folder.write_settings(&session.settings)?;
        Ok(session)
    }

    /// Reads the task of a run at its checkpoint `best` or `last`, and the settings. The run need not be finished.
    /// [`Loaded::read`] also returns the warnings.
    ///
    /// # Errors
    /// Fails as [`Loaded::read`] does.
    pub fn load(path: &Path, checkpoint: &str, data_dir: Option<&Path>, device: Device) -> Result<(T, T::Settings)> {
        let loaded = Loaded::<T>::read(path, checkpoint, device, |settings| {
            if let Some(data_dir) = data_dir {
                settings.set_data_dir(data_dir);
            }
        })?;
        Ok((loaded.task, loaded.settings))
    }

    fn assemble(settings: T::Settings, folder: RunFolder, task: T) -> Self {
        Self {
            settings,
            folder,
            task,
            progress: Progress { sums: vec![0.0; T::METRICS.len()], ..Progress::default() },
            records: Vec::new(),
            best: None,
            saved: Instant::now(),
            events: RunEvents::default(),
            warnings: Vec::new(),
        }
    }

    /// Returns the settings.
    pub fn settings(&self) -> &T::Settings {
        &self.settings
    }

    /// Returns the number of epochs of the whole run.
    pub fn epochs(&self) -> usize {
        self.settings.loop_config().epochs
    }

    /// Returns the progress so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the task: the model and its data.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// Returns the metric of the best epoch so far, and the number of that epoch.
    pub fn best(&self) -> Option<(Metric, usize)> {
        let (value, epoch) = self.progress.best?;
        Some((Metric { value, ..self.records.last()?.selection_metric() }, epoch))
    }

    /// Returns the records of the epochs so far.
    pub fn records(&self) -> &[T::Record] {
        &self.records
    }

    /// Returns sentences about damage found on resuming, about checks that were not possible, and about changes to the
    /// initial weights.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Trains until the last epoch, or until `on_step` returns [`Control::Stop`]. `on_epoch` gets the record of each
    /// finished epoch. Checkpoints are written as often as the settings say, at a stop, and at the end.
    ///
    /// # Errors
    /// Fails if a step is not finite and the settings do not skip it, or if a file cannot be written.
    pub fn run(
        &mut self,
        mut on_step: impl FnMut(&StepReport) -> Control,
        mut on_epoch: impl FnMut(&T::Record),
    ) -> Result<Control> {
        let loop_config = self.settings.loop_config();
        if self.progress.epochs < loop_config.epochs {
            let done = self.progress.epochs * self.steps_per_epoch() + self.progress.steps;
            self.events.open(&self.folder, done)?;
        }
        while self.progress.epochs < loop_config.epochs {
            let Some(record) = self.epoch(&mut on_step)? else {
                self.save()?;
                return Ok(Control::Stop);
            };
            on_epoch(&record);
        }
        self.save()?;
        let _generator = random::seeded(loop_config.seed as i64);
        self.task.finish(&self.settings, &self.folder)?;
        Ok(Control::Continue)
    }

    /// Returns the number of steps per epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> usize {
        (self.task.examples() as usize).div_ceil(self.settings.loop_config().batch_size as usize)
    }

    /// Trains the rest of the current epoch. Returns its record, or `None` if it was stopped.
    fn epoch(&mut self, on_step: &mut impl FnMut(&StepReport) -> Control) -> Result<Option<T::Record>> {
        let loop_config = self.settings.loop_config();
        let epoch = self.progress.epochs + 1;
        let steps = self.steps_per_epoch();
        let count = self.task.examples();
        let device = self.task.device();
        let order = self.task.order(loop_config.seed, epoch).to_device(device);
        let mut clock = Instant::now();
        let mut recent = RunningSums::new(T::METRICS, device);

        for step in self.progress.steps..steps {
            let start = step as i64 * loop_config.batch_size;
            let size = loop_config.batch_size.min(count - start);
            let indices = order.narrow(0, start, size);
            let plan = StepContext::new(&loop_config, &indices, epoch, step, steps);
            let numbers = {
                let _generator = random::seeded(plan.seed);
                self.task.step(&self.settings, &plan)?
            };
            let sums = to_sums(T::METRICS, &numbers, size)?;
            recent.add(&sums, size);
            let done = (epoch - 1) * steps + step + 1;
            self.progress.steps = step + 1;

            let curve = (step + 1) % STEPS_BETWEEN_READS == 0;
            let due = matches!(loop_config.checkpoint_every, Interval::Steps(every) if done.is_multiple_of(every));
            let last = step + 1 == steps;
            if curve || due || last || is_host(device) {
                self.read_numbers(&mut recent, &mut clock, epoch)?;
                if curve {
                    let means = StepMeans::new(T::METRICS, &Vec::<f64>::try_from(&sums)?, size as f64);
                    let numbers = means.iter().chain([("temperature", plan.temperature)]);
                    self.events.scalars(done, numbers.map(|(name, value)| (format!("step/{name}"), value)))?;
                }
                if due || !last && self.interval_has_passed() {
                    self.save()?;
                }
            }
            let counted = (start + size - self.progress.uncounted_examples) as f64;
            let means = StepMeans::new(T::METRICS, &self.progress.sums, counted);
            let temperature = plan.temperature;
            if on_step(&StepReport { epoch, step: step + 1, steps, means, temperature }) == Control::Stop {
                self.read_numbers(&mut recent, &mut clock, epoch)?;
                return Ok(None);
            }
        }

        self.progress.seconds += clock.elapsed().as_secs_f64();
        let record = self.end_epoch(&loop_config, epoch, steps)?;
        let done = matches!(loop_config.checkpoint_every, Interval::Epochs(every) if epoch.is_multiple_of(every));
        if done || self.interval_has_passed() {
            self.save()?;
        }
        Ok(Some(record))
    }

    /// Evaluates an epoch after its steps, and updates records, events and progress.
    fn end_epoch(&mut self, loop_config: &LoopConfig, epoch: usize, steps: usize) -> Result<T::Record> {
        let counted = (self.task.examples() - self.progress.uncounted_examples) as f64;
        let means = StepMeans::new(T::METRICS, &self.progress.sums, counted);
        let temperature = StepContext::new(loop_config, &Tensor::new(), epoch, steps - 1, steps).temperature;
        let Progress { skipped_steps, seconds, .. } = self.progress;
        let trained = Trained { epoch, means, temperature, skipped_steps, seconds };
        let seed = step_seed(loop_config.seed, epoch, steps);
        let generator = random::seeded(seed);
        let record = self.task.record(&self.settings, &trained)?;
        let line = serde_json::to_string(&record).unwrap_or_default();
        // JSON has no NaN, so a record with one could not be read again.
        if !record.selection_metric().value.is_finite() || serde_json::from_str::<T::Record>(&line).is_err() {
            return Err(Error::NotFinite {
                what: "the validation result, or another number of the record,".into(),
                epoch,
                step: steps,
            });
        }
        let again = random::seeded(seed);
        let log_items = self.task.log_items(&self.settings)?;
        drop((again, generator));
        self.events.epoch(epoch * steps, &line, &log_items)?;

        let better = self.progress.best.is_none_or(|(best, _)| record.selection_metric().value < best);
        let best = if better { Some((record.selection_metric().value, epoch)) } else { self.progress.best };
        let sums = vec![0.0; T::METRICS.len()];
        let (steps, skipped_steps, uncounted_examples) = (0, 0, 0);
        let progress = self.progress.clone();
        self.progress = Progress { epochs: epoch, steps, sums, skipped_steps, uncounted_examples, best, ..progress };
        self.records.push(record);
        if better {
            let copies = self.task.contents().into_iter().map(|(name, t)| (name, t.detach().copy()));
            self.best = Some((copies.collect(), self.progress.clone()));
        }
        Ok(record)
    }

    /// Reads the numbers of the steps since the last read from the device, and handles steps that were not finite.
    fn read_numbers(&mut self, recent: &mut RunningSums, clock: &mut Instant, epoch: usize) -> Result<()> {
        let numbers = recent.read()?;
        for (sum, number) in self.progress.sums.iter_mut().zip(numbers.sums) {
            *sum += number;
        }
        self.progress.uncounted_examples += numbers.uncounted_examples;
        self.progress.seconds += clock.elapsed().as_secs_f64();
        *clock = Instant::now();
        let mut optimisers = self.task.optimisers();
        let (mut skipped, mut first) = (numbers.uncounted_steps, None);
        for optimiser in &mut optimisers {
            let own = optimiser.skipped()?;
            skipped = skipped.max(own.updates as usize);
            first = first.or(own.first);
        }
        let mut updates = optimisers.iter().map(|optimiser| optimiser.steps());
        self.progress.updates = updates.next().unwrap_or_default();
        self.progress.other_updates = updates.collect();
        if skipped == 0 {
            return Ok(());
        }
        self.progress.skipped_steps += skipped;
        let step = self.progress.steps;
        let what = match self.settings.loop_config().on_nan {
            OnNan::Stop => not_finite(self.task.contents()).or(first).unwrap_or("the loss".into()),
            // If every step of an epoch was skipped, the model does not train.
            OnNan::Skip if step == self.steps_per_epoch() && self.progress.skipped_steps >= step => {
                let what = not_finite(self.task.contents()).or(first).unwrap_or("the loss".into());
                return Err(Error::NeverFinite { what, epoch });
            }
            OnNan::Skip => return Ok(()),
        };
        Err(Error::NotFinite { what, epoch, step })
    }

    fn interval_has_passed(&self) -> bool {
        let elapsed = self.saved.elapsed().as_secs_f64();
        matches!(self.settings.loop_config().checkpoint_every, Interval::Seconds(seconds) if elapsed >= seconds)
    }

    /// Writes events, records, the best epoch and the latest state. A checkpoint is written after all files that it
    /// refers to, so that an interruption at any point does no harm.
    fn save(&mut self) -> Result<()> {
        if let Some(what) = not_finite(self.task.contents()) {
            let Progress { epochs, steps, .. } = self.progress;
            return Err(Error::NotFinite { what, epoch: epochs + usize::from(steps > 0), step: steps });
        }
        self.folder.check_lock()?;
        self.events.sync()?;
        self.folder.write_records(METRICS, &self.records)?;
        self.task.save_extra_files(&self.folder)?;
        let bound = BoundValues::of(&self.settings)?;
        if let Some((contents, progress)) = &self.best {
            Checkpoint::write_bound(&self.folder.file(BEST), contents, progress, bound.as_ref())?;
            self.best = None;
        }
        let contents = self.task.contents();
        Checkpoint::write_bound(&self.folder.file(LAST), &contents, &self.progress, bound.as_ref())?;
        self.saved = Instant::now();
        Ok(())
    }
}
