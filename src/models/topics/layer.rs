//! One layer of topics: the posterior of its counts from the encoder's output, and their prior given the layer above.

use super::super::latent::{before_softplus, count_law, count_shifts, positive};
use super::super::{Family, Inference};
use super::encoder::Output;
use crate::checks::unchecked;
use crate::distributions::{Distribution, Poisson};
use crate::error::{Error, Result};
use crate::relaxation::Pathwise;
use crate::sampler::{NoiseKey, OnePass};
use crate::truncation::TruncatedDistribution;
use crate::truncation::Truncation;
use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

/// The share of a count's initial prior mean that the layer above contributes; the bias contributes the rest.
pub(crate) const FROM_ABOVE: f64 = 0.5;

/// The initial weight of an upper topic for the topics of its own group, relative to its weight for other topics.
const OWN_GROUP: f64 = 20.0;

/// The posterior and prior of a layer's counts, on the atoms `0 .. n`.
#[derive(Debug)]
pub(super) struct Layer {
    family: Family,
    inference: Inference,
    topics: i64,
    atoms: i64,
    /// The initial prior mean of each count.
    mean: f64,
    /// The part of `mean` that does not come from the layer above.
    own_mean: f64,
    /// The logarithms of the weights from the layer above, `[topics above, topics]`; `None` for the top layer.
    weight: Option<Tensor>,
    /// The part of the prior mean that does not depend on the layer above, before it is made positive, `[topics]`.
    bias: Tensor,
}

impl Layer {
    /// Makes a layer whose counts have the initial prior mean `mean`. `groups` `[topics above, topics]` is one if a
    /// topic belongs to the group of one above, else zero.
    pub fn new(
        path: &Path,
        (family, inference): (Family, Inference),
        topics: i64,
        groups: Option<&Tensor>,
        atoms: i64,
        mean: f64,
    ) -> Result<Self> {
        if !matches!(family, Family::Poisson | Family::Geometric | Family::NegativeBinomial) {
            let problem =
                "the counts of topics have no upper end: choose poisson, geometric or negative-binomial".into();
            return Err(Error::Contradiction { problem, setting: "family" });
        }
        let weight = groups.map(|groups| {
            let above = groups.size()[0];
            let weight = path.zeros("weight", &[above, topics]);
            let shares = groups * (OWN_GROUP - 1.0) + 1.0;
            // Scaled for upper topics with the same mean as lower ones.
            let start = &shares / shares.sum_dim_intlist(0, true, None::<Kind>) * FROM_ABOVE;
            tch::no_grad(|| weight.shallow_clone().copy_(&start.log()));
            weight
        });
        let own_mean = if weight.is_some() { mean * (1.0 - FROM_ABOVE) } else { mean };
        let bias = path.var("bias", &[topics], Init::Const(0.0));
        Ok(Self { family, inference, topics, atoms, mean, own_mean, weight, bias })
    }

    /// Returns the number of topics.
    pub fn topics(&self) -> i64 {
        self.topics
    }

    /// Atoms of a count's window.
    pub fn atoms(&self) -> i64 {
        self.atoms
    }

    /// How many numbers beside a logit offset of each count a network must put out for the posterior.
    pub fn extra(&self) -> i64 {
        match (self.inference, self.family) {
            (Inference::Implicit, _) => self.topics * self.atoms,
            (_, Family::NegativeBinomial) => self.topics,
            _ => 0,
        }
    }

    /// Returns the window of all counts.
    fn window(&self) -> Truncation {
        Truncation::right(self.atoms).allow_low_mass()
    }

