//! A layer of discrete latents: its family, its prior, and how a network's output becomes a posterior.

use crate::checks::unchecked;
use crate::choice::choices;
use crate::distributions::{Bernoulli, Binomial, Distribution, Geometric, NegativeBinomial, Poisson};
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::relaxation::{FiniteOrder, Pathwise, Relaxation};
use crate::sampler::{Backend, NoiseKey, OnePass, OnePassDraw};
use crate::truncation::TruncatedDistribution;
use crate::truncation::Truncation;
use std::cell::Cell;
use tch::{Device, Kind, Tensor};

choices! {
    "family";
    /// The law of a latent.
    pub enum Family {
        /// Counts with variance equal to the mean.
        Poisson = "poisson",
        /// Failures before the first success.
        Geometric = "geometric",
        /// Over-dispersed counts; the prior has `total_count` 3, the posterior learns its own.
        NegativeBinomial = "negative-binomial",
        /// Successes in as many trials as the window has atoms, less one.
        Binomial = "binomial",
        /// Zero or one.
        Bernoulli = "bernoulli",
        /// One of `n` classes, a one-hot vector; the prior is uniform.
        Categorical = "categorical",
    }
}

choices! {
    "inference";
    /// What the encoder puts out.
    pub enum Inference {
        /// The parameters of the family.
        Explicit = "explicit",
        /// One logit for each atom; the prior, through the KL, gives them shape.
        Implicit = "implicit",
    }
}

/// A layer of independent latents.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentConfig {
    /// Their law.
    pub family: Family,
    /// The prior's mean; `None` is 2 for counts and 1/2 for the Bernoulli, and the only choice for the categorical.
    pub prior: Option<f64>,
    /// The window, chosen on the prior and shared by the posterior.
    pub truncation: Truncation,
    /// What the encoder puts out.
    pub inference: Inference,
    /// How many latents.
    pub latents: i64,
}

/// `total_count` of the negative binomial prior.
const PRIOR_TOTAL_COUNT: f64 = 3.0;

/// Smallest rate and `total_count` that an encoder can put out: softplus reaches zero in float32, and a law must not.
pub(crate) const SMALLEST: f64 = 1e-6;

/// A latent layer, ready to turn network outputs into posteriors.
#[derive(Debug)]
pub(crate) struct Latent {
    family: Family,
    inference: Inference,
    latents: i64,
    mean: f64,
    window: (i64, i64),
    prior: TruncatedDistribution,
    drawn_by: Cell<Option<Backend>>,
}

impl Latent {
    pub fn new(config: &LatentConfig, device: Device) -> Result<Self> {
        if config.latents < 1 {
            return Err(Error::parameter("number of latents", config.latents, "at least 1"));
        }
        let float = (Kind::Float, device);
        let (mean, window, prior) = if config.family == Family::Categorical {
            if config.prior.is_some() {
                let problem = "the categorical prior is uniform: leave its mean away".into();
                return Err(Error::Contradiction { problem, setting: "prior" });
            }
            let n = config.truncation.atoms().ok_or_else(|| {
                let problem = "a categorical latent has no tail: give the truncation as a number of classes".into();
                Error::Contradiction { problem, setting: "truncation" }
            })?;
            if n < 1 {
                return Err(Error::parameter("number of classes", n, "at least 1"));
            }
            check_shape("one-hot vectors of a categorical latent", &[n, n], Kind::Float)?;
            (0.0, (0, n - 1), TruncatedDistribution::one_hot(&Tensor::zeros([n], float))?)
        } else {
            let mean = config.prior.unwrap_or(if config.family == Family::Bernoulli { 0.5 } else { 2.0 });
            let law = prior(config, mean, device)?;
            let window = config.truncation.resolve(law.as_ref())?;
            (mean, window, TruncatedDistribution::new(law.as_ref(), &config.truncation)?)
        };
        let LatentConfig { family, inference, latents, .. } = *config;
        Ok(Self { family, inference, latents, mean, window, prior, drawn_by: Cell::new(None) })
    }

    /// How many numbers the encoder must put out.
    pub fn encoder_width(&self) -> i64 {
        let per_latent = match (self.inference, self.family) {
            (Inference::Implicit, _) | (_, Family::Categorical) => self.prior.len(),
            (Inference::Explicit, Family::NegativeBinomial) => 2,
            (Inference::Explicit, Family::Poisson | Family::Geometric | Family::Binomial | Family::Bernoulli) => 1,
        };
        self.latents * per_latent
    }

