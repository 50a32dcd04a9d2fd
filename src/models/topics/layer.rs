//! One layer of topics: the posterior of their counts from a network's output, and their law given the layer above.

use super::super::latent::{before_softplus, count_law, count_shifts, positive};
use super::super::{Family, Inference};
use crate::distributions::{Distribution, Poisson};
use crate::relaxation::one_pass::{NoiseKey, OnePass};
use crate::truncated::TruncatedDistribution;
use crate::truncation::Truncation;
use crate::{Error, Result};
use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

/// Standard deviation of the logarithms of the weights between layers at the start.
const LOG_SPREAD: f64 = 1.0;

/// Posterior and prior of a layer's counts, on the atoms `0 .. n`.
#[derive(Debug)]
pub(super) struct Layer {
    family: Family,
    inference: Inference,
    topics: i64,
    atoms: i64,
    mean: f64,
    /// `[topics above, topics]`, the logarithm of the weights, where there is a layer above.
    weight: Option<Tensor>,
    /// `[topics]`: what becomes of the topics by themselves, before it is made positive.
    bias: Tensor,
}

impl Layer {
    /// `mean` is that of each count at the start.
    pub fn new(
        path: &Path,
        (family, inference): (Family, Inference),
        topics: i64,
        above: Option<i64>,
        atoms: i64,
        mean: f64,
    ) -> Result<Self> {
        if !matches!(family, Family::Poisson | Family::Geometric | Family::NegativeBinomial) {
            return Err(Error::Config(
                "the counts of topics have no upper end: choose --family poisson, geometric or negative-binomial"
                    .into(),
            ));
        }
        let weight = above.map(|above| {
            // Half of the mean comes from above, where about this much lies.
            let start = (0.5 / above as f64).ln();
            path.var("weight", &[above, topics], Init::Randn { mean: start, stdev: LOG_SPREAD })
        });
        let bias = path.var("bias", &[topics], Init::Const(0.0));
        Ok(Self { family, inference, topics, atoms, mean, weight, bias })
    }

    /// The numbers that a network must put out for the posterior.
    pub fn outputs(&self) -> Vec<Output> {
        let each = |scale: f64| (0..self.topics).map(move |_| Output { scale, start: 0.0 });
        match (self.inference, self.family) {
            // The posterior starts as the prior, tilted: a Poisson whose log rate is the network's.
            (Inference::Implicit, _) => (0..self.topics)
                .flat_map(|_| {
                    (0..self.atoms).map(move |k| {
                        let log_factorial: f64 = (1..=k).map(|j| (j as f64).ln()).sum();
                        Output { scale: k as f64, start: k as f64 * self.mean.ln() - log_factorial }
                    })
                })
                .collect(),
            (_, Family::NegativeBinomial) => {
                let dispersion = (0..self.topics).map(|_| Output { scale: 0.0, start: 0.0 });
                dispersion.chain(each(1.0)).collect()
            }
            _ => each(1.0).collect(),
        }
    }

    /// The window of all counts.
    fn window(&self) -> Truncation {
        Truncation::right(self.atoms).any_mass()
    }

    /// The posterior, `[B, topics]`, from a network's [`outputs`](Self::outputs).
    pub fn posterior(&self, output: &Tensor) -> Result<Posterior> {
        let source = if self.inference == Inference::Implicit {
            Source::Logits(output.unflatten(-1, [self.topics, self.atoms]))
        } else {
            let law = count_law(self.family, output, count_shifts(self.family, self.mean))?;
            Source::Law(law.ok_or_else(|| Error::Config("topics need a family of unbounded counts".into()))?)
        };
        let truncated = match &source {
            Source::Logits(logits) => TruncatedDistribution::from_logits(logits, 0)?,
            Source::Law(law) => TruncatedDistribution::new(law.as_ref(), &self.window())?,
        };
        Ok(Posterior { truncated, source })
    }

    /// The law of the counts given those above, `[..., topics]`, or without any, `[topics]`.
    pub fn prior(&self, above: Option<&Tensor>) -> Result<TruncatedDistribution> {
        let own = positive(&self.bias, before_softplus(self.mean));
        let rate = match (&self.weight, above) {
            (Some(weight), Some(above)) => above.matmul(&weight.exp()) + own,
            _ => own,
        };
        TruncatedDistribution::new(&Poisson::new_unchecked(&rate)?, &self.window())
    }

    /// The weights from the topics above, `[topics above, topics]`.
    pub fn weight(&self) -> Option<Tensor> {
        self.weight.as_ref().map(|weight| weight.detach().exp())
    }
}

/// A number that a network puts out for a posterior.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Its spread at the start, beside those of others.
    pub scale: f64,
    /// Its mean at the start.
    pub start: f64,
}

/// The posterior of a layer's counts.
#[derive(Debug)]
pub(super) struct Posterior {
    pub truncated: TruncatedDistribution,
    source: Source,
}

/// What the one-pass sampler draws from.
#[derive(Debug)]
enum Source {
    Law(Box<dyn Distribution>),
    Logits(Tensor),
}

impl Posterior {
    /// A relaxed draw, `[B, topics]`.
    pub fn draw(&self, temperature: f64, key: NoiseKey) -> Result<Tensor> {
        let sampler = OnePass::new(0, self.truncated.len() - 1, temperature)?;
        Ok(match &self.source {
            Source::Law(law) => sampler.draw(law.as_ref(), key)?.z,
            Source::Logits(logits) => sampler.draw_logits(logits, key)?.z,
        })
    }

    /// `KL(posterior || prior)` in nats, `[B]`.
    pub fn kl(&self, prior: &TruncatedDistribution) -> Result<Tensor> {
        Ok(self.truncated.kl(prior)?.sum_dim_intlist(-1, false, None::<Kind>))
    }
}
