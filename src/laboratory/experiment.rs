//! The synthetic experiment: a law is fitted to targets by gradient descent, with every estimator.
//!
//! Targets `t_i` are drawn from a known law; `E_q sum_i (z_i - t_i)^2 / count` is minimised in the parameters of a law
//! of the same family that starts elsewhere. The reported loss is exact, a sum over the atoms. The reported variance of
//! the gradient is that of independent estimates at the same parameters. So the curves show the noise of the estimator
//! alone.
//!
//! # Source
//! The experiment of Joo et al., arXiv 2003.01847, section on synthetic examples, with the same four laws; the number
//! of targets, the optimiser and the starting points differ.

use super::curves::{Band, Curve, Panel};
use super::scores::{Leaves, scores};
use crate::choice::choices;
use crate::distributions::{Binomial, Distribution, Multinomial, NegativeBinomial, Poisson};
use crate::error::{Error, Result};
use crate::estimators::{EstimatorKind, Expectation, Info, Setting};
use crate::nn::Adam;
use crate::random;
use crate::truncation::TruncatedDistribution;
use crate::truncation::Truncation;
use std::time::Instant;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind, Tensor, no_grad_guard};

choices! {
    "law of the experiment";
    /// The laws that targets are drawn from.
    pub enum Synthetic {
        /// Poisson(20).
        Poisson = "poisson",
        /// Binomial(20, 0.3).
        Binomial = "binomial",
        /// Multinomial(3, [0.7, 0.2, 0.1]).
        Multinomial = "multinomial",
        /// NegativeBinomial(3, 0.4).
        NegativeBinomial = "negative-binomial",
        /// Poisson(5) with a fixed parameter: only what estimators learn changes.
        Held = "held",
    }
}

/// The settings of the experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The estimators.
    pub estimators: Vec<EstimatorKind>,
    /// The number of updates per run.
    pub steps: usize,
    /// The number of runs per estimator, each with its own targets and noise.
    pub seeds: usize,
    /// The temperature of the estimators that have one.
    pub temperature: f64,
    /// Adam's learning rate.
    pub lr: f64,
}

/// The number of targets per run.
const TARGETS: i64 = 20;

/// The approximate number of points of a curve.
const POINTS: usize = 60;

/// The trials of the binomial, the draws of the multinomial, and `total_count` of the negative binomial.
const TRIALS: i64 = 20;
const DRAWS: i64 = 3;
const TOTAL_COUNT: f64 = 3.0;

impl Synthetic {
    /// Returns the law with its parameters, such as `Poisson(20)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "Poisson(20)",
            Self::Binomial => "Binomial(20, 0.3)",
            Self::Multinomial => "Multinomial(3, [0.7, 0.2, 0.1])",
            Self::NegativeBinomial => "NegativeBinomial(3, 0.4)",
            Self::Held => "Poisson(5), held",
        }
    }

    /// Returns the number of estimates per target and step. The gradient is their mean over all targets, the variance
    /// is taken over the estimates of a target. The fixed law has more, so that control variates can learn within a
    /// run.
    fn replicates(self) -> i64 {
        if self == Self::Held { 50 } else { 8 }
    }

    /// Describes the fitted parameters and their starting values.
    fn task(self) -> &'static str {
        match self {
            Self::Poisson => "log rate, from log 10",
            Self::Binomial => "logit of the success probability, from 0",
            Self::Multinomial => "three logits, from 0",
            Self::NegativeBinomial => "logit of probs, from 0",
            Self::Held => "log rate, which stays: the variance falls by what estimators learn",
        }
    }

    /// Returns the unconstrained parameters of the targets' law, and those at which a run starts.
    fn parameters(self) -> (Vec<f64>, Vec<f64>) {
        let logit = |p: f64| (p / (1.0 - p)).ln();
        match self {
            Self::Poisson => (vec![20f64.ln()], vec![10f64.ln()]),
            Self::Binomial => (vec![logit(0.3)], vec![0.0]),
            Self::Multinomial => ([0.7f64, 0.2, 0.1].map(f64::ln).to_vec(), vec![0.0; 3]),
            Self::NegativeBinomial => (vec![logit(0.4)], vec![0.0]),
            Self::Held => (vec![5f64.ln()], vec![5f64.ln()]),
        }
    }

    /// Returns whether an estimator supports this law.
    pub fn admits(self, estimator: EstimatorKind) -> bool {
        (self != Self::Multinomial || !estimator.needs_numbers())
            && (matches!(self, Self::Poisson | Self::Held) || !estimator.needs_poisson())
    }

    /// Returns the law at unconstrained parameters. Its window holds all but 1e-6 of the mass at the parameters that
    /// runs reach; the rest is dropped.
    fn law(self, theta: &[Tensor]) -> Result<TruncatedDistribution> {
        let in_window = |law: &dyn Distribution, hi: i64| {
            TruncatedDistribution::new(law, &Truncation::between(0, hi).allow_low_mass().renormalize())
        };
        match self {
            Self::Poisson | Self::Held => in_window(&Poisson::new(&theta[0].exp())?, 60),
            Self::Binomial => in_window(&Binomial::from_logits(TRIALS, &theta[0])?, TRIALS),
            Self::Multinomial => Multinomial::from_logits(DRAWS, &Tensor::stack(theta, -1))?.enumerate(),
            Self::NegativeBinomial => {
                let total_count = theta[0].full_like(TOTAL_COUNT).detach();
                in_window(&NegativeBinomial::from_logits(&total_count, &theta[0])?, 80)
            }
        }
    }
}