    /// How many numbers a draw of the layer has.
    pub fn decoder_width(&self) -> i64 {
        if self.family == Family::Categorical { self.latents * self.prior.len() } else { self.latents }
    }

    pub fn latents(&self) -> i64 {
        self.latents
    }

    pub fn prior(&self) -> &TruncatedDistribution {
        &self.prior
    }

    /// The posterior `[..., latents]` from an encoder's output `[..., encoder_width]`. Explicitly, an output of zero is
    /// the prior; implicitly it is uniform, so that no atom starts out of reach.
    pub fn posterior(&self, output: &Tensor) -> Result<TruncatedDistribution> {
        Ok(self.posterior_and_family(output)?.0)
    }

    /// The same, and the family's law before it was truncated, where there is one.
    pub fn posterior_and_family(
        &self,
        output: &Tensor,
    ) -> Result<(TruncatedDistribution, Option<Box<dyn Distribution>>)> {
        let (lo, hi) = self.window;
        Ok(match self.law(output)? {
            Law::OneHot(logits) => (unchecked(|| TruncatedDistribution::one_hot(&logits))?, None),
            Law::Logits(logits) => (unchecked(|| TruncatedDistribution::from_logits(&logits, lo))?, None),
            Law::Family(law) => {
                let q = TruncatedDistribution::new(law.as_ref(), &Truncation::between(lo, hi).allow_low_mass())?;
                (q, Some(law))
            }
        })
    }

