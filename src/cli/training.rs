//! A run on a terminal: how it begins, what it shows while it trains, and how it ends.

use super::{Common, Interruption, Meter, interrupted, tell};
use crate::training::{Control, Record, Session, Settings, Trainee, read_settings};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The flags of a command that trains, and what it says.
pub trait Train {
    /// What is trained.
    type Trainee: Trainee<Settings: Default>;

    /// The program's name.
    const PROGRAM: &'static str;

    /// Options that every command has.
    fn common(&self) -> &Common;

    /// The file of settings, if one was given.
    fn file(&self) -> Option<&Path>;

    /// The run folder, if one was given.
    fn out(&self) -> Option<&Path>;

    /// Whether the run in that folder is to go on.
    fn resume(&self) -> bool;

    /// Puts what was typed over the settings that a run keeps for its whole life.
    fn fix(&self, settings: &mut <Self::Trainee as Trainee>::Settings);

    /// Puts what was typed over the settings that may change when a run is resumed.
    fn change(&self, settings: &mut <Self::Trainee as Trainee>::Settings);

    /// The flags of settings that a run keeps for its whole life, with whether each was given.
    fn fixed(&self) -> Vec<(&'static str, bool)>;

    /// The run folder where none was given.
    fn default_folder(settings: &<Self::Trainee as Trainee>::Settings) -> PathBuf;

    /// An epoch in a line.
    fn line(record: &<Self::Trainee as Trainee>::Record) -> String;

    /// What is to be said at the end beside the best result: the rest of its sentence, and further ones.
    fn closing(_trainee: &Self::Trainee, _out: &Path) -> (String, Vec<String>) {
        (String::new(), Vec::new())
    }

    /// Trains until the end or until the program is asked to stop.
    ///
    /// # Errors
    /// When the settings are not allowed, and those of [`Session::run`].
    fn run(&self) -> anyhow::Result<ExitCode> {
        let stop = interrupted();
        let (mut session, out) = begin(self)?;
        let common = self.common();
        if let Some(code) = train(self, &mut session, &out, stop)? {
            return Ok(code);
        }
        let (rest, sentences) = Self::closing(session.trainee(), &out);
        let seconds = session.progress().seconds;
        if let Some((best, epoch)) = session.progress().best {
            common.say(format_args!(
                "done in {seconds:.0} s of training; best hard validation -ELBO {best:.2} nats at epoch {epoch}{rest}"
            ));
        }
        sentences.iter().for_each(|sentence| common.say(sentence));
        if common.json {
            println!("{}", serde_json::to_string(session.records())?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A new run, or one that goes on, and its folder.
fn begin<C: Train + ?Sized>(command: &C) -> anyhow::Result<(Session<C::Trainee>, PathBuf)> {
    let device = command.common().prepare()?;
    if command.resume() {
        let Some(out) = command.out() else { anyhow::bail!("--resume needs the run folder: --out DIR") };
        if let Some((name, _)) = command.fixed().into_iter().find(|&(_, given)| given) {
            anyhow::bail!(
                "--{} cannot be given with --resume: the run goes on with its own settings; start a new run for others",
                name.replace('_', "-")
            );
        }
        return Ok((Session::resume_with(out, device, |settings| command.change(settings))?, out.into()));
    }
    // What was typed, over the settings file, over the defaults.
    let mut settings = command.file().map_or_else(|| Ok(Default::default()), read_settings)?;
    command.fix(&mut settings);
    command.change(&mut settings);
    settings.check()?;
    let out = command.out().map_or_else(|| C::default_folder(&settings), Path::to_path_buf);
    Ok((Session::start(settings, &out, device)?, out))
}

/// Returns how the program ends when it was stopped, and nothing at the end of the run.
fn train<C: Train + ?Sized>(
    command: &C,
    session: &mut Session<C::Trainee>,
    out: &Path,
    stop: Interruption,
) -> crate::Result<Option<ExitCode>> {
    let common = command.common();
    for warning in session.warnings() {
        tell(format_args!("warning: {warning}"));
    }
    let steps = session.steps_per_epoch();
    let epochs = session.epochs();
    let from = session.progress().epochs;
    common.say(format_args!(
        "{} run in {}: epochs {} to {epochs}, {steps} steps each",
        if command.resume() { "resumed" } else { "new" },
        out.display(),
        (from + 1).min(epochs)
    ));
    let meter = RefCell::new(Meter::new(epochs * steps, common.quiet));
    let control = session.run(
        |report| {
            meter.borrow_mut().step((report.epoch - 1) * steps + report.step, || {
                format!(
                    "epoch {} -ELBO {:.2} (relaxed) KL {:.2} temperature {:.3}",
                    report.epoch, report.neg_elbo_relaxed, report.kl, report.temperature
                )
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
    common.say(format_args!("stopped and saved; go on with: {program} train --resume --out {}", out.display()));
    Ok(Some(stop.exit_code()))
}
