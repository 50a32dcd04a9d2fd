//! `gengs-gradients certify`: bias, variance and cost of estimators against the exact gradient.

use crate::arguments::{estimators, target, temperature, whole_number, window};
use clap::Args;
use gengs::Truncation;
use gengs::cli::{self, Common, generator_seed, print_line, print_status};
use gengs::distributions::FAMILIES;
use gengs::estimators::EstimatorKind;
use gengs::laboratory::{
    Certificate, DegreeProof, Measurement, ObjectiveKind, Problem, ProblemConfig, Verdict, certify,
};
use std::process::ExitCode;
use tch::Kind;

#[derive(Debug, Args)]
pub struct Certify {
    /// Law of the latents: a family of the library, multinomial (its parameters: draws, then unnormalised
    /// probabilities), or all
    #[arg(long, default_value = "poisson", value_name = "NAME")]
    family: String,
    /// Parameters of the law [default: a typical law of the family]
    #[arg(
        long,
        long_help = parameters_of_families(),
        value_delimiter = ',',
        value_name = "X,X"
    )]
    parameter: Vec<f64>,
    /// Names of estimators, or all
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "NAME,NAME")]
    estimator: Vec<String>,
    /// Functions f under the expectation
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
    /// Temperatures of the estimators that have one; a learned temperature starts at the first. The default shows how
    /// the bias falls; to train, 0.02 is recommended, which has less bias and more variance
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0.5,0.1",
        value_name = "T,T",
        value_parser = temperature
    )]
    temperature: Vec<f64>,
    /// Latents of a row, all with the same law
    #[arg(
        long,
        default_value_t = 1,
        value_name = "K",
        value_parser = whole_number(1, Problem::MOST_LATENTS)
    )]
    latents: i64,
    /// Window of the latents: a number of atoms, the first and the last atom, or the tail mass that may be cut off; the
    /// mass outside is merged into the ends [default: tail:1e-9]
    #[arg(long, allow_hyphen_values = true, value_name = "N|LO..HI|tail:MASS", value_parser = window)]
    truncation: Option<Truncation>,
    /// Samples per estimate [default: the fewest that the estimator allows, one or two]
    #[arg(long, value_name = "S", value_parser = whole_number(1, 10_000))]
    samples: Option<i64>,
    /// Number of estimates
    #[arg(
        long,
        default_value_t = 400_000,
        value_name = "N",
        value_parser = whole_number(2, 1_000_000_000)
    )]
    draws: i64,
    /// Calls of 1,000 estimates each, from which control variates learn before the first estimate counts
    #[arg(
        long,
        default_value_t = 500,
        value_name = "N",
        value_parser = whole_number(0, 1_000_000)
    )]
    warm_up: i64,
    /// Floating-point type: float32 or float64
    #[arg(long, default_value = "float64", value_parser = ["float32", "float64"])]
    dtype: String,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = generator_seed)]
    seed: i64,
    #[command(flatten)]
    common: Common,
}

/// Returns the families with their parameters in order, for the long help.
fn parameters_of_families() -> String {
    let families = FAMILIES.iter().map(|entry| format!("  {}: {}", entry.name, entry.signature()));
    let families: Vec<String> = families.chain(["  multinomial: draws, probs, ...".to_string()]).collect();
    format!("Parameters of the law, in this order [default: a typical law of the family]:\n{}", families.join("\n"))
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
                let mut of_problem = Vec::new();
                for (estimator, temperature) in self.measurements(&estimators, &problem) {
                    let Self { samples, draws, warm_up, seed, .. } = *self;
                    let how = Measurement { estimator, temperature, samples, draws, warm_up, seed };
                    let certificates = certify(&problem, &how)?;
                    if !self.common.json {
                        certificates.iter().try_for_each(|certificate| print_line(line(certificate)))?;
                    }
                    of_problem.extend(certificates);
                }
                if !self.common.json {
                    of_problem.iter().filter_map(proof).try_for_each(print_line)?;
                }
                found.append(&mut of_problem);
            }
        }
        if found.is_empty() {
            anyhow::bail!("nothing was measured: no family and estimator fit what was asked for");
        }
        if self.common.json {
            print_line(serde_json::to_string(&found)?)?;
        }
        let is_refuted = report_claims(&found);
        // Not exit code 1, which means that the measurement failed.
        Ok(if is_refuted { ExitCode::from(REFUTED) } else { ExitCode::SUCCESS })
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

    /// Returns the estimators to measure (those asked for, or all that the problem admits), each with its temperatures.
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

/// Prints which claims are refuted, and for which the draws are too few. Returns whether any is refuted.
fn report_claims(found: &[Certificate]) -> bool {
    let refuted: Vec<&Certificate> = found.iter().filter(|certificate| certificate.is_refuted()).collect();
    for Certificate { estimator, family, parameter, z, exact_degree, .. } in &refuted {
        match exact_degree.filter(|proof| !proof.holds()) {
            Some(DegreeProof { degree, error, .. }) => print_status(format_args!(
                "{estimator} claims to be exact for polynomials up to degree {degree}, but has a relative error \
                 of {error:.1e} for {parameter} of {family}"
            )),
            None => print_status(format_args!(
                "{estimator} claims to be unbiased, but is {z:.1} standard errors off for {parameter} of {family}"
            )),
        }
    }
    for Certificate { estimator, family, parameter, draws, .. } in
        found.iter().filter(|certificate| certificate.verdict == Verdict::CannotTell)
    {
        print_status(format_args!(
            "cannot tell whether {estimator} is unbiased for {parameter} of {family}: too few of {draws} draws \
             met the atoms that matter; take more --draws, or parameters that give these atoms more mass"
        ));
    }
    !refuted.is_empty()
}

/// The exit code if a claim is refuted.
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

/// What the enumeration of the atoms says of a claim to be exact for polynomials.
fn proof(c: &Certificate) -> Option<String> {
    let DegreeProof { degree, error, .. } = c.exact_degree?;
    Some(format!(
        "{}: up to degree {degree} in {}, all atoms enumerated, the largest relative error is {error:.1e}",
        c.estimator, c.parameter
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

/// Formats a number with so many decimals, or with an exponent if that would show no digit of it or more than five
/// digits before the point.
fn digits(number: f64, decimals: usize) -> String {
    let least = 10f64.powi(1 - decimals as i32);
    match number.abs() {
        size if size == 0.0 || (least..1e5).contains(&size) || !size.is_finite() => format!("{number:.decimals$}"),
        _ => format!("{number:.3e}"),
    }
}
