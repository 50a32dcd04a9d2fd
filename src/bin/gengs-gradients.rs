//! Measures estimators of the gradient of an expectation against the exact gradient.

use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use gengs::cli::{Common, Meter, make_folder, print_line, print_status, write_file};
use gengs::distributions::FAMILIES;
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{
    Certificate, Experiment, Measurement, ObjectiveKind, Panel, Problem, ProblemConfig, Synthetic, Verdict, certify,
    report,
};
use gengs::training::TruncationSetting;
use std::path::PathBuf;
use std::process::ExitCode;
use tch::Kind;

/// Every estimator of the gradient of E f(z), z discrete, against the exact gradient
///
/// Without a command: the synthetic experiment. Targets are drawn from a known law, and a law of the same family descends the
/// estimated gradient of its distance from them; loss and variance of the gradient against steps, as a page and as numbers.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    curves: Curves,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure bias, variance and cost; exit code 1 when an estimator that claims to be unbiased is not
    Certify(Box<Certify>),
}

#[derive(Debug, Args)]
struct Curves {
    /// Laws of the targets
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "poisson,binomial,multinomial,negative-binomial,held",
        value_name = "NAME,NAME"
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
    /// Temperature of those that have one; where it is learned, the start
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true, value_name = "T", value_parser = temperature)]
    temperature: f64,
    /// Adam's learning rate
    #[arg(long, default_value_t = 0.03, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: f64,
    /// Folder of the page (report.html), the numbers (curves.json), and a picture a law (*.svg)
    #[arg(long, default_value = "runs/gradients", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Certify {
    /// Law of the latents: a family of the library, or multinomial (draws, then unnormalised probabilities); or all
    #[arg(long, default_value = "poisson", value_name = "NAME")]
    family: String,
    /// Its parameters [default: those of a typical law]
    #[arg(long, long_help = parameters_of_families(), value_delimiter = ',', allow_hyphen_values = true, value_name = "X,X")]
    parameter: Vec<f64>,
    /// Estimators; or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Functions under the expectation
    #[arg(long, value_delimiter = ',', default_value = "quadratic", value_name = "NAME,NAME")]
    objective: Vec<ObjectiveKind>,
    /// Target of the objective
    #[arg(long, default_value_t = 4.0, allow_negative_numbers = true, value_name = "T", value_parser = target)]
    target: f64,
    /// Temperatures, for estimators that have one; the first is where learned ones start
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,0.1",
        allow_negative_numbers = true,
        value_name = "T,T",
        value_parser = temperature
    )]
    temperature: Vec<f64>,
    /// Latents of a row, all of the same law
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_name = "K", value_parser = whole(1, Problem::MOST_LATENTS))]
    latents: i64,
    /// Window of atoms: a number, or the mass that may be cut off [default: tail:1e-9]
    #[arg(long, allow_negative_numbers = true, value_name = "N|tail:MASS", value_parser = window)]
    truncation: Option<TruncationSetting>,
    /// Samples behind one estimate [default: as few as the estimator works with, one or two]
    #[arg(long, allow_negative_numbers = true, value_name = "S", value_parser = whole(1, 10_000))]
    samples: Option<i64>,
    /// Estimates
    #[arg(long, default_value_t = 400_000, allow_negative_numbers = true, value_name = "N", value_parser = whole(2, 1_000_000_000))]
    draws: i64,
    /// Calls of 1,000 estimates from which control variates learn before the first one counts
    #[arg(long, default_value_t = 500, allow_negative_numbers = true, value_name = "N", value_parser = whole(0, 1_000_000))]
    warm_up: i64,
    /// Number kind: float32 or float64
    #[arg(long, default_value = "float64", value_parser = ["float32", "float64"])]
    dtype: String,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: i64,
    #[command(flatten)]
    common: Common,
}

/// A number of things.
fn count(least: u64, most: u64) -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(least..=most)
}

fn whole(least: i64, most: i64) -> impl TypedValueParser<Value = i64> {
    clap::value_parser!(i64).range(least..=most)
}

