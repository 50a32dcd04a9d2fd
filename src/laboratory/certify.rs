//! Bias, variance and cost of an estimator, measured against the exact gradient.

use super::degrees::{DegreeProof, prove};
use super::problem::Problem;
use crate::error::{Error, Result};
use crate::estimators::{EstimatorKind, FunctionNeeds, LawNeeds, Setting, cosines};
use crate::random;
use serde::Serialize;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// How a measurement is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The estimator.
    pub estimator: EstimatorKind,
    /// Its temperature, where there is one; where it is learned, the start.
    pub temperature: f64,
    /// Samples behind one estimate; none for the fewest that it works with.
    pub samples: Option<i64>,
    /// Estimates.
    pub draws: i64,
    /// Estimates before the first one counts, from which control variates and baselines learn.
    pub warm_up: i64,
    /// Where the randomness starts.
    pub seed: i64,
}

/// What was found for one parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    /// The estimator.
    pub estimator: EstimatorKind,
    /// The family.
    pub family: String,
    /// The parameter's name.
    pub parameter: String,
    /// Its value.
    pub value: f64,
    /// The objective.
    pub objective: super::ObjectiveKind,
    /// Latents of a row.
    pub latents: i64,
    /// Atoms of a latent.
    pub atoms: i64,
    /// The first and the last of them, where they are integers.
    pub window: Option<(i64, i64)>,
    /// The temperature, where it is a setting.
    pub temperature: Option<f64>,
    /// Samples behind one estimate.
    pub samples: i64,
    /// Evaluations of the objective behind one estimate.
    pub evaluations: i64,
    /// The exact gradient; of several latents, its length.
    pub exact: f64,
    /// The mean of the estimates; of several latents, its part along the exact gradient.
    pub mean: f64,
    /// `mean - exact`; of several latents, the length of the difference between the two gradients.
    pub bias: f64,
    /// The bias in standard errors; of several latents, the one that is largest up to its sign.
    pub z: f64,
    /// Standard deviation of one estimate; of several latents, the root of the sum of their variances.
    pub std: f64,
    /// Mean squared error of one estimate, summed over the latents.
    pub mse: f64,
    /// Mean cosine of the angle between one estimate and the exact gradient, over all latents and parameters of a row;
    /// NaN, which is null in JSON, where the exact gradient is zero.
    pub cosine: f64,
    /// Estimates.
    pub draws: i64,
    /// What the estimator asks of the objective.
    pub needs_of_f: FunctionNeeds,
    /// What the estimator asks of the law.
    pub needs_of_law: LawNeeds,
    /// Whether the estimator claims that its expectation is the exact gradient, and the objective gives what the claim
    /// needs.
    pub claims_unbiased: bool,
    /// For estimators that claim to be exact for polynomials: what the enumeration of the atoms says of it.
    pub exact_degree: Option<DegreeProof>,
    /// What draws and enumeration say of the claims.
    pub verdict: Verdict,
    /// Seconds for all draws.
    pub seconds: f64,
}

/// What is found of the claims that an estimator is unbiased, or exact for polynomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There is no such claim.
    NoClaim,
    /// The mean of the estimates is the exact gradient, as far as the draws show.
    Holds,
    /// It is not, but what is missing may come from atoms so rare that hardly any draw met them: more draws tell.
    CannotTell,
    /// It is not, and rare atoms do not explain it.
    Refuted,
}

/// The z-score beyond which a claim to be unbiased is refuted: one true claim in 16,000 is.
const REFUTED: f64 = 4.0;

/// Atoms that fewer draws meet, on average, are rare: a standard error says little of what hangs on them.
const FEW: f64 = 100.0;

impl Certificate {
    /// Whether the estimator claims to be unbiased and is not.
    pub fn is_refuted(&self) -> bool {
        self.verdict == Verdict::Refuted
    }
}

/// Numbers in the tensors of one call: a megabyte each, so that caches hold some.
const AT_ONCE: i64 = 1 << 17;

/// Rows of a call from which control variates learn.
const ROWS_TO_LEARN_FROM: i64 = 1_000;

/// Sums over draws, for each latent and parameter.
struct Sums {
    of: Tensor,
    squares: Tensor,
    cosine: f64,
    draws: i64,
}

