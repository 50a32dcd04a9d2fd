//! Training on a terminal: how a run starts, what is printed while it trains, and how it ends.

use super::choices::choice;
use super::runs::{report_outside_paths, set_data_dir};
use super::{Common, Interruption, Meter, catch_signals, print_line, warn};
use crate::error::Error;
use crate::markup::shell_word;
use crate::training::{
    Control, KL, NEG_ELBO, OnNan, Record, RunFolder, Session, Settings, StepMeans, TrainTask, read_settings,
};
use clap::Args;
use serde::Serialize;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The options of every command that trains.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Folder with the files of named data [default: GENGS_DATA from the environment]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// TOML file of settings, under the names of these flags with _ for -
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// What to do if the loss or the gradient of a step is not finite; such a step never changes the model [default:
    /// stop]
    #[arg(long, value_name = "WHAT", value_parser = choice::<OnNan>())]
    on_nan: Option<OnNan>,
    /// Run folder [default: runs/ followed by the data and the model]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in --out from its last checkpoint, with its settings. The run keeps new values of --epochs
    /// (schedules then follow the new length), --on-nan, and the location of its data. --threads, --device, --quiet and
    /// --json hold for this call only
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    common: Common,
}

/// A command that trains: its flags and its messages. Serialised, it is the flags that the user gave, under their names
/// in a settings file.
pub trait Train: Serialize {
    /// The model with its data.
    type Task: TrainTask<Settings: Default>;

    /// The settings that locate the data, which may change when a run is resumed.
    const DATA_LOCATIONS: &'static [&'static str];

    /// The program's name.
    const PROGRAM: &'static str;

    /// Returns the options of every command that trains.
    fn run_args(&self) -> &RunArgs;

    /// Returns the run folder if the user named none.
    fn default_folder(settings: &<Self::Task as TrainTask>::Settings) -> PathBuf;

    /// Returns the means over the steps of an epoch so far, in a few words.
    fn step_line(means: &StepMeans) -> String {
        format!("-ELBO {:.2} (relaxed) KL {:.2}", means.get(NEG_ELBO), means.get(KL))
    }

    /// Returns an epoch as a line.
    fn epoch_line(record: &<Self::Task as TrainTask>::Record) -> String;

    /// Returns messages and warnings about the data, which are printed before the first step.
    ///
    /// # Errors
    /// Fails if the data cannot be read.
    fn start_messages(
        _task: &Self::Task,
        _settings: &<Self::Task as TrainTask>::Settings,
    ) -> crate::error::Result<(Vec<String>, Vec<String>)> {
        Ok((Vec::new(), Vec::new()))
    }

    /// Returns the end of the message about the best epoch, and further messages, which are printed after the last
    /// step.
    fn final_messages(_task: &Self::Task, _out: &Path) -> (String, Vec<String>) {
        (String::new(), Vec::new())
    }

    /// Trains until the last epoch, or until a signal asks the program to stop.
    ///
    /// # Errors
    /// Fails if a setting is not allowed, and as [`Session::run`] does.
    fn run(&self) -> anyhow::Result<ExitCode> {
        // Signals are caught only while the run trains. Before, when a pipe or a slow disk may keep the program
        // waiting, a signal ends the program at once.
        let (mut session, out) = begin(self)?;
        let stop = catch_signals()?;
        let common = &self.run_args().common;
        let stopped = train(self, &mut session, &out, &stop)?;
        if stopped.is_none() {
            let (rest, sentences) = Self::final_messages(session.task(), &out);
            let seconds = session.progress().seconds;
            if let Some((best, epoch)) = session.best() {
                common.print_status(format_args!(
                    "done in {seconds:.0} s of training; best {best} at epoch {epoch}{rest}"
                ));
            }
            sentences.iter().for_each(|sentence| common.print_status(sentence));
        }
        if common.json {
            print_line(serde_json::to_string(session.records())?)?;
        }
        Ok(stopped.unwrap_or(ExitCode::SUCCESS))
    }
}

/// The setting that may be given with `--resume`, besides [`Train::DATA_LOCATIONS`] and the flags of [`RunArgs`].
const CHANGEABLE: &str = "epochs";

/// The setting of a folder outside of the run folder, which `--resume` writes only if the user gives it.
const STORE: &str = "store";