/// A number for which `fits` holds.
fn number(text: &str, fits: impl Fn(f64) -> bool, allowed: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&number| fits(number)).ok_or_else(|| format!("must be {allowed}"))
}

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |t| (1e-4..=1000.0).contains(&t), "a number from 0.0001 to 1000")
}

fn learning_rate(text: &str) -> Result<f64, String> {
    number(text, |lr| lr > 0.0 && lr.is_finite(), "a positive and finite number")
}

fn target(text: &str) -> Result<f64, String> {
    number(text, |target| target.abs() <= 1e9, "a number from -1e9 to 1e9")
}

fn window(text: &str) -> Result<TruncationSetting, String> {
    let window: TruncationSetting = text.parse().map_err(|error: gengs::Error| error.to_string())?;
    match window {
        TruncationSetting::Atoms(n) if n > Problem::MOST_ATOMS => {
            Err(format!("must be at most {} atoms", Problem::MOST_ATOMS))
        }
        window => Ok(window),
    }
}

/// For the long help: the families with their parameters, in the order in which they are given.
fn parameters_of_families() -> String {
    let families = FAMILIES.iter().map(|entry| format!("  {}: {}", entry.name, entry.signature()));
    let families: Vec<String> = families.chain(["  multinomial: draws, probs, ...".to_string()]).collect();
    format!("Its parameters, in this order [default: those of a typical law]:\n{}", families.join("\n"))
}

gengs::threads_wait_briefly!();

fn main() -> ExitCode {
    gengs::cli::main(|cli: Cli| match cli.command {
        Some(Command::Certify(certify)) => certify.run(),
        None => cli.curves.run(),
    })
}

impl Curves {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.common.prepare()?;
        let estimators = estimators(&self.estimator)?.unwrap_or_else(|| EstimatorKind::ALL.to_vec());
        let Self { temperature, lr, .. } = *self;
        let (steps, seeds) = (usize::try_from(self.steps)?, usize::try_from(self.seeds)?);
        make_folder(&self.out)?;
        let experiment = Experiment { estimators, steps, seeds, temperature, lr };
        let runs = |law: Synthetic| experiment.estimators.iter().filter(|&&kind| law.admits(kind)).count() * seeds;
        let mut meter = Meter::new(self.law.iter().map(|&law| runs(law)).sum(), self.common.quiet);
        let (mut done, mut panels) = (0, Vec::new());
        for &law in &self.law {
            let panel = experiment.run(law, |estimator| {
                done += 1;
                meter.step(done, || format!("{}: {estimator}", law.name()));
            })?;
            meter.line(done, law.name());
            panels.push(panel);
        }
        meter.finish();

