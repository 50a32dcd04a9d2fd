//! The training loop.
//!
//! All randomness of a step is a function of (seed, epoch, step), so that a run that is stopped and resumed goes on
//! exactly as one that was not.

use super::checkpoint::{Checkpoint, Progress, not_finite};
use super::checkpoint_interval::{Interval, OnNan};
use super::data_record::{DataRecord, unreadable_data};
use super::loaded::{Loaded, blank, recognise, restore};
use super::recovery::{self, Recovered};
use super::run_events::RunEvents;
use super::run_files::{BEST, LAST, METRICS};
use super::run_folder::RunFolder;
use super::settings::{LoopConfig, Settings};
use super::step_context::{StepContext, step_seed};
use super::step_metrics::{RunningSums, StepMeans, sums_of};
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
    /// The best epoch since the last checkpoint, in memory until the next one.
    best: Option<Snapshot>,
    saved: Instant,
    events: RunEvents,
    warnings: Vec<String>,
}

/// A copy of what a checkpoint holds.
type Snapshot = (Vec<(String, Tensor)>, Progress);

/// Steps between two looks at the numbers of a GPU, which has to be waited for, and between two points of a curve in
/// TensorBoard.
const STEPS_BETWEEN_LOOKS: usize = 10;

impl<T: TrainTask> Session<T> {
    /// A new run in a new folder.
    ///
    /// # Errors
    /// When a setting is wrong, the data or the first weights cannot be read, or the folder cannot be made.
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
        // Last, so that what holds a run can go on.
        session.folder.write_settings(&session.settings)?;
        Ok(session)
    }

    /// The run in a folder, at its newest checkpoint that can be read; `epochs` and `data_dir` replace its own, where
    /// given.
    ///
    /// # Errors
    /// As [`resume_with`](Self::resume_with).
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

    /// The run in a folder, at its newest checkpoint that can be read, with settings changed, which the folder then
    /// keeps. [`warnings`](Self::warnings) tells what was damaged.
    ///
    /// # Errors
    /// When there is no run, another process trains in it, no checkpoint can be read, what it holds is not what the
    /// settings describe, or the data are not those of the run; and those of `change`.
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
        let progress = checkpoint.progress();
        let (fewest, epochs) = (progress.epochs + usize::from(progress.steps > 0), settings.loop_config().epochs);
        if epochs < fewest {
            let allowed = format!("at least {fewest}, of which the run has made {}", progress.epochs);
            return Err(Error::parameter("epochs of a resumed run", epochs, allowed));
        }
        let task = blank::<T>(&settings, device).map_err(|error| unreadable_data(&settings, error))?;
        task.check_outside(&settings)?;
        let unknown_data = recognise(&folder, &settings, &task)?;
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

    /// The task of a finished or unfinished run at its checkpoint `best` or `last`, and the settings. [`Loaded::read`]
    /// also has the warnings.
    ///
    /// # Errors
    /// As [`Loaded::read`].
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

    /// The settings.
    pub fn settings(&self) -> &T::Settings {
        &self.settings
    }

    /// Epochs when it is done.
    pub fn epochs(&self) -> usize {
        self.settings.loop_config().epochs
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What is trained.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// The metric of the best epoch so far, and that epoch.
    pub fn best(&self) -> Option<(Metric, usize)> {
        let (value, epoch) = self.progress.best?;
        Some((Metric { value, ..self.records.last()?.selection_metric() }, epoch))
    }

    /// The epochs so far.
    pub fn records(&self) -> &[T::Record] {
        &self.records
    }

    /// What was damaged when the run was resumed, what could not be checked, and what was done to the first weights, in
    /// sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Trains until the last epoch, or until `on_step` says stop; `on_epoch` sees each finished epoch. Checkpoints are
    /// written as often as the settings say, at a stop, and at the end.
    ///
    /// # Errors
    /// When a step is not finite and the settings do not skip it, or a file cannot be written.
    pub fn run(
        &mut self,
        mut on_step: impl FnMut(&StepReport) -> Control,
        mut on_epoch: impl FnMut(&T::Record),
    ) -> Result<Control> {
        let pace = self.settings.loop_config();
        if self.progress.epochs < pace.epochs {
            let done = self.progress.epochs * self.steps_per_epoch() + self.progress.steps;
            self.events.open(&self.folder, done)?;
        }
        while self.progress.epochs < pace.epochs {
            let Some(record) = self.epoch(&mut on_step)? else {
                self.save()?;
                return Ok(Control::Stop);
            };
            on_epoch(&record);
        }
        self.save()?;
        let _generator = random::seeded(pace.seed as i64);
        self.task.finish(&self.settings, &self.folder)?;
        Ok(Control::Continue)
    }

    /// Steps of an epoch; the last batch may be smaller.
    pub fn steps_per_epoch(&self) -> usize {
        (self.task.examples() as usize).div_ceil(self.settings.loop_config().batch_size as usize)
    }

    /// What is left of the current epoch; `None` when it was stopped.
    fn epoch(&mut self, on_step: &mut impl FnMut(&StepReport) -> Control) -> Result<Option<T::Record>> {
        let pace = self.settings.loop_config();
        let epoch = self.progress.epochs + 1;
        let steps = self.steps_per_epoch();
        let count = self.task.examples();
        let device = self.task.device();
        let order = self.task.order(pace.seed, epoch).to_device(device);
        let mut clock = Instant::now();
        let mut recent = RunningSums::new(T::METRICS, device);

        for step in self.progress.steps..steps {
            let start = step as i64 * pace.batch_size;
            let size = pace.batch_size.min(count - start);
            let indices = order.narrow(0, start, size);
            let plan = StepContext::new(&pace, &indices, epoch, step, steps);
            let numbers = {
                let _generator = random::seeded(plan.seed);
                self.task.step(&self.settings, &plan)?
            };
            let sums = sums_of(T::METRICS, &numbers, size)?;
            recent.add(&sums, size);
            let done = (epoch - 1) * steps + step + 1;
            self.progress.steps = step + 1;

            let curve = (step + 1) % STEPS_BETWEEN_LOOKS == 0;
            let due = matches!(pace.checkpoint_every, Interval::Steps(every) if done.is_multiple_of(every));
            let last = step + 1 == steps;
            if curve || due || last || is_host(device) {
                self.look(&mut recent, &mut clock, epoch)?;
                if curve {
                    let means = StepMeans::new(T::METRICS, &Vec::<f64>::try_from(&sums)?, size as f64);
                    let numbers = means.iter().chain([("temperature", plan.temperature)]);
                    self.events.scalars(done, numbers.map(|(name, value)| (format!("step/{name}"), value)))?;
                }
                if due || !last && self.is_time() {
                    self.save()?;
                }
            }
            let seen = (start + size - self.progress.uncounted_examples) as f64;
            let means = StepMeans::new(T::METRICS, &self.progress.sums, seen);
            let temperature = plan.temperature;
            if on_step(&StepReport { epoch, step: step + 1, steps, means, temperature }) == Control::Stop {
                self.look(&mut recent, &mut clock, epoch)?;
                return Ok(None);
            }
        }

        self.progress.seconds += clock.elapsed().as_secs_f64();
        let record = self.finished(&pace, epoch, steps)?;
        let done = matches!(pace.checkpoint_every, Interval::Epochs(every) if epoch.is_multiple_of(every));
        if done || self.is_time() {
            self.save()?;
        }
        Ok(Some(record))
    }

    /// The record of an epoch whose steps are made, and what follows from it.
    fn finished(&mut self, pace: &LoopConfig, epoch: usize, steps: usize) -> Result<T::Record> {
        let counted = (self.task.examples() - self.progress.uncounted_examples) as f64;
        let means = StepMeans::new(T::METRICS, &self.progress.sums, counted);
        let temperature = StepContext::new(pace, &Tensor::new(), epoch, steps - 1, steps).temperature;
        let Progress { skipped_steps, seconds, .. } = self.progress;
        let trained = Trained { epoch, means, temperature, skipped_steps, seconds };
        let seed = step_seed(pace.seed, epoch, steps);
        let generator = random::seeded(seed);
        let record = self.task.record(&self.settings, &trained)?;
        let line = serde_json::to_string(&record).unwrap_or_default();
        // JSON has no NaN: a record with one could not be read again.
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

    /// Takes the numbers of the steps since the last look off the device, and judges steps that were not finite.
    fn look(&mut self, recent: &mut RunningSums, clock: &mut Instant, epoch: usize) -> Result<()> {
        let numbers = recent.take()?;
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
            // A model that only has such steps left does not train any more.
            OnNan::Skip if step == self.steps_per_epoch() && self.progress.skipped_steps >= step => {
                let what = not_finite(self.task.contents()).or(first).unwrap_or("the loss".into());
                return Err(Error::NeverFinite { what, epoch });
            }
            OnNan::Skip => return Ok(()),
        };
        Err(Error::NotFinite { what, epoch, step })
    }

    fn is_time(&self) -> bool {
        let elapsed = self.saved.elapsed().as_secs_f64();
        matches!(self.settings.loop_config().checkpoint_every, Interval::Seconds(seconds) if elapsed >= seconds)
    }

    /// Writes what is shown, the records, the best epoch, and where the run is, in the order in which an end between
    /// them does no harm: a checkpoint comes after all that it promises.
    fn save(&mut self) -> Result<()> {
        if let Some(what) = not_finite(self.task.contents()) {
            let Progress { epochs, steps, .. } = self.progress;
            return Err(Error::NotFinite { what, epoch: epochs + usize::from(steps > 0), step: steps });
        }
        self.folder.check_lock()?;
        self.events.sync()?;
        self.folder.write_records(METRICS, &self.records)?;
        self.task.save_extra_files(&self.folder)?;
        if let Some((contents, progress)) = &self.best {
            Checkpoint::write(&self.folder.file(BEST), contents, progress)?;
            self.best = None;
        }
        let contents = self.task.contents();
        Checkpoint::write(&self.folder.file(LAST), &contents, &self.progress)?;
        self.saved = Instant::now();
        Ok(())
    }
}