/// Measures an estimator on a problem: one certificate for each parameter that has a gradient. Seeds libtorch's
/// generator.
///
/// # Errors
/// When the estimator is not made for the problem's latents, a number is out of range, or the exact gradient is out of
/// reach.
pub fn certify(problem: &Problem, how: &Measurement) -> Result<Vec<Certificate>> {
    let config = problem.config();
    let kind = how.estimator;
    let samples = how.samples.unwrap_or(kind.fewest_samples()).max(kind.fewest_samples());
    if how.draws < 2 {
        return Err(Error::parameter("number of draws", how.draws, "at least 2"));
    }
    if !problem.is_made_for(kind) {
        let problem = format!("{} latents of the family {}", config.latents, config.family);
        return Err(Error::parameter("estimator", kind, format!("one that is made for {problem}")));
    }
    let exact = problem.exact(kind, samples)?;
    let Drawn { sums, rounding, evaluations, seconds } = draw(problem, how, samples, &exact)?;
    let parameters = problem.parameters()?;
    let proofs = prove(problem, kind, how.temperature)?;
    let degree = proofs.as_ref().and_then(|proofs| proofs.first()).map_or(0, |proof| proof.degree);
    let is_exact = config.objective.degree().is_some_and(|of_objective| of_objective <= degree);
    let claims_unbiased = (kind.is_unbiased(config.latents) || is_exact) && config.objective.gives(kind.needs_of_f());
    let rare = problem.of_rare_atoms(FEW / (sums.draws * samples) as f64, kind, samples)?;
    let cosine = sums.cosine / sums.draws as f64;
    Ok(parameters
        .into_iter()
        .enumerate()
        .map(|(p, (parameter, value))| {
            let Found { exact, mean, bias, z, beyond_rare, std, mse } =
                sums.found(&exact, &rare, p as i64, rounding[p]);
            let exact_degree = proofs.as_ref().map(|proofs| proofs[p]);
            let verdict = verdict(claims_unbiased, exact_degree, z, beyond_rare);
            Certificate {
                estimator: kind,
                family: config.family.clone(),
                parameter,
                value,
                objective: config.objective,
                latents: config.latents,
                atoms: problem.atoms(),
                window: problem.window(),
                temperature: kind.has_temperature().then_some(how.temperature),
                samples,
                evaluations,
                exact,
                mean,
                bias,
                z,
                std,
                mse,
                cosine,
                draws: sums.draws,
                needs_of_f: kind.needs_of_f(),
                needs_of_law: kind.needs_of_law(),
                claims_unbiased,
                exact_degree,
                verdict,
                seconds,
            }
        })
        .collect())
}

/// Returns what draws and enumeration say of the claims.
fn verdict(claims_unbiased: bool, proof: Option<DegreeProof>, z: f64, beyond_rare: f64) -> Verdict {
    match claims_unbiased {
        _ if proof.is_some_and(|proof| !proof.holds()) => Verdict::Refuted,
        false if proof.is_some() => Verdict::Holds,
        false => Verdict::NoClaim,
        true if z.abs() <= REFUTED => Verdict::Holds,
        true if beyond_rare <= REFUTED => Verdict::CannotTell,
        true => Verdict::Refuted,
    }
}

/// Sums over estimates, what rounding leaves of them, the evaluations behind one, and the seconds that they took.
struct Drawn {
    sums: Sums,
    rounding: Vec<f64>,
    evaluations: i64,
    seconds: f64,
}

/// Lets the estimator learn, then sums its estimates around the exact gradient.
fn draw(problem: &Problem, how: &Measurement, samples: i64, exact: &Tensor) -> Result<Drawn> {
    let kind = how.estimator;
    let _generator = random::seeded(how.seed);
    let setting = Setting { width: problem.width(), features: None, temperature: how.temperature, device: Device::Cpu };
    let mut estimator = kind.build(&setting)?;
    let warm_up = if estimator.learned().is_some() { how.warm_up } else { 0 };
    for _ in 0..warm_up {
        let _ = problem.gradients(estimator.as_mut(), ROWS_TO_LEARN_FROM, samples)?;
    }
    // What sums over all outcomes says the same each time.
    let draws = if kind == EstimatorKind::Exact { 2 } else { how.draws };
    let rows = (AT_ONCE / (problem.atoms() * problem.config().latents * samples)).clamp(1, draws);
    let mut sums = Sums { of: exact.zeros_like(), squares: exact.zeros_like(), cosine: 0.0, draws: 0 };
    let (mut rounding, mut evaluations) = (Vec::new(), 0);
    let start = Instant::now();
    while sums.draws < draws {
        let rows = rows.min(draws - sums.draws);
        let (gradients, estimate) = problem.gradients(estimator.as_mut(), rows, samples)?;
        check_finite(&gradients, how)?;
        evaluations = estimate.info.evaluations;
        rounding = Vec::<f64>::try_from(problem.rounding(&estimate.surrogate))?;
        sums.add(&gradients, exact);
    }
    Ok(Drawn { sums, rounding, evaluations, seconds: start.elapsed().as_secs_f64() })
}

