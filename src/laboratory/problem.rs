//! A law, an objective, and the exact gradient of one under the other.

use super::objective::{ObjectiveKind, TestFunction};
use super::scores::{Leaves, scores};
use crate::distributions::{Distribution, FamilyEntry, Multinomial, whole_number};
use crate::error::{Error, Result};
use crate::estimators::{Enumeration, Estimate, Estimator, EstimatorKind, Expectation, LawNeeds};
use crate::truncation::TruncatedDistribution;
use crate::truncation::Truncation;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// What is to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct ProblemConfig {
    /// A family of the [catalogue](crate::distributions::FAMILIES), or `multinomial` (number of draws, then
    /// unnormalised probabilities).
    pub family: String,
    /// Its parameters; none for those of a typical law.
    pub parameters: Vec<f64>,
    /// The window; none for all but 1e-9 of the mass.
    pub truncation: Option<Truncation>,
    /// How many latents a row has, all of the same law.
    pub latents: i64,
    /// The function under the expectation.
    pub objective: ObjectiveKind,
    /// Its target.
    pub target: f64,
    /// Float32 or float64.
    pub kind: Kind,
}

/// Mass outside the window where none is given.
const TAIL: f64 = 1e-9;

/// A problem, ready to be estimated.
#[derive(Debug)]
pub struct Problem {
    config: ProblemConfig,
    /// Log weights `[atoms]` at the parameters.
    law: TruncatedDistribution,
    /// Derivatives of the log weights in the parameters that have a gradient, `[atoms, parameters]`.
    scores: Tensor,
    /// Index of the first parameter that has a gradient.
    first: usize,
    function: TestFunction,
}

impl Problem {
    /// The most latents of a row.
    pub const MOST_LATENTS: i64 = 1000;

    /// The most atoms of a latent.
    pub const MOST_ATOMS: i64 = 1 << 20;

    /// Computes the law and the derivatives of its log weights.
    ///
    /// # Errors
    /// When the family or its parameters are wrong, or the window misses the law.
    pub fn new(config: &ProblemConfig) -> Result<Self> {
        let mut config = config.clone();
        if !(1..=Self::MOST_LATENTS).contains(&config.latents) {
            let allowed = format!("from 1 to {}", Self::MOST_LATENTS);
            return Err(Error::parameter("number of latents", config.latents, allowed));
        }
        if !config.target.is_finite() {
            return Err(Error::parameter("target of the objective", config.target, "finite"));
        }
        if config.parameters.is_empty() {
            config.parameters = match config.family.as_str() {
                MULTINOMIAL => vec![3.0, 0.7, 0.2, 0.1],
                family => FamilyEntry::find(family)?.typical.to_vec(),
            };
        }
        let first = match config.family.as_str() {
            MULTINOMIAL => 1,
            family => FamilyEntry::find(family)?.whole,
        };
        let leaves: Vec<Tensor> = config
            .parameters
            .iter()
            .enumerate()
            .map(|(i, &value)| Tensor::from(value).set_requires_grad(i >= first))
            .collect();
        let law = truncated(&config, &leaves)?;
        let scores = scores(&law, &leaves[first..])?.to_kind(config.kind);
        let log_weights = law.log_weights().detach().to_kind(config.kind);
        let law = law.with_log_weights(log_weights);
        let function = TestFunction::new(config.objective, config.target, width(&config, &law));
        Ok(Self { config, law, scores, first, function })
    }

    /// What it was made of, with the parameters filled in.
    pub fn config(&self) -> &ProblemConfig {
        &self.config
    }

    /// Atoms of each latent.
    pub fn atoms(&self) -> i64 {
        self.law.len()
    }

    /// Numbers in a row of values.
    pub fn width(&self) -> i64 {
        width(&self.config, &self.law)
    }

    /// Names and values of the parameters that have a gradient.
    ///
    /// # Errors
    /// When the family is unknown, which [`new`](Self::new) has ruled out.
    pub fn parameters(&self) -> Result<Vec<(String, f64)>> {
        let name = |i: usize| -> Result<String> {
            Ok(match self.config.family.as_str() {
                MULTINOMIAL => format!("probs[{}]", i - self.first),
                family => FamilyEntry::find(family)?.parameter(i),
            })
        };
        let values = self.config.parameters.iter().copied().enumerate().skip(self.first);
        values.map(|(i, value)| Ok((name(i)?, value))).collect()
    }

    /// The first and the last atom of each latent, where they are integers.
    pub fn window(&self) -> Option<(i64, i64)> {
        self.law.window()
    }