    /// Computes the posterior, `[B, topics]`, from the encoder's output and the counts above, if there are any.
    ///
    /// At a logit offset of zero, a count of a very long document has the family's law with the initial mean (for free
    /// logits, the Poisson's). A count of a very short document has the mean that the counts above give it.
    pub fn posterior(&self, output: &Output, above: Option<&Tensor>) -> Result<Posterior> {
        let Output { logit_offset, extra, length_gate } = output;
        let logit_offset = &match above {
            Some(above) => logit_offset + self.prior_shift(above) * (1.0 - length_gate),
            None => logit_offset.shallow_clone(),
        };
        let source = match (self.inference, extra) {
            (Inference::Implicit, Some(extra)) => {
                let k = Tensor::arange(self.atoms, (Kind::Float, logit_offset.device()));
                let poisson = (logit_offset + self.mean.ln()).unsqueeze(-1) * &k - (&k + 1.0).lgamma();
                Source::Logits(poisson + extra.unflatten(-1, [self.topics, self.atoms]))
            }
            _ => {
                let shifts = count_shifts(self.family, self.mean);
                let numbers = extra.iter().chain([logit_offset]).collect::<Vec<_>>();
                Source::Law(count_law(self.family, &Tensor::cat(&numbers, -1), shifts)?)
            }
        };
        let truncated = match &source {
            Source::Logits(logits) => unchecked(|| TruncatedDistribution::from_logits(logits, 0))?,
            Source::Law(law) => TruncatedDistribution::new(law.as_ref(), &self.window())?,
        };
        Ok(Posterior { truncated, source })
    }

    /// Returns the logit offset of the law whose mean the counts above give, relative to the initial mean.
    fn prior_shift(&self, above: &Tensor) -> Tensor {
        let rate = self.rate(Some(above));
        match (self.inference, self.family) {
            (Inference::Explicit, Family::Poisson) => (-(-&rate).exp()).log1p() + rate - before_softplus(self.mean),
            (Inference::Implicit, _)
            | (
                Inference::Explicit,
                Family::Geometric
                | Family::NegativeBinomial
                | Family::Binomial
                | Family::Bernoulli
                | Family::Categorical,
            ) => rate.log() - self.mean.ln(),
        }
    }

    /// Returns the prior of the counts: `[B, topics]` given the counts above, or `[topics]` without a layer above.
    pub fn prior(&self, above: Option<&Tensor>) -> Result<TruncatedDistribution> {
        TruncatedDistribution::new(&unchecked(|| Poisson::new(&self.rate(above)))?, &self.window())
    }

    /// Returns the prior mean of the counts: `[..., topics]` given the counts above, or `[topics]` without.
    pub fn rate(&self, above: Option<&Tensor>) -> Tensor {
        let own = positive(&self.bias, before_softplus(self.own_mean));
        match (&self.weight, above) {
            (Some(weight), Some(above)) => above.matmul(&weight.exp()) + own,
            _ => own,
        }
    }

    /// Returns the weights from the topics above, `[topics above, topics]`; `None` for the top layer.
    pub fn weight(&self) -> Option<Tensor> {
        self.weight.as_ref().map(|weight| weight.detach().exp())
    }
}

/// The posterior of a layer's counts.
#[derive(Debug)]
pub(super) struct Posterior {
    pub truncated: TruncatedDistribution,
    source: Source,
}

/// The law that the one-pass sampler draws from.
#[derive(Debug)]
enum Source {
    Law(Box<dyn Distribution>),
    Logits(Tensor),
}

impl Posterior {
    /// Draws counts with a gradient, `[B, topics]`.
    pub fn rsample(&self, how: Pathwise, key: NoiseKey) -> Result<Tensor> {
        let sampler = OnePass::pathwise(0, self.truncated.len() - 1, how)?;
        let draw = unchecked(|| match &self.source {
            Source::Law(law) => sampler.rsample(law.as_ref(), key),
            Source::Logits(logits) => sampler.rsample(logits, key),
        });
        Ok(draw?.z)
    }

    /// Computes `KL(posterior || prior)` in nats, summed over the topics: `[B]`.
    pub fn kl(&self, prior: &TruncatedDistribution) -> Result<Tensor> {
        Ok(self.truncated.kl(prior)?.sum_dim_intlist(-1, false, None::<Kind>))
    }
}