/// Fails where an estimate is not finite.
fn check_finite(gradients: &Tensor, how: &Measurement) -> Result<()> {
    if gradients.isfinite().all().int64_value(&[]) != 0 {
        return Ok(());
    }
    let Measurement { estimator, temperature, .. } = how;
    Err(Error::parameter(
        format!("an estimate of {estimator} at temperature {temperature:e}"),
        "not finite",
        "finite: take a higher temperature, or parameters and a target of a smaller scale",
    ))
}

/// A parameter's part of a certificate.
struct Found {
    exact: f64,
    mean: f64,
    bias: f64,
    z: f64,
    /// The largest z-score that remains, up to its sign, of biases less what rare atoms may explain.
    beyond_rare: f64,
    std: f64,
    mse: f64,
}

/// The relative error of an estimate that has no variance: what float64 or float32 leave of the sums behind it.
const ROUNDING: f64 = 1e-6;

impl Sums {
    /// Adds estimates `[rows, latents, parameters]`.
    fn add(&mut self, gradients: &Tensor, exact: &Tensor) {
        // Around the exact gradient, so that small variances keep their digits.
        let error = gradients - exact;
        self.of += error.sum_dim_intlist(0, false, Kind::Double);
        self.squares += error.square().sum_dim_intlist(0, false, Kind::Double);
        self.cosine += cosines(&gradients.flatten(1, -1), &exact.flatten(0, -1)).sum(Kind::Double).double_value(&[]);
        self.draws += gradients.size()[0];
    }

    /// Of one parameter, from the exact gradient and what rare atoms may add to it, `[latents, parameters]`.
    fn found(&self, exact: &Tensor, rare: &Tensor, parameter: i64, rounding: f64) -> Found {
        let column = |t: &Tensor| Vec::<f64>::try_from(t.select(1, parameter).contiguous()).unwrap_or_default();
        let (sums, squares, exact, rare) = (column(&self.of), column(&self.squares), column(exact), column(rare));
        let n = self.draws as f64;
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let biases: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
        let variances: Vec<f64> = squares
            .iter()
            .zip(&biases)
            .map(|(square, bias)| (square / n - bias * bias).max(0.0) * n / (n - 1.0))
            .collect();
        let scale = length(&exact);
        let rounding = (ROUNDING * scale / 4.0).max(rounding);
        let error = |variance: &f64| (variance / n + rounding * rounding).sqrt().max(f64::MIN_POSITIVE);
        let z = biases
            .iter()
            .zip(&variances)
            .map(|(bias, variance)| bias / error(variance))
            .fold(0.0, |worst: f64, z| if z.abs() > worst.abs() { z } else { worst });
        let beyond_rare = biases
            .iter()
            .zip(&variances)
            .zip(&rare)
            .map(|((bias, variance), rare)| (bias.abs() - rare) / error(variance))
            .fold(0.0, f64::max);
        let (exact_length, bias, mean) = match (biases.as_slice(), exact.as_slice()) {
            (&[bias], &[exact]) => (exact, bias, exact + bias),
            _ => {
                let along: f64 = biases.iter().zip(&exact).map(|(bias, exact)| bias * exact).sum();
                (scale, length(&biases), scale + along / scale.max(f64::MIN_POSITIVE))
            }
        };
        Found {
            exact: exact_length,
            mean,
            bias,
            z,
            beyond_rare,
            std: variances.iter().sum::<f64>().sqrt(),
            mse: squares.iter().sum::<f64>() / n,
        }
    }
}