    /// Draws a sample `[..., latents]` of the posterior with a gradient, and returns it with the KL to the prior, of
    /// the same shape. With a key, the noise is that of its counter, and the one-pass sampler draws if it can; without
    /// one, the noise comes from libtorch's generator.
    pub fn rsample(&self, output: &Tensor, how: Pathwise, key: Option<NoiseKey>) -> Result<(Tensor, Tensor)> {
        let is_hard_limit = matches!(how, Pathwise::Relaxed { temperature: 0.0, .. });
        if let Some(key) = key.filter(|_| !is_hard_limit) {
            let (lo, hi) = self.window;
            let sampler = || OnePass::pathwise(lo, hi, how)?.kl_to(&self.prior);
            let draw = match self.law(output)? {
                Law::OneHot(_) => None,
                Law::Logits(logits) => Some(unchecked(|| sampler()?.rsample(&logits, key))?),
                Law::Family(law) => Some(unchecked(|| sampler()?.rsample(law.as_ref(), key))?),
            };
            if let Some(OnePassDraw { z, kl: Some(kl), drawn_by }) = draw {
                self.drawn_by.set(Some(drawn_by));
                return Ok((z, kl));
            }
        }
        self.drawn_by.set(Some(Backend::TensorGraph));
        let q = self.posterior(output)?;
        let z = match how {
            Pathwise::Relaxed { temperature, forward } => {
                Relaxation::new(&q, temperature)?.forward(forward).rsample(&[])?
            }
            Pathwise::FiniteOrder(order) => FiniteOrder::new(&q, order)?.rsample(&[])?,
        };
        Ok((z, q.kl(&self.prior)?))
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn inference(&self) -> Inference {
        self.inference
    }

    /// First and last atom.
    pub fn window(&self) -> (i64, i64) {
        self.window
    }

    /// The prior's mean, where the family has one.
    pub fn prior_mean(&self) -> Option<f64> {
        (self.family != Family::Categorical).then_some(self.mean)
    }

    /// What drew last.
    pub fn drawn_by(&self) -> Option<Backend> {
        self.drawn_by.get()
    }

    /// What is added to the encoder's output, to the negative binomial's second half the second, so that zero is the
    /// prior.
    pub fn shifts(&self) -> [f64; 2] {
        match self.family {
            Family::Binomial => [logit(self.mean / self.window.1 as f64), 0.0],
            Family::Bernoulli | Family::Categorical => [logit(self.mean), 0.0],
            Family::Poisson | Family::Geometric | Family::NegativeBinomial => count_shifts(self.family, self.mean),
        }
    }

    /// The posterior before it is truncated.
    fn law(&self, output: &Tensor) -> Result<Law> {
        let logits = || output.unflatten(-1, [self.latents, self.prior.len()]);
        let [shift, other] = self.shifts();
        Ok(match (self.inference, self.family) {
            (_, Family::Categorical) => Law::OneHot(logits()),
            (Inference::Implicit, _) => Law::Logits(logits()),
            (Inference::Explicit, Family::Binomial) => {
                Law::Family(Box::new(unchecked(|| Binomial::from_logits(self.window.1, &(output + shift)))?))
            }
            (Inference::Explicit, Family::Bernoulli) => {
                Law::Family(Box::new(unchecked(|| Bernoulli::from_logits(&(output + shift)))?))
            }
            (Inference::Explicit, Family::Poisson | Family::Geometric | Family::NegativeBinomial) => {
                Law::Family(count_law(self.family, output, [shift, other])?)
            }
        })
    }
}

/// What is added to an encoder's output, to the negative binomial's second half the second, so that zero is a law of
/// this mean; for families of unbounded counts.
pub(crate) fn count_shifts(family: Family, mean: f64) -> [f64; 2] {
    match family {
        Family::NegativeBinomial => [before_softplus(PRIOR_TOTAL_COUNT), mean.ln() - PRIOR_TOTAL_COUNT.ln()],
        Family::Geometric => [mean.ln(), 0.0],
        Family::Poisson | Family::Binomial | Family::Bernoulli | Family::Categorical => [before_softplus(mean), 0.0],
    }
}

/// The law of unbounded counts that an encoder's output stands for.
///
/// # Errors
/// For other families.
pub(crate) fn count_law(family: Family, output: &Tensor, [shift, other]: [f64; 2]) -> Result<Box<dyn Distribution>> {
    unchecked(|| {
        Ok(match family {
            Family::Poisson => Box::new(Poisson::new(&positive(output, shift))?) as Box<dyn Distribution>,
            Family::Geometric => Box::new(Geometric::from_logits(&-(output + shift))?),
            Family::NegativeBinomial => {
                let halves = output.chunk(2, -1);
                Box::new(NegativeBinomial::from_logits(&positive(&halves[0], shift), &(&halves[1] + other))?)
            }
            Family::Binomial | Family::Bernoulli | Family::Categorical => {
                return Err(Error::parameter("family of counts without an end", family, "not bounded"));
            }
        })
    })
}

/// A positive number from any, once shifted.
pub(crate) fn positive(x: &Tensor, shift: f64) -> Tensor {
    (x + shift).softplus() + SMALLEST
}

/// What softplus makes this rate. Beyond 30 it changes nothing in float32, and beyond 709 the exponential leaves
/// float64.
pub(crate) fn before_softplus(rate: f64) -> f64 {
    if rate > 30.0 { rate } else { rate.exp_m1().ln() }
}

/// A posterior before it is truncated.
enum Law {
    /// Logits of classes.
    OneHot(Tensor),
    /// Logits of the window's atoms.
    Logits(Tensor),
    /// A family's law.
    Family(Box<dyn Distribution>),
}

fn logit(p: f64) -> f64 {
    p.ln() - (-p).ln_1p()
}

fn prior(config: &LatentConfig, mean: f64, device: Device) -> Result<Box<dyn Distribution>> {
    let scalar = |x: f64| Tensor::from(x).to_kind(Kind::Float).to_device(device);
    if !(mean > 0.0 && mean.is_finite()) {
        return Err(Error::parameter("prior mean", mean, "positive and finite"));
    }
    Ok(match config.family {
        Family::Poisson => Box::new(Poisson::new(&scalar(mean))?),
        Family::Geometric => Box::new(Geometric::from_logits(&scalar(-mean.ln()))?),
        Family::NegativeBinomial => {
            let logits = scalar((mean / PRIOR_TOTAL_COUNT).ln());
            Box::new(NegativeBinomial::from_logits(&scalar(PRIOR_TOTAL_COUNT), &logits)?)
        }
        Family::Binomial => {
            let trials = config.truncation.atoms().map(|n| n.saturating_sub(1)).ok_or_else(|| {
                let problem = "a binomial latent needs its truncation as a number of atoms, one more than its trials";
                Error::Contradiction { problem: problem.into(), setting: "truncation" }
            })?;
            if mean >= trials as f64 {
                return Err(Error::parameter("prior mean", mean, format!("below the number of trials, {trials}")));
            }
            Box::new(Binomial::from_logits(trials, &scalar(logit(mean / trials as f64)))?)
        }
        Family::Bernoulli | Family::Categorical => {
            if mean >= 1.0 {
                return Err(Error::parameter("prior mean", mean, "inside (0, 1) for a Bernoulli latent"));
            }
            Box::new(Bernoulli::from_logits(&scalar(logit(mean)))?)
        }
    })
}
