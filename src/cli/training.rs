//! A run on a terminal: what it shows while it trains, and how it ends.

use super::{Common, Interruption, Meter, tell};
use crate::training::{Control, Record, Session, Trainee};
use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;

/// What `train` says of a run.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The program's name.
    pub program: &'a str,
    /// The run folder.
    pub out: &'a Path,
    /// Whether the run goes on from a checkpoint.
    pub resumed: bool,
}

/// Trains until the end or until the program is asked to stop; `line` describes an epoch. Returns how the program ends when it was stopped, and nothing at the end
/// of the run.
///
/// # Errors
/// Those of [`Session::run`].
pub fn train<T: Trainee>(
    session: &mut Session<T>,
    telling: Telling<'_>,
    common: &Common,
    stop: Interruption,
    line: impl Fn(&T::Record) -> String,
) -> crate::Result<Option<ExitCode>> {
    let Telling { program, out, resumed } = telling;
    for warning in session.warnings() {
        tell(format_args!("warning: {warning}"));
    }
    let steps = session.steps_per_epoch();
    let epochs = session.epochs();
    let from = session.progress().epochs;
    common.say(format_args!(
        "{} run in {}: epochs {} to {epochs}, {steps} steps each",
        if resumed { "resumed" } else { "new" },
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
            let mut text = line(record);
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
    common.say(format_args!("stopped and saved; go on with: {program} train --resume --out {}", out.display()));
    Ok(Some(stop.exit_code()))
}
