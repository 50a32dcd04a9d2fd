//! Measures estimators of the gradient of an expectation against the exact gradient.

use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand};
use gengs::Truncation;
use gengs::cli::{
    self, Common, Meter, check_writable, generator_seed, make_folder, print_line, print_status, write_file,
};
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

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, with a sentence on stderr; 2 wrong usage; 3 certify refuted a \
    claim; \
     130, 143, 129 stopped by Ctrl-C, by kill, by a closed terminal.";

/// Every estimator of the gradient of E f(z), z discrete, against the exact gradient
///
/// Without a command: the synthetic experiment. Targets are drawn from a known law, and a law of the same family
/// descends the estimated gradient of its distance from them; loss and variance of the gradient against steps, as a
/// page and as numbers.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    curves: Curves,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure bias, variance and cost; exit code 3 when an estimator that claims to be unbiased is not
    Certify(Box<Certify>),
}

#[derive(Debug, Args)]
struct Curves {
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
    #[arg(
        long,
        long_help = parameters_of_families(),
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "X,X"
    )]
    parameter: Vec<f64>,
    /// Estimators; or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Functions under the expectation
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "quadratic",
        value_name = "NAME,NAME",
        value_parser = cli::choice::<ObjectiveKind>()
    )]
    objective: Vec<ObjectiveKind>,
    /// Target of the objective
    #[arg(long, default_value_t = 4.0, allow_negative_numbers = true, value_name = "T", value_parser = target)]
    target: f64,
    /// Temperatures, for estimators that have one; the first is where learned ones start. The default shows how the
    /// bias falls; for the gradient itself, 0.02 is recommended, at more variance
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
    #[arg(
        long,
        default_value_t = 1,
        allow_negative_numbers = true,
        value_name = "K",
        value_parser = whole(1, Problem::MOST_LATENTS)
    )]
    latents: i64,
    /// Window of atoms: a number of them, the first and the last, or the mass that may be cut off; what lies beyond is
    /// merged into the window's ends [default: tail:1e-9]
    #[arg(long, allow_hyphen_values = true, value_name = "N|LO..HI|tail:MASS", value_parser = window)]
    truncation: Option<Truncation>,
    /// Samples behind one estimate [default: as few as the estimator works with, one or two]
    #[arg(long, allow_negative_numbers = true, value_name = "S", value_parser = whole(1, 10_000))]
    samples: Option<i64>,
    /// Estimates
    #[arg(
        long,
        default_value_t = 400_000,
        allow_negative_numbers = true,
        value_name = "N",
        value_parser = whole(2, 1_000_000_000)
    )]
    draws: i64,
    /// Calls of 1,000 estimates from which control variates learn before the first one counts
    #[arg(
        long,
        default_value_t = 500,
        allow_negative_numbers = true,
        value_name = "N",
        value_parser = whole(0, 1_000_000)
    )]
    warm_up: i64,
    /// Number kind: float32 or float64
    #[arg(long, default_value = "float64", value_parser = ["float32", "float64"])]
    dtype: String,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "N", value_parser = generator_seed)]
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

