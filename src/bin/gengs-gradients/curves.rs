//! The synthetic experiment.

use crate::arguments::{count, estimators, learning_rate, temperature};
use clap::Args;
use gengs::cli::{self, Common, Meter, check_writable, make_folder, print_line, print_status, write_file};
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{Experiment, Panel, Synthetic, report};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Curves {
    /// Laws of the targets
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "poisson,binomial,multinomial,negative-binomial,held",
        value_name = "NAME,NAME",
        value_parser = cli::choice::<Synthetic>()
    )]
    law: Vec<Synthetic>,
    /// Estimators; or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Updates of each run
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = count(1, 1_000_000))]
    steps: u64,
    /// Runs of each estimator, each with its own targets and noise
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = count(1, 1000))]
    seeds: u64,
    /// Temperature of those that have one; where it is learned, the start. At 0.5 curves show bias against variance;
    /// for the gradient itself, 0.02 is recommended
    #[arg(long, default_value_t = 0.5, value_name = "T", value_parser = temperature)]
    temperature: f64,
    /// Adam's learning rate
    #[arg(long, default_value_t = 0.03, value_parser = learning_rate)]
    lr: f64,
    /// Folder of the page (report.html), the numbers (curves.json), and a picture a law (*.svg)
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
        let pictures = self.law.iter().map(|&law| picture(law));
        for name in ["report.html".into(), "curves.json".into()].into_iter().chain(pictures) {
            check_writable(&self.out.join(name))?;
        }
        let experiment = Experiment { estimators, steps, seeds, temperature, lr };
        let runs = |law: Synthetic| experiment.estimators.iter().filter(|&&kind| law.admits(kind)).count() * seeds;
        let mut meter = Meter::new(self.law.iter().map(|&law| runs(law)).sum(), self.common.quiet);
        let settings = format!(
            "{steps} steps of Adam at {lr}, {seeds} seeds, 20 targets and 8 estimates for each in a step (50 where \
             the law is held), temperature {temperature}, \
             as few samples behind an estimate as the estimator works with, {} thread{}",
            tch::get_num_threads(),
            if tch::get_num_threads() == 1 { "" } else { "s" }
        );
        let (mut done, mut panels) = (0, Vec::new());
        for &law in &self.law {
            let panel = experiment.run(law, |estimator| {
                done += 1;
                meter.step(done, || format!("{}: {estimator}", law.name()));
            })?;
            meter.line(done, law.name());
            // After each law, so that what is done is kept whatever comes.
            self.write(&picture(law), &report::svg(&panel))?;
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
        let any_arrived = curves.any(|curve| curve.ended_at.is_none());
        if !any_arrived {
            print_status(
                "error: no estimator came to its end under any law: take a smaller --lr, or a larger --temperature",
            );
        }
        Ok(if any_arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(write_file(&self.out.join(name), text.as_bytes())?)
    }
}

/// The file of a law's picture.
fn picture(law: Synthetic) -> String {
    format!("{law}.svg")
}

/// Where each estimator ended.
fn print_panel(panel: &Panel) -> anyhow::Result<()> {
    let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
    print_line(format_args!("{}: {}", panel.law, panel.task))?;
    print_line("estimator            evals  loss above the least (low..high)     variance   ms a step")?;
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