/// Starts a new run or resumes one, and returns its session and its folder.
fn begin<C: Train + ?Sized>(command: &C) -> anyhow::Result<(Session<C::Task>, PathBuf)> {
    let RunArgs { data_dir, config, on_nan, out, resume, common } = command.run_args();
    let device = common.prepare()?;
    let given = toml::Table::try_from(command)?;
    let change = |settings: &mut <C::Task as TrainTask>::Settings| {
        if let Some(on_nan) = *on_nan {
            settings.set_on_nan(on_nan);
        }
        set_data_dir(settings, data_dir.as_deref());
    };
    if *resume {
        let Some(out) = out else { anyhow::bail!("--resume needs the run folder: --out DIR") };
        if let Some(name) =
            names(&given).into_iter().find(|name| name != CHANGEABLE && !C::DATA_LOCATIONS.contains(&name.as_str()))
        {
            anyhow::bail!(
                "--{} cannot be given with --resume: the run goes on with its own settings; start a new run for others",
                name.replace('_', "-")
            );
        }
        let writes_outside = given.contains_key(STORE);
        let change = |settings: &mut <C::Task as TrainTask>::Settings| {
            let (folder, own) = RunFolder::open::<<C::Task as TrainTask>::Settings>(out)?;
            *settings = with_given(settings, given)?;
            change(settings);
            report_outside_paths(common, &folder, &own, settings);
            if writes_outside {
                settings.check()?;
                C::Task::write_outside(settings)?;
            }
            Ok(())
        };
        return Ok((Session::resume_with(out, device, change)?, out.clone()));
    }
    // The command line takes precedence over the settings file, which takes precedence over the defaults.
    let settings: <C::Task as TrainTask>::Settings =
        config.as_ref().map_or_else(|| Ok(Default::default()), |file| read_settings(file))?;
    let mut settings = with_given(&settings, given)?;
    change(&mut settings);
    settings.check()?;
    let out = out.clone().unwrap_or_else(|| C::default_folder(&settings));
    Ok((Session::start(settings, &out, device)?, out))
}

/// Returns the settings with those that the user gave in place of their own.
fn with_given<S: Settings>(settings: &S, given: toml::Table) -> crate::error::Result<S> {
    let wrong = |problem: String| Error::Config(problem.trim_end().to_string());
    let mut merged = toml::Table::try_from(settings).map_err(|error| wrong(error.to_string()))?;
    merge(&mut merged, given);
    merged.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))
}

/// Overwrites the entries of one table by those of another, including entries of nested tables.
fn merge(below: &mut toml::Table, above: toml::Table) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

/// Returns the names of a table's entries, including those of nested tables.
fn names(table: &toml::Table) -> Vec<String> {
    let each = table.iter().flat_map(|(name, value)| match value {
        toml::Value::Table(inner) => names(inner),
        _ => vec![name.clone()],
    });
    each.collect()
}

/// Parses a whole number from 0 to the largest that TOML can hold.
///
/// # Errors
/// Fails if the text is not such a number.
pub fn whole_number(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(|| format!("must be a whole number from 0 to {}", i64::MAX))
}

/// Parses a seed for libtorch's generator, which has 32 bits.
///
/// # Errors
/// Fails if the text is not a whole number from 0 to `u32::MAX`.
pub fn generator_seed(text: &str) -> Result<i64, String> {
    text.parse::<u32>().map(i64::from).map_err(|_| format!("must be a whole number from 0 to {}", u32::MAX))
}

/// Trains and prints. Returns the exit code if a signal stopped the run, `None` at its end.
fn train<C: Train + ?Sized>(
    command: &C,
    session: &mut Session<C::Task>,
    out: &Path,
    stop: &Interruption,
) -> crate::error::Result<Option<ExitCode>> {
    let RunArgs { resume, common, .. } = command.run_args();
    warn(session.warnings());
    let (sentences, warnings) = C::start_messages(session.task(), session.settings())?;
    sentences.iter().for_each(|sentence| common.print_status(sentence));
    warn(&warnings);
    let steps = session.steps_per_epoch();
    let epochs = session.epochs();
    let from = session.progress().epochs;
    common.print_status(format_args!(
        "{} run in {}: epochs {} to {epochs}, {steps} steps each",
        if *resume { "resumed" } else { "new" },
        out.display(),
        (from + 1).min(epochs)
    ));
    let meter = RefCell::new(Meter::new(epochs * steps, common.quiet));
    let control = session.run(
        |report| {
            meter.borrow_mut().step((report.epoch - 1) * steps + report.step, || {
                let (epoch, temperature) = (report.epoch, report.temperature);
                format!("epoch {epoch} {} temperature {temperature:.3}", C::step_line(&report.means))
            });
            if stop.was_received() { Control::Stop } else { Control::Continue }
        },
        |record| {
            let mut text = C::epoch_line(record);
            if record.skipped_steps() > 0 {
                text.push_str(&format!(", {} steps skipped (not finite)", record.skipped_steps()));
            }
            meter.borrow().line(record.epoch() * steps, &text);
        },
    )?;
    meter.borrow().finish();
    if control == Control::Continue {
        return Ok(None);
    }
    let program = C::PROGRAM;
    let threads = common.threads.map_or(String::new(), |threads| format!(" --threads {threads}"));
    let again = shell_word(out).map(|out| format!(": {program} train --resume --out {out}{threads}"));
    common.print_status(format_args!("stopped and saved; go on with{}", again.unwrap_or(" --resume".into())));
    Ok(Some(stop.exit_code()))
}