    /// Whether an estimator is made for such latents, and what it is compared with can be enumerated.
    pub fn admits(&self, estimator: EstimatorKind) -> bool {
        let enumerated = match estimator {
            EstimatorKind::Exact => 1,
            // Its own objective is exact where all samples can be enumerated together.
            EstimatorKind::Vimco => estimator.fewest_samples(),
            _ => return self.is_made_for(estimator),
        };
        self.is_made_for(estimator) && self.can_enumerate(enumerated)
    }

    /// Whether an estimator is made for such latents.
    pub(super) fn is_made_for(&self, estimator: EstimatorKind) -> bool {
        (self.law.is_on_integers() || !estimator.needs_integers())
            && (self.law.window().is_some() || !estimator.needs_numbers())
            && (self.config.family == "poisson" || !estimator.needs_poisson())
    }

    fn can_enumerate(&self, samples: i64) -> bool {
        (self.law.len() as f64).powf(self.config.latents as f64 * samples as f64) <= Enumeration::MOST_OUTCOMES as f64
    }

    /// The exact gradient of the estimator's objective in each latent's parameters, `[latents, parameters]`, float64.
    ///
    /// # Errors
    /// When there are too many outcomes to enumerate.
    pub fn exact(&self, estimator: EstimatorKind, samples: i64) -> Result<Tensor> {
        let latents = self.config.latents;
        // Before anything of that size is made.
        if !self.can_enumerate(if estimator == EstimatorKind::Vimco { samples } else { 1 }) {
            return Err(Error::parameter(
                "number of outcomes to enumerate",
                format!("{}^{latents}", self.law.len()),
                format!("at most {}; take fewer latents or samples, or a smaller window", Enumeration::MOST_OUTCOMES),
            ));
        }
        // A bound of several samples is an expectation over as many times the latents.
        let samples = if estimator == EstimatorKind::Vimco { samples } else { 1 };
        let leaves = self.copies([1, latents]);
        let law = self.law.with_log_weights(leaves.law.log_weights().repeat([1, samples, 1]));
        let f = |z: &Tensor| {
            if samples == 1 {
                return self.value(z);
            }
            let each = self.value(&z.unflatten(2, [samples, latents]));
            (samples as f64).ln() - each.neg().logsumexp(-1, false)
        };
        let estimate = Enumeration.estimate(&Expectation::new(&law, &f)?)?;
        let gradients = leaves.gradients(&estimate.surrogate, &self.scores)?.squeeze_dim(0);
        // What cancels but for rounding is zero, as the gradient of a constant.
        let rounding = self.rounding(&estimate.surrogate);
        Ok(gradients.where_self(&gradients.abs().gt_tensor(&rounding), &gradients.zeros_like()))
    }

    /// What rounding leaves of a gradient, `[parameters]`: the mean length of the score times a value of the objective,
    /// in units of the kind's last digit.
    pub(super) fn rounding(&self, value: &Tensor) -> Tensor {
        let last_digit = if self.config.kind == Kind::Double { 1e-13 } else { 1e-6 };
        let scores = self.law.log_weights().exp().unsqueeze(-1) * self.scores.abs();
        scores.sum_dim_intlist(0, false, Kind::Double) * value.detach().abs().mean(Kind::Double) * last_digit
    }

