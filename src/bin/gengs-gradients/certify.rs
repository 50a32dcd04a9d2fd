//! `gengs-gradients certify`.

use crate::arguments::{estimators, target, temperature, whole, window};
use clap::Args;
use gengs::Truncation;
use gengs::cli::{self, Common, generator_seed, print_line, print_status};
use gengs::distributions::FAMILIES;
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{Certificate, Measurement, ObjectiveKind, Problem, ProblemConfig, Verdict, certify};
use std::process::ExitCode;
use tch::Kind;

#[derive(Debug, Args)]
pub struct Certify {
    /// Law of the latents: a family of the library, or multinomial (draws, then unnormalised probabilities); or all
    #[arg(long, default_value = "poisson", value_name = "NAME")]
    family: String,
    /// Its parameters [default: those of a typical law]
    #[arg(
        long,
        long_help = parameters_of_families(),
        value_delimiter = ',',
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
    #[arg(long, default_value_t = 4.0, value_name = "T", value_parser = target)]
    target: f64,
    /// Temperatures, for estimators that have one; the first is where learned ones start. The default shows how the
    /// bias falls; for the gradient itself, 0.02 is recommended, at more variance
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,0.1",
        value_name = "T,T",
        value_parser = temperature
    )]
    temperature: Vec<f64>,
    /// Latents of a row, all of the same law
    #[arg(
        long,
        default_value_t = 1,
        value_name = "K",
        value_parser = whole(1, Problem::MOST_LATENTS)
    )]
    latents: i64,
    /// Window of atoms: a number of them, the first and the last, or the mass that may be cut off; what lies beyond is
    /// merged into the window's ends [default: tail:1e-9]
    #[arg(long, allow_hyphen_values = true, value_name = "N|LO..HI|tail:MASS", value_parser = window)]
    truncation: Option<Truncation>,
    /// Samples behind one estimate [default: as few as the estimator works with, one or two]
    #[arg(long, value_name = "S", value_parser = whole(1, 10_000))]
    samples: Option<i64>,
    /// Estimates
    #[arg(
        long,
        default_value_t = 400_000,
        value_name = "N",
        value_parser = whole(2, 1_000_000_000)
    )]
    draws: i64,
    /// Calls of 1,000 estimates from which control variates learn before the first one counts
    #[arg(
        long,
        default_value_t = 500,
        value_name = "N",
        value_parser = whole(0, 1_000_000)
    )]
    warm_up: i64,
    /// Number kind: float32 or float64
    #[arg(long, default_value = "float64", value_parser = ["float32", "float64"])]
    dtype: String,
    /// Where the randomness starts
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = generator_seed)]
    seed: i64,
    #[command(flatten)]
    common: Common,
}

/// For the long help: the families with their parameters, in the order in which they are given.
fn parameters_of_families() -> String {
    let families = FAMILIES.iter().map(|entry| format!("  {}: {}", entry.name, entry.signature()));
    let families: Vec<String> = families.chain(["  multinomial: draws, probs, ...".to_string()]).collect();
    format!("Its parameters, in this order [default: those of a typical law]:\n{}", families.join("\n"))
}

impl Certify {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
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