/// One run of one estimator.
#[derive(Default)]
struct Run {
    losses: Vec<f64>,
    variances: Vec<f64>,
    quantities: Vec<(String, Vec<f64>)>,
    evaluations: i64,
    seconds: f64,
    /// The step at which the run failed, and the reason.
    ended: Option<(usize, String)>,
}

impl Run {
    /// Adds a point to the curves, from estimates `[targets, replicates, parameters]`.
    fn add_point(&mut self, loss: f64, estimates: &Tensor, info: &Info) {
        self.losses.push(loss);
        let variance = estimates.var_dim(1, true, false);
        self.variances.push(variance.mean_dim(0, false, Kind::Double).sum(Kind::Double).double_value(&[]));
        for (name, value) in &info.quantities {
            let value = value.to_kind(Kind::Double).double_value(&[]);
            match self.quantities.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => self.quantities.push((name.to_string(), vec![value])),
            }
        }
        self.evaluations = info.evaluations;
    }
}

impl Experiment {
    /// Runs all estimators on a law; calls `on_run` after each run. Seeds libtorch's generator. If a run diverges or
    /// its estimator fails, the estimator's curve ends at that step ([`Curve::ended_at`]), and the others continue.
    ///
    /// # Errors
    /// Fails if a setting is out of range.
    pub fn run(&self, law: Synthetic, mut on_run: impl FnMut(EstimatorKind)) -> Result<Panel> {
        for (name, value) in [("number of steps", self.steps), ("number of seeds", self.seeds)] {
            if value < 1 {
                return Err(Error::parameter(name, value, "at least 1"));
            }
        }
        for (name, value) in [("temperature", self.temperature), ("learning rate", self.lr)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::parameter(name, value, "positive and finite"));
            }
        }
        let mut runs = Vec::new();
        for &estimator in self.estimators.iter().filter(|&&estimator| law.admits(estimator)) {
            let mut of_estimator = Vec::new();
            for seed in 0..self.seeds {
                of_estimator.push(self.run_once(law, estimator, seed as i64)?);
                on_run(estimator);
            }
            runs.push((estimator, of_estimator));
        }
        // Each seed has its own targets and therefore its own least loss.
        let least = (0..self.seeds).map(|seed| self.least_loss(law, seed as i64)).collect::<Result<Vec<_>>>()?;
        let curves = runs.into_iter().map(|(estimator, runs)| curve(estimator, runs, &least)).collect();
        Ok(Panel {
            law: law.name().into(),
            task: law.task().into(),
            steps: self.points().collect(),
            least_loss: least.iter().sum::<f64>() / least.len() as f64,
            curves,
        })
    }

    /// Returns the steps at which curves have points, with the first and the last among them.
    fn points(&self) -> impl Iterator<Item = usize> + use<> {
        let (steps, every) = (self.steps, self.steps.div_ceil(POINTS));
        (0..=steps).filter(move |step| step % every == 0 || *step == steps)
    }

    /// Runs one estimator with one seed.
    fn run_once(&self, law: Synthetic, kind: EstimatorKind, seed: i64) -> Result<Run> {
        // Held from the targets to the last step, since learned networks of the estimator start from random numbers.
        let _generator = random::hold();
        let targets = targets(law, seed)?;
        let (store, theta) = start(law);
        let mut adam = Adam::new(&store, self.lr)?;
        let replicates = law.replicates();
        let rows = TARGETS * replicates;
        let row_targets = targets.repeat_interleave_self_int(replicates, 0, None);
        let width = targets.size().get(1).copied().unwrap_or(1);
        let setting = Setting { width, features: None, temperature: self.temperature, device: Device::Cpu };
        let mut estimator = kind.build(&setting)?;
        let f = |z: &Tensor| squared_distance(z, &row_targets.unsqueeze(1));

        let _at_the_steps = random::seeded(seed ^ 0x5eed);
        let mut run = Run::default();
        let points: Vec<usize> = self.points().collect();
        let clock = Instant::now();
        let mut advance = |step: usize, run: &mut Run| -> Result<()> {
            let q = law.law(&theta)?;
            let scores = scores(&q, &theta)?;
            // For estimators of the Poisson, whose parameter is the logarithm of the rate.
            let rates = kind.needs_poisson().then(|| {
                let log_rates = theta[0].detach().expand([rows, 1], false).copy().set_requires_grad(true);
                let distribution = Poisson::new(&log_rates.exp());
                distribution.map(|distribution| (log_rates, distribution))
            });
            let (parameters, poisson) = rates.transpose()?.map_or((Vec::new(), None), |(t, d)| (vec![t], Some(d)));
            let leaves = Leaves::new(&q, [rows, 1], parameters);
            let mut expectation = Expectation::new(&leaves.law, &f)?.samples(kind.fewest_samples())?;
            if let Some(poisson) = &poisson {
                expectation = expectation.distribution(poisson);
            }
            let estimate = estimator.estimate(&expectation)?;
            let gradients = leaves.gradients(&estimate.surrogate, &scores)?.squeeze_dim(1);
            let square = gradients.square().sum(Kind::Double).double_value(&[]);
            let loss = exact_loss(&q, &targets);
            if !square.is_finite() || !loss.is_finite() {
                return Err(Error::Config(format!("the loss is {loss}, the gradient's squared length {square}")));
            }

            if points.contains(&step) {
                let each = gradients.reshape([TARGETS, replicates, gradients.size()[1]]);
                run.add_point(loss, &each, &estimate.info);
            }
            if law != Synthetic::Held {
                adam.apply(&gradients.mean_dim(0, false, Kind::Double).unbind(0))?;
            }
            Ok(())
        };
        let failed = |step| advance(step, &mut run).err().map(|error| (step, error.whole()));
        let ended = (0..=self.steps).find_map(failed);
        let steps = ended.as_ref().map_or(self.steps, |(step, _)| *step) + 1;
        run.ended = ended;
        run.seconds = clock.elapsed().as_secs_f64() / steps as f64;
        Ok(run)
    }

    /// Returns the smallest loss of a gradient descent with the exact gradient, long enough to converge.
    fn least_loss(&self, law: Synthetic, seed: i64) -> Result<f64> {
        let targets = targets(law, seed)?;
        let (store, theta) = start(law);
        let mut least = f64::INFINITY;
        for lr in [0.1, 0.01, 0.001] {
            let mut adam = Adam::new(&store, lr)?;
            for _ in 0..STEPS_TO_ARRIVE {
                let q = law.law(&theta)?;
                let loss = expected_loss(&q, &targets);
                adam.minimize(&loss, false)?;
                least = least.min(loss.double_value(&[]));
            }
        }
        Ok(least)
    }
}