        let settings = format!(
            "{steps} steps of Adam at {lr}, {seeds} seeds, 20 targets and 8 estimates for each in a step (50 where the law is held), temperature {temperature}, \
             as few samples behind an estimate as the estimator works with, {} thread{}",
            tch::get_num_threads(),
            if tch::get_num_threads() == 1 { "" } else { "s" }
        );
        let json = serde_json::to_string(&panels)?;
        let page = report::html(&panels, "Estimated gradients of discrete latents", &settings);
        self.write("report.html", &page)?;
        self.write("curves.json", &json)?;
        for (law, panel) in self.law.iter().zip(&panels) {
            let name = law.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
            self.write(&format!("{name}.svg"), &report::svg(panel))?;
        }
        if self.common.json {
            print_line(&json)?;
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

/// Estimators by name; nothing for all.
fn estimators(names: &[String]) -> anyhow::Result<Option<Vec<EstimatorKind>>> {
    if names.iter().any(|name| name == "all") {
        return Ok(None);
    }
    let parsed: Result<Vec<_>, _> = names.iter().map(|name| EstimatorKind::from_str(name, false)).collect();
    parsed.map(Some).map_err(|_| {
        let known = EstimatorKind::ALL.map(|kind| kind.to_string()).join(", ");
        anyhow::anyhow!("--estimator is {}, but must be all, or of {known}", names.join(","))
    })
}

impl Certify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.common.prepare()?;
        let estimators = estimators(&self.estimator)?;
        let mut found = Vec::new();
        for family in self.families() {
            for &objective in &self.objective {
                let problem = Problem::new(&ProblemConfig {
                    family: family.clone(),
                    parameters: self.parameter.clone(),
                    truncation: self.truncation.map(Into::into),
                    latents: self.latents,
                    objective,
                    target: self.target,
                    kind: if self.dtype == "float32" { Kind::Float } else { Kind::Double },
                })?;
                if !self.common.json {
                    print_line(title(&problem)?)?;
                    print_line(HEADER)?;
                }
                for (estimator, temperature) in self.measurements(&estimators, &problem) {
                    let Self { samples, draws, warm_up, seed, .. } = *self;
                    let how = Measurement { estimator, temperature, samples, draws, warm_up, seed };
                    let certificates = certify(&problem, &how)?;
                    if !self.common.json {
                        certificates.iter().try_for_each(|certificate| print_line(line(certificate)))?;
                    }
                    found.extend(certificates);
                }
            }
        }
        if self.common.json {
            print_line(serde_json::to_string(&found)?)?;
        }
        let refuted: Vec<&Certificate> = found.iter().filter(|certificate| certificate.is_refuted()).collect();
        for Certificate { estimator, family, parameter, z, .. } in &refuted {
            print_status(format_args!(
                "{estimator} claims to be unbiased, but is {z:.1} standard errors off for {parameter} of {family}"
            ));
        }
        for Certificate { estimator, family, parameter, draws, .. } in
            found.iter().filter(|certificate| certificate.verdict == Verdict::CannotTell)
        {
            print_status(format_args!(
                "cannot tell whether {estimator} is unbiased for {parameter} of {family}: hardly any of {draws} draws met the atoms that matter; \
                 take more --draws"
            ));
        }
        Ok(if refuted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn families(&self) -> Vec<String> {
        match self.family.as_str() {
            "all" => FAMILIES.iter().map(|entry| entry.name.to_string()).collect(),
            family => vec![family.to_string()],
        }
    }

    /// Each estimator that is made for the problem, or was asked for by name, at each temperature that it has.
    fn measurements(&self, asked: &Option<Vec<EstimatorKind>>, problem: &Problem) -> Vec<(EstimatorKind, f64)> {
        let all = || EstimatorKind::ALL.into_iter().filter(|&kind| problem.admits(kind)).collect();
        let temperatures = |kind: EstimatorKind| if kind.has_temperature() { usize::MAX } else { 1 };
        let kinds: Vec<EstimatorKind> = asked.clone().unwrap_or_else(all);
        kinds
            .into_iter()
            .flat_map(|kind| {
                self.temperature.iter().take(temperatures(kind)).map(move |&temperature| (kind, temperature))
            })
            .collect()
    }
}

const HEADER: &str = "estimator          parameter      temp  evals       exact        mean        bias       z         std     cosine   us/draw";

fn title(problem: &Problem) -> anyhow::Result<String> {
    let config = problem.config();
    let objective = serde_json::to_value(config.objective)?;
    Ok(format!(
        "{}{:?}, {} latent{}, {} atoms{}, objective {}{}",
        config.family,
        config.parameters,
        config.latents,
        if config.latents == 1 { "" } else { "s" },
        problem.atoms(),
        problem.window().map_or(String::new(), |(lo, hi)| format!(" from {lo} to {hi}")),
        objective.as_str().unwrap_or_default(),
        if config.latents == 1 { "" } else { "; exact and bias are lengths over the latents, mean lies along exact" }
    ))
}

fn line(c: &Certificate) -> String {
    let temperature = c.temperature.map_or("-".to_string(), |t| t.to_string());
    format!(
        "{:18} {:14} {:>4} {:>6} {:11.5} {:11.5} {:11.5} {:7.2} {:11.4} {:>10} {:9.3}",
        c.estimator.to_string(),
        c.parameter,
        temperature,
        c.evaluations,
        c.exact,
        c.mean,
        c.bias,
        c.z,
        c.std,
        if c.cosine.is_nan() { "-".to_string() } else { format!("{:.4}", c.cosine) },
        c.seconds / c.draws as f64 * 1e6
    )
}
