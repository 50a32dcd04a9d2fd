//! Tests of runs whose file operations fail one after the other, and of runs with steps that are not finite. The task
//! is a line with two parameters.

use crate::error::{Error, Result};
use crate::nn::Adam;
use crate::platform::files::fault::{self, Fault};
use crate::training::checkpoint::Checkpoint;
use crate::training::{
    Control, Interval, LogItem, LoopConfig, METRICS, Metric, OnNan, Record, RunFolder, Schedule, Session, Settings,
    StepContext, StepMetric, StepReport, TrainTask, Trained,
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, Tensor};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LineSettings {
    epochs: usize,
    checkpoint_every: Interval,
    on_nan: OnNan,
    /// The number of a step, counted over the run, whose loss is NaN.
    nan_loss_at: Option<usize>,
    /// The number of a step whose loss is finite, but whose gradient is not.
    nan_gradient_at: Option<usize>,
}

impl Default for LineSettings {
    fn default() -> Self {
        let (checkpoint_every, on_nan) = (Interval::Steps(2), OnNan::Stop);
        Self { epochs: 3, checkpoint_every, on_nan, nan_loss_at: None, nan_gradient_at: None }
    }
}

impl Settings for LineSettings {
    fn loop_config(&self) -> LoopConfig {
        let temperature = Schedule { first: 1.0, last: 0.5 };
        let Self { epochs, checkpoint_every, on_nan, .. } = *self;
        LoopConfig { epochs, batch_size: 2, temperature, checkpoint_every, on_nan, seed: 5 }
    }

    fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn set_on_nan(&mut self, on_nan: OnNan) {
        self.on_nan = on_nan;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct LineRecord {
    epoch: usize,
    loss: f64,
    temperature: f64,
    skipped_steps: usize,
}

impl Record for LineRecord {
    fn epoch(&self) -> usize {
        self.epoch
    }

    fn selection_metric(&self) -> Metric {
        Metric { name: "loss", value: self.loss, unit: "" }
    }

    fn skipped_steps(&self) -> usize {
        self.skipped_steps
    }
}

/// A line fitted to five noisy points.
struct Line {
    store: VarStore,
    slope: Tensor,
    offset: Tensor,
    adam: Adam,
}

impl TrainTask for Line {
    type Settings = LineSettings;
    type Record = LineRecord;

    const METRICS: &'static [StepMetric] = &[StepMetric::sum("loss")];

    fn new(_: &LineSettings, device: Device) -> Result<Self> {
        let store = VarStore::new(device);
        let slope = store.root().var("slope", &[1], Init::Const(0.5));
        let offset = store.root().var("offset", &[1], Init::Const(-0.25));
        let adam = Adam::new(&store, 0.1)?;
        Ok(Self { store, slope, offset, adam })
    }

    fn examples(&self) -> i64 {
        5
    }

    fn store(&self) -> &VarStore {
        &self.store
    }

    fn optimisers(&mut self) -> Vec<&mut Adam> {
        vec![&mut self.adam]
    }

    fn step(&mut self, settings: &LineSettings, plan: &StepContext<'_>) -> Result<Tensor> {
        // The noise depends only on the step, not on the generator that all tests of a process share.
        let x = plan.indices.to_kind(Kind::Float) + (plan.seed as f64).sin();
        let mut loss = (&x * &self.slope + &self.offset - &x * 2.0 - 1.0).square().sum(Kind::Float);
        if settings.nan_loss_at == Some(plan.done) {
            loss *= f64::NAN;
        }
        if settings.nan_gradient_at == Some(plan.done) {
            // The square root of zero is finite, but its derivative is not.
            loss += (&self.slope * 0.0).sqrt().sum(Kind::Float);
        }
        self.adam.minimize(&loss, false)?;
        Ok(loss)
    }

    fn record(&self, _: &LineSettings, trained: &Trained) -> Result<LineRecord> {
        let Trained { epoch, means, temperature, skipped_steps, .. } = trained;
        let (epoch, temperature, skipped_steps) = (*epoch, *temperature, *skipped_steps);
        Ok(LineRecord { epoch, loss: means.get("loss"), temperature, skipped_steps })
    }

    fn log_items(&self, _: &LineSettings) -> Result<Vec<(String, LogItem)>> {
        let slope = self.slope.shallow_clone();
        Ok(vec![("slope".into(), LogItem::Histogram(slope)), ("nothing".into(), LogItem::Scalar(f64::NAN))])
    }
}

/// The number of steps per epoch, for five points in batches of two.
const STEPS: usize = 3;

/// Returns the bits of all variables of a session, by name.
fn bits(session: &mut Session<Line>) -> Vec<(String, Vec<u32>)> {
    let contents = session.task.contents().into_iter();
    let bits = |tensor: &Tensor| Vec::<f32>::try_from(tensor.detach()).unwrap().into_iter().map(f32::to_bits).collect();
    contents.map(|(name, tensor)| (name, bits(&tensor))).collect()
}

/// Trains a run to its end or to its first error. Returns the last step that was reported, and the session or the
/// error.
fn run(session: Result<Session<Line>>) -> (usize, Result<Session<Line>>) {
    let reported = Rc::new(RefCell::new(0));
    let on_step = |report: &StepReport| {
        *reported.borrow_mut() = (report.epoch - 1) * STEPS + report.step;
        Control::Continue
    };
    let outcome = session.and_then(|mut session| session.run(on_step, |_| ()).map(|_| session));
    let reported = *reported.borrow();
    (reported, outcome)
}

/// Returns the number of steps that a session has made.
fn done(session: &Session<Line>) -> usize {
    session.progress().epochs * STEPS + session.progress().steps
}

/// Returns the number of steps of the newest readable checkpoint.
fn newest(folder: &Path) -> Option<usize> {
    let read = |name: &str| Checkpoint::read(&folder.join(name)).ok();
    let checkpoints = ["last.safetensors", "best.safetensors"].into_iter().filter_map(read);
    checkpoints.map(|checkpoint| checkpoint.progress().epochs * STEPS + checkpoint.progress().steps).max()
}

/// Lets the n-th file operation fail, for every n, and checks that the run can be resumed to the same result. Returns
/// the number of operations.
fn fail_everywhere(fault: Fault) -> usize {
    let settings = || LineSettings { checkpoint_every: Interval::Steps(1), ..LineSettings::default() };
    // In memory, if the machine has such a folder: the test does not depend on a disk, and a disk would take time to
    // sync.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let (_, uninterrupted) = run(Session::start(settings(), &folder.path().join("whole"), Device::Cpu));
    let mut uninterrupted = uninterrupted.unwrap();
    for n in 0.. {
        let out = folder.path().join(n.to_string());
        fault::after(n, fault);
        let (reported, outcome) = run(Session::start(settings(), &out, Device::Cpu));
        if !fault::end() {
            assert!(outcome.is_ok());
            return n;
        }
        // If the temporary file of a failed write could not be removed, that does no harm and is no error.
        let Err(error) = outcome else { panic!("operation {n} failed unnoticed") };
        let text = error.to_string();
        assert!(text.contains("cannot be") && text.lines().count() == 1, "{n}: {text}");
        if fault == Fault::Once && out.exists() {
            let names = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(names.filter(|name| name.to_string_lossy().ends_with(".tmp")).count(), 0, "{n}");
        }
        let again = if out.join("config.toml").exists() {
            let newest = newest(&out).expect("a run has a checkpoint");
            // A step is reported only after its checkpoint is written.
            assert!(newest >= reported, "{n}: {newest} steps of {reported} are left");
            let session = Session::<Line>::resume(&out, None, None, Device::Cpu).unwrap();
            assert_eq!(done(&session), newest, "{n}");
            assert!(session.warnings().is_empty(), "{n}: {:?}", session.warnings());
            Ok(session)
        } else {
            assert_eq!(reported, 0);
            Session::start(settings(), &out, Device::Cpu)
        };
        let mut again = run(again).1.unwrap();
        assert_eq!(bits(&mut again), bits(&mut uninterrupted), "{n}");
        assert_eq!(again.records(), uninterrupted.records(), "{n}");
        let (kept, _) = RunFolder::open::<LineSettings>(&out).unwrap();
        assert_eq!(kept.records::<LineRecord>(METRICS).unwrap(), uninterrupted.records(), "{n}");
        assert!(out.join("best.safetensors").exists());
    }
    unreachable!()
}

#[test]
fn a_run_killed_between_any_two_operations_resumes_to_the_same_result() {
    let operations = fail_everywhere(Fault::Dead);
    println!("killed at each of {operations} operations on files");
    assert!(operations > 100, "{operations}");
}

#[test]
fn a_run_whose_disk_is_full_at_any_operation_keeps_its_checkpoint() {
    let operations = fail_everywhere(Fault::Once);
    println!("a full disk at each of {operations} operations on files");
    assert!(operations > 100, "{operations}");
}

#[test]
fn a_step_that_is_not_finite_stops_the_run_before_it_changes_anything() {
    let folder = tempfile::tempdir().unwrap();
    for (i, what) in ["the loss", "the gradient of slope"].into_iter().enumerate() {
        let (nan_loss_at, nan_gradient_at) = if i == 0 { (Some(4), None) } else { (None, Some(4)) };
        let settings = LineSettings { nan_loss_at, nan_gradient_at, ..LineSettings::default() };
        let out = folder.path().join(i.to_string());
        let mut session = Session::<Line>::start(settings, &out, Device::Cpu).unwrap();
        let before = RefCell::new(0);
        let error = session.run(
            |report| {
                *before.borrow_mut() = (report.epoch - 1) * STEPS + report.step;
                Control::Continue
            },
            |_| (),
        );
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with(&format!("{what} is not finite at epoch 2, step 2")), "{text}");
        assert_eq!(*before.borrow(), 4);
        // The checkpoint of the step before holds the current state of the session.
        let found = bits(&mut session);
        drop(session);
        let mut kept = Session::<Line>::resume(&out, None, None, Device::Cpu).unwrap();
        assert_eq!((done(&kept), bits(&mut kept)), (4, found));
        // After resuming with OnNan::Skip, the step is skipped.
        drop(kept);
        let kept = Session::<Line>::resume_with(&out, Device::Cpu, |settings| {
            settings.on_nan = OnNan::Skip;
            Ok(())
        });
        let kept = run(kept).1.unwrap();
        assert_eq!(kept.records().iter().map(|record| record.skipped_steps).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(kept.progress().updates, 8);
        assert_eq!(RunFolder::open::<LineSettings>(&out).unwrap().1.on_nan, OnNan::Skip);
    }
}

#[test]
fn a_skipped_step_changes_nothing_and_a_run_with_one_is_resumed_exactly() {
    let folder = tempfile::tempdir().unwrap();
    for (i, (nan_loss_at, nan_gradient_at)) in [(Some(4), None), (None, Some(4))].into_iter().enumerate() {
        let settings = LineSettings { nan_loss_at, nan_gradient_at, on_nan: OnNan::Skip, ..LineSettings::default() };
        let out = |name: &str| folder.path().join(format!("{name}-{i}"));
        let mut uninterrupted = run(Session::start(settings.clone(), &out("whole"), Device::Cpu)).1.unwrap();
        let stop_after = |session: &mut Session<Line>, steps: usize| {
            let steps_made = |report: &StepReport| (report.epoch - 1) * STEPS + report.step;
            let stop = |report: &StepReport| if steps_made(report) < steps { Control::Continue } else { Control::Stop };
            assert_eq!(session.run(stop, |_| ()).unwrap(), Control::Stop);
            assert_eq!(done(session), steps);
        };
        let mut session = Session::<Line>::start(settings, &out("stopped"), Device::Cpu).unwrap();
        stop_after(&mut session, 4);
        let before = bits(&mut session);
        drop(session);
        let mut session = Session::<Line>::resume(&out("stopped"), None, None, Device::Cpu).unwrap();
        stop_after(&mut session, 5);
        assert_eq!(bits(&mut session), before);
        assert_eq!((session.progress().updates, session.progress().skipped_steps), (4, 1));
        // The mean leaves out losses that are not finite, but includes finite losses whose gradient is not.
        assert_eq!(session.progress().uncounted_examples, if i == 0 { 2 } else { 0 });
        drop(session);
        let mut stopped = run(Session::resume(&out("stopped"), None, None, Device::Cpu)).1.unwrap();
        assert_eq!(bits(&mut stopped), bits(&mut uninterrupted));
        assert_eq!(stopped.records(), uninterrupted.records());
    }
}

#[test]
fn a_run_stopped_at_an_epochs_last_step_has_the_same_record() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let uninterrupted = run(Session::start(LineSettings::default(), &out("whole"), Device::Cpu)).1.unwrap();
    let mut session = Session::<Line>::start(LineSettings::default(), &out("stopped"), Device::Cpu).unwrap();
    let stop = |report: &StepReport| if report.step == STEPS { Control::Stop } else { Control::Continue };
    session.run(stop, |_| ()).unwrap();
    drop(session);
    let stopped = run(Session::resume(&out("stopped"), None, None, Device::Cpu)).1.unwrap();
    assert_eq!(stopped.records(), uninterrupted.records());
    assert_eq!(uninterrupted.records()[2].temperature, 0.5);
}

#[test]
fn an_epoch_without_a_finite_step_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LineSettings { on_nan: OnNan::Skip, ..LineSettings::default() };
    let mut session = Session::<Line>::start(settings, &folder.path().join("run"), Device::Cpu).unwrap();
    // An infinite parameter makes every loss infinite.
    let _ = tch::no_grad(|| session.task.slope.fill_(f64::INFINITY));
    let text = session.run(|_| Control::Continue, |_| ()).unwrap_err().to_string();
    assert!(text.starts_with("parameter slope") && matches!(session.progress().epochs, 0), "{text}");
    assert!(Checkpoint::read(&folder.path().join("run/last.safetensors")).is_ok());
}

#[test]
fn a_folder_is_one_sessions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let first = Session::<Line>::start(LineSettings::default(), &out, Device::Cpu).unwrap();
    let message = format!("process {} trains in it", std::process::id());
    for second in [
        Session::<Line>::resume(&out, None, None, Device::Cpu),
        Session::<Line>::start(LineSettings::default(), &out, Device::Cpu),
    ] {
        let Err(error @ Error::InUse { .. }) = second else { panic!("two sessions in one folder") };
        assert!(error.to_string().contains(&message), "{error}");
    }
    // Reading a run needs no lock.
    Session::<Line>::load(&out, "last", None, Device::Cpu).unwrap();
    drop(first);
    Session::<Line>::resume(&out, None, None, Device::Cpu).unwrap();
}