/// The steps of each stage of the exact descent.
const STEPS_TO_ARRIVE: usize = 150;

/// Returns the unconstrained parameters at a run's start: float64 scalars, named by their index.
fn start(law: Synthetic) -> (VarStore, Vec<Tensor>) {
    let mut store = VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let (_, start) = law.parameters();
    let root = store.root();
    let theta = start.iter().enumerate().map(|(i, &value)| root.var(&i.to_string(), &[], Init::Const(value))).collect();
    (store, theta)
}

/// Draws the targets, `[targets]` or `[targets, classes]`, float64.
fn targets(law: Synthetic, seed: i64) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let _generator = random::seeded(seed);
    let (truth, _) = law.parameters();
    let truth: Vec<Tensor> = truth.into_iter().map(Tensor::from).collect();
    law.law(&truth)?.sample(&[TARGETS])
}

/// Computes `|z - t|^2` from values `[samples, rows, 1]` (`+ [d]`) and targets `[rows, 1]` (`+ [d]`):
/// `[samples, rows]`.
fn squared_distance(z: &Tensor, targets: &Tensor) -> Tensor {
    (z - targets).square().flatten(2, -1).sum_dim_intlist(-1, false, None::<Kind>)
}

/// Computes the mean over the targets of `E |z - t|^2` by summing over the atoms: `[]`, with a graph.
fn expected_loss(q: &TruncatedDistribution, targets: &Tensor) -> Tensor {
    let atoms = q.atoms().unsqueeze(1);
    let distances = (atoms - targets.unsqueeze(0)).square();
    let distances = if distances.dim() == 3 { distances.sum_dim_intlist(-1, false, None::<Kind>) } else { distances };
    (q.log_weights().exp() * distances.mean_dim(1, false, Kind::Double)).sum(Kind::Double)
}

/// Computes the value of [`expected_loss`].
fn exact_loss(q: &TruncatedDistribution, targets: &Tensor) -> f64 {
    let _guard = no_grad_guard();
    expected_loss(q, targets).double_value(&[])
}

/// Combines the runs of an estimator into its curve.
fn curve(estimator: EstimatorKind, mut runs: Vec<Run>, least: &[f64]) -> Curve {
    let excess: Vec<Vec<f64>> =
        runs.iter().zip(least).map(|(run, least)| run.losses.iter().map(|loss| loss - least).collect()).collect();
    let variances: Vec<Vec<f64>> = runs.iter().map(|run| run.variances.clone()).collect();
    let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
    let count = runs.len().max(1) as f64;
    let ended = runs.iter().filter_map(|run| run.ended.clone()).min();
    let (ended_at, ended_by) = ended.unzip();
    let first = if runs.is_empty() { Run::default() } else { runs.swap_remove(0) };
    Curve {
        estimator,
        excess_loss: Band::of(&excess),
        variance: Band::of(&variances),
        evaluations: first.evaluations,
        seconds_per_step: seconds / count,
        quantities: first.quantities,
        ended_at,
        ended_by,
    }
}
