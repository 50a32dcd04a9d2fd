//! Three ways to a differentiable multinomial draw: a vector of counts that sums to the number of draws.

use super::{COLDEST, Forward, Relaxation};
use crate::checks::{extended, unchecked};
use crate::distributions::Multinomial;
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::random::gumbel;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// How a multinomial of `n` draws and `d` classes is relaxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// One Gumbel-Softmax over all outcomes (the paper): the least variance, for up to 100,000 of them.
    Enumeration,
    /// The sum of `n` relaxed one-hot draws: `n d` numbers a draw.
    Categoricals,
    /// Class by class, a relaxed binomial of what the classes before have left: `d` steps, each over at most
    /// `8 sqrt(n) + 1` atoms.
    ///
    /// Each binomial is that of the hard count left; its relaxed fraction is taken of the soft count left. So the mean
    /// has its exact gradient as the temperature goes to zero; for objectives that are not linear, how a class moves
    /// with those before it is followed to first order.
    ConditionalBinomials,
}

/// A multinomial with a scheme and a temperature: draws from it carry a gradient.
#[derive(Debug)]
pub struct MultinomialRelaxation<'a> {
    law: &'a Multinomial,
    scheme: Scheme,
    temperature: f64,
    forward: Forward,
}

impl<'a> MultinomialRelaxation<'a> {
    /// The soft relaxation by this scheme at this temperature; zero is the hard limit.
    ///
    /// # Errors
    /// When the temperature is negative, NaN or infinite.
    pub fn new(law: &'a Multinomial, scheme: Scheme, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::parameter("temperature", temperature, "finite, positive, or 0 for the hard limit"));
        }
        Ok(Self { law, scheme, temperature, forward: Forward::Soft })
    }

    /// Chooses what the forward pass returns: soft counts, or whole ones. Both sum to the number of draws.
    #[must_use]
    pub fn forward(self, forward: Forward) -> Self {
        Self { forward, ..self }
    }

    /// Differentiable draws of shape `sample_shape + batch_shape + [classes]`.
    ///
    /// # Errors
    /// When libtorch refuses the shape, or there are too many outcomes to enumerate.
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
        let mut hard_left = Tensor::f_full(&shape, n, (Kind::Double, self.law.device()))?;
        let mut left = hard_left.shallow_clone();
        let mut counts = Vec::with_capacity(self.law.classes() as usize);
        for (log_p, log_q) in self.law.conditionals() {
            let (hard, fraction) = self.binomial(&hard_left, &log_p, &log_q)?;
            let count = match (self.forward, self.temperature == 0.0) {
                (_, true) => hard.shallow_clone(),
                (Forward::Soft, _) => &left * fraction,
                (Forward::StraightThrough, _) => {
                    let soft = &left * fraction;
                    &hard + (&soft - soft.detach())
                }
            };
            hard_left = &hard_left - hard;
            left = &left - &count;
            counts.push(count);
        }
        counts.push(left);
        Ok(Tensor::stack(&counts, -1).to_kind(self.law.kind()))
    }

    /// Atoms of a relaxed binomial, less one: eight standard deviations on either side, of the widest binomial there
    /// is.
    fn binomial_width(&self) -> f64 {
        let n = self.law.total_count() as f64;
        n.min((8.0 * n.sqrt()).ceil())
    }

    /// A hard count of `trials`, and the relaxed fraction of them; the probability itself where there are no trials.
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
