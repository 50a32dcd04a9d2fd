//! A run on a terminal: how it begins, what it shows while it trains, and how it ends.

use super::choices::choice;
use super::runs::{name_outside, set_data_dir};
use super::{Common, Interruption, Meter, interrupted, print_line, warn};
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

/// Flags that every command has which trains.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Folder with the files of named data [default: GENGS_DATA from the environment]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings in TOML, the names of these flags with _ for -
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// What to do about a step whose loss or gradient is not finite: such a step never changes the model [default:
    /// stop]
    #[arg(long, value_name = "WHAT", value_parser = choice::<OnNan>())]
    on_nan: Option<OnNan>,
    /// Run folder [default: one in runs/ that is named after the data and the model]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out at its last checkpoint, with its settings. What may be given anew, and is kept:
    /// --epochs (what changes over a run then follows the new length), --on-nan, and where its data are now. --threads,
    /// --device, --quiet, --json hold for this call alone
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    common: Common,
}

/// The flags of a command that trains, and what it says. Serialised, they are settings: of those that were typed, under
/// the names of a settings file.
pub trait Train: Serialize {
    /// What is trained.
    type Task: TrainTask<Settings: Default>;

    /// The settings that say where the data are, which may change when a run is resumed.
    const PLACES: &'static [&'static str];

    /// The program's name.
    const PROGRAM: &'static str;

    /// The flags that every such command has.
    fn run_args(&self) -> &RunArgs;

    /// The run folder where none was given.
    fn default_folder(settings: &<Self::Task as TrainTask>::Settings) -> PathBuf;

    /// What the steps of an epoch came to so far, in a few words.
    fn step_line(means: &StepMeans) -> String {
        format!("-ELBO {:.2} (relaxed) KL {:.2}", means.get(NEG_ELBO), means.get(KL))
    }

    /// An epoch in a line.
    fn line(record: &<Self::Task as TrainTask>::Record) -> String;

    /// What is to be said of the data at the start, and warned of.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn opening(
        _task: &Self::Task,
        _settings: &<Self::Task as TrainTask>::Settings,
    ) -> crate::error::Result<(Vec<String>, Vec<String>)> {
        Ok((Vec::new(), Vec::new()))
    }

    /// What is to be said at the end beside the best result: the rest of its sentence, and further ones.
    fn closing(_task: &Self::Task, _out: &Path) -> (String, Vec<String>) {
        (String::new(), Vec::new())
    }

    /// Trains until the end or until the program is asked to stop.
    ///
    /// # Errors
    /// When the settings are not allowed, and those of [`Session::run`].
    fn run(&self) -> anyhow::Result<ExitCode> {
        // Only a training is stopped gently: until it begins, and a pipe or a slow disk may be waited for, a signal
        // ends the program as it ends any other.
        let (mut session, out) = begin(self)?;
        let stop = interrupted()?;
        let common = &self.run_args().common;
        let stopped = train(self, &mut session, &out, &stop)?;
        if stopped.is_none() {
            let (rest, sentences) = Self::closing(session.task(), &out);
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

/// What may be typed when a run is resumed, beside the flags of [`RunArgs`].
const CHANGEABLE: &str = "epochs";

/// What is written outside of the run folder, if it is typed.
const STORE: &str = "store";

/// A new run, or one that goes on, and its folder.
fn begin<C: Train + ?Sized>(command: &C) -> anyhow::Result<(Session<C::Task>, PathBuf)> {
    let RunArgs { data_dir, config, on_nan, out, resume, common } = command.run_args();
    let device = common.prepare()?;
    let typed = toml::Table::try_from(command)?;
    let change = |settings: &mut <C::Task as TrainTask>::Settings| {
        if let Some(on_nan) = *on_nan {
            settings.set_on_nan(on_nan);
        }
        set_data_dir(settings, data_dir.as_deref());
    };
    if *resume {
        let Some(out) = out else { anyhow::bail!("--resume needs the run folder: --out DIR") };
        if let Some(name) =
            names(&typed).into_iter().find(|name| name != CHANGEABLE && !C::PLACES.contains(&name.as_str()))
        {
            anyhow::bail!(
                "--{} cannot be given with --resume: the run goes on with its own settings; start a new run for others",
                name.replace('_', "-")
            );
        }
        let writes_outside = typed.contains_key(STORE);
        let change = |settings: &mut <C::Task as TrainTask>::Settings| {
            let (folder, own) = RunFolder::open::<<C::Task as TrainTask>::Settings>(out)?;
            *settings = with_typed(settings, typed)?;
            change(settings);
            name_outside(common, &folder, &own, settings);
            if writes_outside {
                settings.check()?;
                C::Task::write_outside(settings)?;
            }
            Ok(())
        };
        return Ok((Session::resume_with(out, device, change)?, out.clone()));
    }
    // What was typed, over the settings file, over the defaults.
    let settings: <C::Task as TrainTask>::Settings =
        config.as_ref().map_or_else(|| Ok(Default::default()), |file| read_settings(file))?;
    let mut settings = with_typed(&settings, typed)?;
    change(&mut settings);
    settings.check()?;
    let out = out.clone().unwrap_or_else(|| C::default_folder(&settings));
    Ok((Session::start(settings, &out, device)?, out))
}

/// Settings with what was typed in place of their own.
fn with_typed<S: Settings>(settings: &S, typed: toml::Table) -> crate::error::Result<S> {
    let wrong = |problem: String| Error::Config(problem.trim_end().to_string());
    let mut merged = toml::Table::try_from(settings).map_err(|error| wrong(error.to_string()))?;
    merge(&mut merged, typed);
    merged.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))
}

/// Puts the entries of a table over those of another, and the entries of tables in it over theirs.
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

/// The names of a table's entries, those of tables in it too.
fn names(table: &toml::Table) -> Vec<String> {
    let each = table.iter().flat_map(|(name, value)| match value {
        toml::Value::Table(inner) => names(inner),
        _ => vec![name.clone()],
    });
    each.collect()
}

/// A whole number that a settings file can hold.
///
/// # Errors
/// When it is none, negative, or too large.
pub fn whole_number(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(|| format!("must be a whole number from 0 to {}", i64::MAX))
}

/// A number from which libtorch's generator starts: it has 32 bits, and would take larger ones for smaller ones.
///
/// # Errors
/// When it is none, negative, or too large.
pub fn generator_seed(text: &str) -> Result<i64, String> {
    text.parse::<u32>().map(i64::from).map_err(|_| format!("must be a whole number from 0 to {}", u32::MAX))
}

/// Returns how the program ends when it was stopped, and nothing at the end of the run.
fn train<C: Train + ?Sized>(
    command: &C,
    session: &mut Session<C::Task>,
    out: &Path,
    stop: &Interruption,
) -> crate::error::Result<Option<ExitCode>> {
    let RunArgs { resume, common, .. } = command.run_args();
    warn(session.warnings());
    let (sentences, warnings) = C::opening(session.task(), session.settings())?;
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
            if stop.came() { Control::Stop } else { Control::Continue }
        },
        |record| {
            let mut text = C::line(record);
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
