//! `gengs-gradients` without a subcommand: each estimator minimises losses whose minimum is known; a page, figures and
//! numbers show the curves.

use crate::arguments::{count, estimators, learning_rate, temperature};
use clap::Args;
use gengs::cli::{self, Common, Meter, check_writable, make_folder, print_line, print_status, write_file};
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{Experiment, Panel, Synthetic, report};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Curves {
    /// Laws to fit. 'held' fits nothing: it keeps a Poisson fixed and shows only what estimators learn
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "poisson,binomial,multinomial,negative-binomial,held",
        value_name = "NAME,NAME",
        value_parser = cli::choice::<Synthetic>()
    )]
    law: Vec<Synthetic>,
    /// Names of estimators, or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Steps of each run
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = count(1, 1_000_000))]
    steps: u64,
    /// Runs per estimator, each with its own targets and noise
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = count(1, 1000))]
    seeds: u64,
    /// Temperature of the estimators that have one; its first value if it is learned. 0.5 makes the bias visible; to
    /// train, 0.02 is recommended, which has less bias and more variance
    #[arg(long, default_value_t = 0.5, value_name = "T", value_parser = temperature)]
    temperature: f64,
    /// Adam's learning rate
    #[arg(long, default_value_t = 0.03, value_parser = learning_rate)]
    lr: f64,
    /// Folder for the page (report.html), the numbers (curves.json), and one figure per law (LAW.svg)
    #[arg(long, default_value = "runs/gradients", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Curves {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        self.common.prepare()?;
        let estimators = estimators(&self.estimator)?.unwrap_or_else(|| EstimatorKind::ALL.to_vec());
        let Self { temperature, lr, .. } = *self;
        let (steps, seeds) = (usize::try_from(self.steps)?, usize::try_from(self.seeds)?);
        make_folder(&self.out)?;
        let pictures = self.law.iter().map(|&law| figure_name(law));
        for name in ["report.html".into(), "curves.json".into()].into_iter().chain(pictures) {
            check_writable(&self.out.join(name))?;
        }
        let experiment = Experiment { estimators, steps, seeds, temperature, lr };
        let runs = |law: Synthetic| experiment.estimators.iter().filter(|&&kind| law.admits(kind)).count() * seeds;
        let mut meter = Meter::new(self.law.iter().map(|&law| runs(law)).sum(), self.common.quiet);
        let settings = format!(
            "{steps} steps of Adam at {lr}, {seeds} seeds, 20 targets with 8 gradient estimates each per step (50 for \
             'held'), temperature {temperature}, as few samples per estimate as the estimator allows, {} thread{}",
            tch::get_num_threads(),
            if tch::get_num_threads() == 1 { "" } else { "s" }
        );
        let (mut finished_runs, mut panels) = (0, Vec::new());
        for &law in &self.law {
            let panel = experiment.run(law, |estimator| {
                finished_runs += 1;
                meter.step(finished_runs, || format!("{}: {estimator}", law.name()));
            })?;
            meter.line(finished_runs, law.name());
            // Written after each law, so that an interruption loses only the current one.
            self.write(&figure_name(law), &report::svg(&panel))?;
            panels.push(panel);
            self.write("report.html", &report::html(&panels, "Estimated gradients of discrete latents", &settings))?;
            self.write("curves.json", &serde_json::to_string(&panels)?)?;
        }
        meter.finish();

        if self.common.json {
            print_line(serde_json::to_string(&panels)?)?;
        } else {
            panels.iter().try_for_each(print_panel)?;
        }
        self.common.print_status(format_args!("{}", self.out.join("report.html").display()));
        let mut curves = panels.iter().flat_map(|panel| &panel.curves);
        let any_finished = curves.any(|curve| curve.ended_at.is_none());
        if !any_finished {
            print_status(
                "error: every estimator stopped before the last step, for every law: take a smaller --lr, or a larger \
                 --temperature",
            );
        }
        Ok(if any_finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(write_file(&self.out.join(name), text.as_bytes())?)
    }
}

/// Returns the file name of a law's figure.
fn figure_name(law: Synthetic) -> String {
    format!("{law}.svg")
}

/// Prints the last values of each curve, and why the estimator stopped early if it did.
fn print_panel(panel: &Panel) -> anyhow::Result<()> {
    let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
    print_line(format_args!("{}: {}", panel.law, panel.task))?;
    print_line("estimator            evals  excess loss, median (low..high)      variance ms per step")?;
    for curve in &panel.curves {
        print_line(format_args!(
            "{:18} {:7} {:12.3e} ({:.1e}..{:.1e}) {:12.3e} {:11.2}",
            curve.estimator.to_string(),
            curve.evaluations,
            last(&curve.excess_loss.median),
            last(&curve.excess_loss.low),
            last(&curve.excess_loss.high),
            last(&curve.variance.median),
            curve.seconds_per_step * 1e3
        ))?;
        if let Some(ending) = curve.ending() {
            print_line(ending)?;
        }
    }
    Ok(())
}
