//! Three relaxations of the multinomial: differentiable vectors of counts that sum to the number of draws.

use super::{COLDEST, Forward, Relaxation};
use crate::checks::{extended, unchecked};
use crate::distributions::Multinomial;
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::random::gumbel;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// The relaxation of a multinomial with `n` draws and `d` classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// One Gumbel-Softmax over all outcomes (the paper's scheme): the lowest variance, for at most 100,000 outcomes.
    Enumeration,
    /// The sum of `n` relaxed one-hot draws: `n d` numbers per sample.
    Categoricals,
    /// Class by class, a relaxed binomial of the remaining draws: `d` steps, each over at most `8 sqrt(n) + 1` atoms.
    ///
    /// The binomial has the remaining *hard* count of draws; its relaxed fraction is multiplied by the remaining *soft*
    /// count. As the temperature goes to zero, the mean therefore has its exact gradient. For nonlinear objectives, the
    /// dependence between classes is differentiated to first order only.
    ConditionalBinomials,
}

/// A multinomial with a relaxation scheme and a temperature, for samples with a gradient.
#[derive(Debug)]
pub struct MultinomialRelaxation<'a> {
    law: &'a Multinomial,
    scheme: Scheme,
    temperature: f64,
    forward: Forward,
}

impl<'a> MultinomialRelaxation<'a> {
    /// Makes a soft relaxation by the given scheme and temperature; a temperature of 0 gives the hard limit.
    ///
    /// # Errors
    /// Fails if the temperature is negative, NaN or infinite.
    pub fn new(law: &'a Multinomial, scheme: Scheme, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::parameter("temperature", temperature, "finite and positive, or 0 for the hard limit"));
        }
        Ok(Self { law, scheme, temperature, forward: Forward::Soft })
    }

    /// Sets what the forward pass returns: soft or whole counts. Both sum to the number of draws.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        Self { forward, ..self }
    }

    /// Draws differentiable samples of shape `sample_shape + batch_shape + [classes]`.
    ///
    /// # Errors
    /// Fails if the shape has a negative size or too many elements, or if there are too many outcomes to enumerate.
    pub fn rsample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        match self.scheme {
            Scheme::Enumeration => self.relax(&self.law.enumerate()?, sample_shape),
            Scheme::Categoricals => {
                let n = self.law.total_count();
                let each = extended(&self.law.batch_shape(), &[n, self.law.classes()]);
                let logits = self.law.log_probs().to_kind(self.law.kind()).unsqueeze(-2).f_expand(each, false)?;
                let one_hot = unchecked(|| TruncatedDistribution::one_hot(&logits))?;
                Ok(self.relax(&one_hot, sample_shape)?.sum_dim_intlist(-2, false, None::<Kind>))
            }
            Scheme::ConditionalBinomials => self.conditional_binomials(sample_shape),
        }
    }

    fn relax(&self, law: &TruncatedDistribution, sample_shape: &[i64]) -> Result<Tensor> {
        Relaxation::new(law, self.temperature)?.forward(self.forward).rsample(sample_shape)
    }

    fn conditional_binomials(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = extended(sample_shape, &self.law.batch_shape());
        let n = self.law.total_count() as f64;
        let atoms = self.binomial_width() as i64 + 1;
        check_shape("relaxed draws of a Multinomial", &extended(&shape, &[atoms]), Kind::Double)?;
        let mut hard_remaining = Tensor::f_full(&shape, n, (Kind::Double, self.law.device()))?;
        let mut remaining = hard_remaining.shallow_clone();
        let mut counts = Vec::with_capacity(self.law.classes() as usize);
        for (log_p, log_q) in self.law.conditionals() {
            let (hard, fraction) = self.binomial(&hard_remaining, &log_p, &log_q)?;
            let count = match (self.forward, self.temperature == 0.0) {
                (_, true) => hard.shallow_clone(),
                (Forward::Soft, _) => &remaining * fraction,
                (Forward::StraightThrough, _) => {
                    let soft = &remaining * fraction;
                    &hard + (&soft - soft.detach())
                }
            };
            hard_remaining = &hard_remaining - hard;
            remaining = &remaining - &count;
            counts.push(count);
        }
        counts.push(remaining);
        Ok(Tensor::stack(&counts, -1).to_kind(self.law.kind()))
    }

    /// Returns the number of atoms of a relaxed binomial, less one: eight standard deviations of the widest binomial on
    /// each side of the mean.
    fn binomial_width(&self) -> f64 {
        let n = self.law.total_count() as f64;
        n.min((8.0 * n.sqrt()).ceil())
    }

    /// Draws a hard count of `trials`, and the relaxed fraction of them, both of the shape of `trials`. Without trials,
    /// the fraction is the probability.
    fn binomial(&self, trials: &Tensor, log_p: &Tensor, log_q: &Tensor) -> Result<(Tensor, Tensor)> {
        let width = self.binomial_width();
        let centre = (trials * log_p.detach().exp() - width / 2.0).round();
        let lowest = centre.minimum(&(trials - width)).clamp_min(0.0).unsqueeze(-1);
        let atoms = lowest + Tensor::arange(width as i64 + 1, (Kind::Double, trials.device()));

        let trials = trials.unsqueeze(-1);
        let possible = atoms.le_tensor(&trials);
        let successes = atoms.minimum(&trials);
        let failures = &trials - &successes;
        let log_weights = &successes * log_p.unsqueeze(-1) + &failures * log_q.unsqueeze(-1)
            - (&successes + 1.0).lgamma()
            - (&failures + 1.0).lgamma();
        let log_weights = log_weights.where_self(&possible, &log_weights.full_like(f64::NEG_INFINITY));
        let perturbed = &log_weights + gumbel(&log_weights.size(), Kind::Double, log_weights.device())?;

        let hard = atoms.gather(-1, &perturbed.argmax(-1, true), false).squeeze_dim(-1);
        let weights = (perturbed / self.temperature.max(COLDEST)).softmax(-1, None::<Kind>);
        let count = (weights * atoms).sum_dim_intlist(-1, false, Kind::Double);
        let trials = trials.squeeze_dim(-1);
        let fraction = (count / trials.clamp_min(1.0)).where_self(&trials.gt(0.0), &log_p.exp());
        Ok((hard, fraction))
    }
}
