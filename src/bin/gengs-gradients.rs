//! Measures estimators of the gradient of an expectation against the exact gradient.

use clap::{Args, Parser, Subcommand};
use gengs::cli::{Common, exit_code};
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{Certificate, Measurement, ObjectiveKind, Problem, ProblemConfig, certify};
use gengs::training::TruncationSetting;
use std::process::ExitCode;
use tch::Kind;

/// Every estimator of the gradient of E f(z), z discrete, against the exact gradient
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure bias, variance and cost; exit code 1 when an estimator that claims to be unbiased is not
    Certify(Box<Certify>),
}

#[derive(Debug, Args)]
struct Certify {
    /// Law of the latents: a family of the library, or multinomial (draws, then unnormalised probabilities); or all
    #[arg(long, default_value = "poisson", value_name = "NAME")]
    family: String,
    /// Its parameters [default: those of a typical law]
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_name = "X,X")]
    parameter: Vec<f64>,
    /// Estimators; or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Functions under the expectation
    #[arg(long, value_delimiter = ',', default_value = "quadratic", value_name = "NAME,NAME")]
    objective: Vec<ObjectiveKind>,
    /// Target of the objective
    #[arg(long, default_value_t = 4.0, allow_negative_numbers = true, value_name = "T")]
    target: f64,
    /// Temperatures, for estimators that have one; the first is where learned ones start
    #[arg(long, value_delimiter = ',', default_value = "0.5,0.1", value_name = "T,T")]
    temperature: Vec<f64>,
    /// Latents of a row, all of the same law
    #[arg(long, default_value_t = 1, value_name = "K")]
    latents: i64,
    /// Window of atoms: a number, or the mass that may be cut off [default: tail:1e-9]
    #[arg(long, value_name = "N|tail:MASS")]
    truncation: Option<TruncationSetting>,
    /// Samples behind one estimate [default: as few as the estimator works with, one or two]
    #[arg(long, value_name = "S")]
    samples: Option<i64>,
    /// Estimates
    #[arg(long, default_value_t = 400_000, value_name = "N")]
    draws: i64,
    /// Calls of 1,000 estimates from which control variates learn before the first one counts
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    warm_up: i64,
    /// Number kind: float32 or float64
    #[arg(long, default_value = "float64", value_parser = ["float32", "float64"])]
    dtype: String,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0)]
    seed: i64,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    exit_code(match Cli::parse().command {
        Command::Certify(certify) => certify.run(),
    })
}

impl Certify {
    fn run(&self) -> anyhow::Result<ExitCode> {
        self.common.prepare()?;
        let estimators = self.estimators()?;
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
                    println!("{}", title(&problem)?);
                    println!("{HEADER}");
                }
                for (estimator, temperature) in self.measurements(&estimators, &problem) {
                    let Self { samples, draws, warm_up, seed, .. } = *self;
                    let how = Measurement { estimator, temperature, samples, draws, warm_up, seed };
                    let certificates = certify(&problem, &how)?;
                    if !self.common.json {
                        certificates.iter().for_each(|certificate| println!("{}", line(certificate)));
                    }
                    found.extend(certificates);
                }
            }
        }
        if self.common.json {
            println!("{}", serde_json::to_string(&found)?);
        }
        let refuted: Vec<&Certificate> = found.iter().filter(|certificate| certificate.is_refuted()).collect();
        for Certificate { estimator, family, parameter, z, .. } in &refuted {
            eprintln!(
                "{estimator} claims to be unbiased, but is {z:.1} standard errors off for {parameter} of {family}"
            );
        }
        Ok(if refuted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn families(&self) -> Vec<String> {
        match self.family.as_str() {
            "all" => gengs::distributions::CATALOGUE.iter().map(|entry| entry.name.to_string()).collect(),
            family => vec![family.to_string()],
        }
    }

    /// What was asked for; nothing for all.
    fn estimators(&self) -> anyhow::Result<Option<Vec<EstimatorKind>>> {
        use clap::ValueEnum;
        if self.estimator.iter().any(|name| name == "all") {
            return Ok(None);
        }
        let parse = |name: &String| EstimatorKind::from_str(name, false);
        let names = || EstimatorKind::ALL.map(|kind| kind.to_string()).join(", ");
        let parsed: Result<Vec<_>, _> = self.estimator.iter().map(parse).collect();
        parsed.map(Some).map_err(|_| {
            anyhow::anyhow!("--estimator is {}, but must be all, or of {}", self.estimator.join(","), names())
        })
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
        "{}{:?}, {} latent{}, {} atoms, objective {}",
        config.family,
        config.parameters,
        config.latents,
        if config.latents == 1 { "" } else { "s" },
        problem.atoms(),
        objective.as_str().unwrap_or_default()
    ))
}

fn line(c: &Certificate) -> String {
    let temperature = c.temperature.map_or("-".to_string(), |t| t.to_string());
    format!(
        "{:18} {:14} {:>4} {:>6} {:11.5} {:11.5} {:11.5} {:7.2} {:11.4} {:10.4} {:9.3}",
        c.estimator.to_string(),
        c.parameter,
        temperature,
        c.evaluations,
        c.exact,
        c.mean,
        c.bias,
        c.z,
        c.std,
        c.cosine,
        c.seconds / c.draws as f64 * 1e6
    )
}