fn window(text: &str) -> Result<Truncation, String> {
    let between = text.split_once("..").map(|(lo, hi)| (lo.trim().parse::<i64>(), hi.trim().parse::<i64>()));
    if let Some((Ok(lo), Ok(hi))) = between {
        let atoms = hi.checked_sub(lo).filter(|last| (0..Problem::MOST_ATOMS).contains(last));
        let allowed = || format!("must hold from 1 to {} atoms, as in -3..3", Problem::MOST_ATOMS);
        return atoms.map(|_| Truncation::between(lo, hi)).ok_or_else(allowed);
    }
    match text.parse() {
        Ok(TruncationSetting::Atoms(n)) if n > Problem::MOST_ATOMS => {
            Err(format!("must be at most {} atoms", Problem::MOST_ATOMS))
        }
        Ok(setting) => Ok(setting.into()),
        Err(_) => {
            Err("must be a number of atoms as in 12, an interval as in -3..3, or a mass below 1 as in tail:1e-6".into())
        }
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

/// Estimators by name; nothing for all.
fn estimators(names: &[String]) -> anyhow::Result<Option<Vec<EstimatorKind>>> {
    if names.iter().any(|name| name == "all") {
        return Ok(None);
    }
    let mut parsed: gengs::Result<Vec<EstimatorKind>> = names.iter().map(|name| name.parse()).collect();
    if let Ok(kinds) = &mut parsed {
        let mut met = Vec::new();
        kinds.retain(|kind| {
            !met.contains(kind) && {
                met.push(*kind);
                true
            }
        });
    }
    parsed.map(Some).map_err(|_| {
        let known = EstimatorKind::ALL.map(|kind| kind.to_string()).join(", ");
        anyhow::anyhow!("--estimator is {}, but must be all, or of {known}", names.join(","))
    })
}

impl Certify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.common.prepare()?;
        let estimators = estimators(&self.estimator)?;
        let families = self.families()?;
        let mut found = Vec::new();
        for family in &families {
            for &objective in &self.objective {
                let problem = match self.problem(family, objective) {
                    Ok(problem) => problem,
                    Err(error) if families.len() > 1 => {
                        print_status(format_args!("{family} is left out: {error}"));
                        break;
                    }
                    Err(error) => return Err(error.into()),
                };
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
        if found.is_empty() {
            anyhow::bail!("nothing was measured: no family and estimator fit what was asked for");
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
                "cannot tell whether {estimator} is unbiased for {parameter} of {family}: hardly any of {draws} draws \
                 met the atoms that matter; take more --draws, or parameters that give these atoms more mass"
            ));
        }
        // Not 1, which says that something went wrong.
        Ok(if refuted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUTED) })
    }

    fn problem(&self, family: &str, objective: ObjectiveKind) -> gengs::Result<Problem> {
        Problem::new(&ProblemConfig {
            family: family.into(),
            parameters: self.parameter.clone(),
            truncation: self.truncation,
            latents: self.latents,
            objective,
            target: self.target,
            kind: if self.dtype == "float32" { Kind::Float } else { Kind::Double },
        })
    }

    fn families(&self) -> anyhow::Result<Vec<&str>> {
        let names = || FAMILIES.iter().map(|entry| entry.name);
        match self.family.as_str() {
            "all" if !self.parameter.is_empty() => {
                anyhow::bail!("--parameter cannot be given with --family all: each family has parameters of its own")
            }
            "all" => Ok(names().collect()),
            family if family == "multinomial" || names().any(|name| name == family) => Ok(vec![family]),
            family => {
                let known = names().collect::<Vec<_>>().join(", ");
                anyhow::bail!("--family is {family}, but must be all, multinomial, or one of {known}")
            }
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

/// The exit code where a claim is refuted.
const REFUTED: u8 = 3;

const HEADER: &str = "estimator          parameter      temp  evals       exact        mean        bias       \
    z         std     cosine   us/draw";

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
        "{:18} {:14} {:>4} {:>6} {:>11} {:>11} {:>11} {:>7} {:>11} {:>10} {:9.3}",
        c.estimator.to_string(),
        c.parameter,
        temperature,
        c.evaluations,
        digits(c.exact, 5),
        digits(c.mean, 5),
        digits(c.bias, 5),
        digits(c.z, 2),
        digits(c.std, 4),
        if c.cosine.is_nan() { "-".to_string() } else { format!("{:.4}", c.cosine) },
        c.seconds / c.draws as f64 * 1e6
    )
}

/// A number with so many decimals; with an exponent where these would show none of its digits, or it would take many
/// before them.
fn digits(number: f64, decimals: usize) -> String {
    let least = 10f64.powi(1 - decimals as i32);
    match number.abs() {
        size if size == 0.0 || (least..1e5).contains(&size) || !size.is_finite() => format!("{number:.decimals$}"),
        _ => format!("{number:.3e}"),
    }
}