    /// How much of an estimator's mean may come from atoms so rare that draws hardly meet them,
    /// `[latents, parameters]`: of the rarest, which have `mass` in all, with the other latents at their most likely
    /// atom.
    ///
    /// An estimator weighs the score of an atom by `f` less some baseline, or `f`'s steps by the mass that flows past
    /// them. Whatever the baseline is (nothing, another sample's value, a line through `f` at the mean), `f` there, `f`
    /// at the mode and the line from one to the other bound the difference. The bound of several samples, which is a
    /// sum over them, has as much from each.
    pub(super) fn of_rare_atoms(&self, mass: f64, estimator: EstimatorKind, samples: i64) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let latents = self.config.latents;
        let weights = self.law.log_weights().exp();
        let (sorted, order) = weights.sort(-1, false);
        let rare = sorted.cumsum(-1, Kind::Double).le(mass);
        let rare = rare.zeros_like().scatter(0, &order, &rare).to_kind(Kind::Double).unsqueeze(-1);
        let slopes = (&self.scores * weights.unsqueeze(-1)).to_kind(Kind::Double);
        let flows = slopes.cumsum(0, None);
        let (atoms, mode) = (self.law.len(), weights.argmax(None, false).int64_value(&[]));
        let steps = (Tensor::arange(atoms, (Kind::Double, self.law.device())) - mode as f64).abs().unsqueeze(-1);
        let each = (0..latents).map(|latent| {
            let index = Tensor::full([atoms, 1, latents], mode, (Kind::Int64, self.law.device()));
            index.select(-1, latent).copy_(&Tensor::arange(atoms, (Kind::Int64, self.law.device())).unsqueeze(-1));
            let values = self.value(&self.law.select(index)).to_kind(Kind::Double);
            let rises =
                Tensor::cat(&[values.diff(1, 0, None::<Tensor>, None::<Tensor>), values.narrow(0, 0, 1) * 0.0], 0)
                    .abs();
            let steepest = rises.narrow(0, (mode - 1).max(0), 2.min(atoms)).amax([0], true);
            let beyond = values.abs() + values.get(mode).abs() + &steps * steepest;
            let parts: Tensor = &rare * (slopes.abs() * beyond + flows.abs() * rises);
            parts.sum_dim_intlist(0, false, Kind::Double)
        });
        let summed = if estimator == EstimatorKind::Vimco { samples } else { 1 };
        Ok(Tensor::stack(&each.collect::<Vec<_>>(), 0) * summed)
    }

    /// Gradients of so many rows, each from one estimate of the estimator: `[rows, latents, parameters]`, float64; and
    /// the estimate's record.
    ///
    /// # Errors
    /// As [`Estimator::estimate`].
    pub fn gradients(&self, estimator: &mut dyn Estimator, rows: i64, samples: i64) -> Result<(Tensor, Estimate)> {
        let (leaves, distribution) = self.leaves([rows, self.config.latents], estimator.facts().needs_of_law)?;
        let f = |z: &Tensor| self.value(z);
        let mut expectation = Expectation::new(&leaves.law, &f)?.samples(samples)?;
        if let Some(distribution) = &distribution {
            expectation = expectation.distribution(distribution.as_ref());
        }
        let estimate = estimator.estimate(&expectation)?;
        Ok((leaves.gradients(&estimate.surrogate, &self.scores)?, estimate))
    }

    /// The law of each latent, float64 or float32.
    pub(super) fn law(&self) -> &TruncatedDistribution {
        &self.law
    }

    /// Derivatives of its log weights in the parameters that have a gradient, `[atoms, parameters]`.
    pub(super) fn scores(&self) -> &Tensor {
        &self.scores
    }

    /// So many rows of so many latents, as leaves of a graph.
    pub(super) fn copies(&self, shape: [i64; 2]) -> Leaves {
        Leaves::new(&self.law, shape, Vec::new())
    }

    /// The objective, of values with any number of leading dimensions.
    fn value(&self, z: &Tensor) -> Tensor {
        self.function.value(z, self.law.atoms().dim())
    }

    fn leaves(&self, shape: [i64; 2], needs: LawNeeds) -> Result<(Leaves, Option<Box<dyn Distribution>>)> {
        if needs != LawNeeds::Poisson {
            return Ok((self.copies(shape), None));
        }
        let leaf = |&value: &f64| Tensor::full(shape, value, (self.config.kind, Device::Cpu)).set_requires_grad(true);
        let parameters: Vec<Tensor> = self.config.parameters.iter().map(leaf).collect();
        let distribution = FamilyEntry::find(&self.config.family)?.distribution(&parameters)?;
        Ok((Leaves::new(&self.law, shape, parameters), Some(distribution)))
    }
}

fn width(config: &ProblemConfig, law: &TruncatedDistribution) -> i64 {
    config.latents * law.atoms().size().get(1).copied().unwrap_or(1)
}

/// The name of the only family of vectors.
const MULTINOMIAL: &str = "multinomial";

/// The law in its window, float64.
fn truncated(config: &ProblemConfig, parameters: &[Tensor]) -> Result<TruncatedDistribution> {
    if config.family == MULTINOMIAL {
        let Some((total, probs)) = parameters.split_first().filter(|(_, probs)| !probs.is_empty()) else {
            return Err(Error::parameter(
                "parameters of multinomial",
                "too few",
                "the number of draws, then probabilities",
            ));
        };
        return Multinomial::new(whole_number("draws of multinomial", total)?, &Tensor::stack(probs, -1))?.enumerate();
    }
    let law = FamilyEntry::find(&config.family)?.distribution(parameters)?;
    let support = law.support();
    let truncation = match (config.truncation, support.lowest, support.highest) {
        (Some(truncation), _, _) => truncation,
        (None, Some(lowest), Some(highest)) => Truncation::between(lowest, highest),
        (None, _, _) => Truncation::tail_mass(TAIL),
    };
    let (lo, hi) = truncation.resolve(law.as_ref())?;
    if hi - lo >= Problem::MOST_ATOMS {
        let allowed = format!("at most {} atoms: give a smaller truncation", Problem::MOST_ATOMS);
        return Err(Error::parameter("window of the latents", format!("{lo}..={hi}"), allowed));
    }
    TruncatedDistribution::new(law.as_ref(), &truncation)
}
