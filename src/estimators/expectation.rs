//! What is estimated: a law, a function, and what some estimators look at beside.

use super::facts::{Facts, LawNeeds};
use super::tensors::{gathered, no_value, over_latents, total};
use crate::autograd;
use crate::checks::{check_floating, expands};
use crate::distributions::Distribution;
use crate::error::{Error, Result};
use crate::math::LOG_ZERO_FLOAT;
use crate::platform::limits::check_shape;
use crate::random::gumbel;
use crate::truncation::TruncatedDistribution;
use tch::{Device, Kind, Tensor};

/// The function under the expectation, from values `[samples, rows..., latents]` (`+ [d]` for atoms that are vectors)
/// to `[samples, rows...]`.
pub type Objective<'a> = &'a dyn Fn(&Tensor) -> Tensor;

/// Exact samples.
pub(super) struct Hard {
    /// Their atoms' indices.
    pub index: Tensor,
    /// Their values.
    pub z: Tensor,
}

/// What is to be estimated: `E_q[f(z)]` for each row of a batch, and its gradient.
pub struct Expectation<'a> {
    pub(super) law: &'a TruncatedDistribution,
    f: Objective<'a>,
    distribution: Option<&'a dyn Distribution>,
    pub(super) context: Option<&'a Tensor>,
    pub(super) prior: Option<&'a TruncatedDistribution>,
    pub(super) samples: i64,
}

impl std::fmt::Debug for Expectation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expectation").field("law", &self.law).field("samples", &self.samples).finish_non_exhaustive()
    }
}

impl<'a> Expectation<'a> {
    /// With one sample a row. The last dimension of the law's batch shape `[rows..., latents]` holds the latents of a
    /// row.
    ///
    /// # Errors
    /// When the law has no batch dimension, or its rows have no latents.
    pub fn new(law: &'a TruncatedDistribution, f: Objective<'a>) -> Result<Self> {
        if matches!(law.batch_shape().last(), None | Some(0)) {
            return Err(Error::Shape {
                what: "law under an expectation".into(),
                found: law.batch_shape(),
                expected: "a batch shape [rows..., latents], with at least one latent".into(),
            });
        }
        Ok(Self { law, f, distribution: None, context: None, prior: None, samples: 1 })
    }

    /// How many samples a row.
    ///
    /// # Errors
    /// When there is not one.
    pub fn samples(self, samples: i64) -> Result<Self> {
        if samples < 1 {
            return Err(Error::parameter("number of samples", samples, "at least 1"));
        }
        Ok(Self { samples, ..self })
    }

    /// The law before it was truncated, for estimators that are made for a family.
    #[must_use]
    pub fn distribution(self, distribution: &'a dyn Distribution) -> Self {
        Self { distribution: Some(distribution), ..self }
    }

    /// What a learned baseline may look at, `[rows..., features]`.
    #[must_use]
    pub fn context(self, context: &'a Tensor) -> Self {
        Self { context: Some(context), ..self }
    }

    /// The latents' prior, one law for all of them: bounds of several samples include it.
    #[must_use]
    pub fn prior(self, prior: &'a TruncatedDistribution) -> Self {
        Self { prior: Some(prior), ..self }
    }

    /// The law of the latents.
    pub fn law(&self) -> &'a TruncatedDistribution {
        self.law
    }

    /// How many samples a row an estimator takes.
    pub fn sample_count(&self) -> i64 {
        self.samples
    }

    /// The context that was given, if any.
    pub fn given_context(&self) -> Option<&'a Tensor> {
        self.context
    }

    /// The prior that was given, if any.
    pub fn given_prior(&self) -> Option<&'a TruncatedDistribution> {
        self.prior
    }

    /// The law before it was truncated, if it was given.
    pub fn given_distribution(&self) -> Option<&'a dyn Distribution> {
        self.distribution
    }

    pub(super) fn rows(&self) -> Vec<i64> {
        let mut shape = self.law.batch_shape();
        shape.pop();
        shape
    }

    pub(super) fn latents(&self) -> i64 {
        self.law.batch_shape().last().copied().unwrap_or(1)
    }

    /// Fails unless an estimator can work with it.
    pub(super) fn check(&self, facts: &Facts) -> Result<()> {
        let fewest = facts.fewest_samples;
        if self.samples < fewest {
            let allowed = format!("at least {fewest} for {}, which compares each with the others", facts.name);
            return Err(Error::parameter("number of samples", self.samples, allowed));
        }
        // Samples take time without rows, too.
        let size = self.law.log_weights().size();
        let perturbed: Vec<i64> = [self.samples].into_iter().chain(size.iter().map(|&n| n.max(1))).collect();
        check_shape("perturbed log weights of an estimate, samples first", &perturbed, Kind::Double)?;
        match facts.needs_of_law {
            LawNeeds::Any => {}
            LawNeeds::Numbers if self.law.window().is_some() => {}
            LawNeeds::Numbers => {
                return Err(Error::Config(format!(
                    "{} needs latents that are numbers; take fini-1 or reinmax for vectors",
                    facts.name
                )));
            }
            LawNeeds::Integers if self.law.is_on_integers() => {}
            LawNeeds::Integers => {
                return Err(Error::Config(format!(
                    "{} needs latents that are successive integers; take another estimator for vectors and moved atoms",
                    facts.name
                )));
            }
            LawNeeds::Poisson if self.law.window().is_none() => {
                return Err(Error::Config(format!(
                    "{} needs latents that are integers; take another estimator for vectors",
                    facts.name
                )));
            }
            LawNeeds::Poisson => {
                let _ = self.poisson_rate()?;
            }
        }
        if let Some(prior) = self.prior {
            self.law.check_same_atoms(prior)?;
            check_expands("prior of an expectation", &prior.batch_shape(), &self.law.batch_shape())?;
            check_device("prior of an expectation", prior.device(), self.law.device())?;
            self.check_covered(prior)?;
        }
        if let Some(context) = self.context {
            if !context.defined() {
                return Err(Error::parameter("context of an expectation", "undefined", "a tensor with values"));
            }
            let (mut expected, found) = (self.rows(), context.size());
            expected.push(found.last().copied().unwrap_or(0));
            if found != expected {
                return Err(Error::Shape {
                    what: "context of an expectation".into(),
                    found,
                    expected: format!("{:?} + [features]", self.rows()),
                });
            }
            check_device("context of an expectation", context.device(), self.law.device())?;
        }
        Ok(())
    }

    /// Fails where the prior leaves out an atom that the law has: their KL is infinite.
    fn check_covered(&self, prior: &TruncatedDistribution) -> Result<()> {
        let none = f64::NEG_INFINITY;
        let left_out = prior.log_weights().eq(none).logical_and(&self.law.log_weights().ne(none));
        if left_out.any().int64_value(&[]) == 0 {
            return Ok(());
        }
        Err(Error::parameter(
            "prior of an expectation",
            "without mass at an atom that the law has",
            "with mass wherever the law has some, or the KL is infinite",
        ))
    }

    /// The Poisson's rate, of the law's batch shape and kind.
    pub(super) fn poisson_rate(&self) -> Result<Tensor> {
        let Some(rate) = self.distribution.and_then(Distribution::poisson_rate) else {
            let found = self.distribution.map_or("no distribution", Distribution::name);
            return Err(Error::parameter("family of exponential arrival times", format!("'{found}'"), "a `Poisson`"));
        };
        let shape = self.law.batch_shape();
        check_expands("rate of exponential arrival times", &rate.size(), &shape)?;
        check_device("rate of exponential arrival times", rate.device(), self.law.device())?;
        Ok(rate.to_kind(self.law.kind()).expand(&shape, false))
    }

    /// `f` at values of the latents, `[samples, rows...]`, in the law's kind and with `f`'s own graph.
    ///
    /// # Shapes
    /// `z` `[samples, rows..., latents]` (`+ [d]` for atoms that are vectors), for any number of samples.
    ///
    /// # Errors
    /// When `f` returns another shape, whole numbers, or another device's.
    pub fn value(&self, z: &Tensor) -> Result<Tensor> {
        let value = (self.f)(z);
        check_floating("the values of f", &value, "a floating-point kind: convert it with `to_kind`")?;
        check_device("values of f", value.device(), self.law.device())?;
        let mut expected = self.rows();
        expected.insert(0, z.size().first().copied().unwrap_or(1));
        if value.size() != expected {
            return Err(Error::Shape {
                what: format!("f of values {:?}", z.size()),
                found: value.size(),
                expected: format!("{expected:?}, one number for each sample of each row"),
            });
        }
        Ok(value.to_kind(self.law.kind()))
    }

    /// `f` and its derivative in the values, both without graph; a derivative of zero where `f` does not depend on
    /// them.
    pub(super) fn value_and_slope(&self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let z = z.detach().set_requires_grad(true);
        let value = self.value(&z)?;
        let slope = if value.requires_grad() {
            autograd::gradients(&total(&value), &[&z], false, false)?.remove(0)
        } else {
            Tensor::new()
        };
        Ok((value.detach(), if slope.defined() { slope } else { z.detach().zeros_like() }))
    }

    /// Log weights `[rows..., latents, atoms]`, of atoms without mass a large negative number instead of minus
    /// infinity.
    pub(super) fn log_weights(&self) -> Tensor {
        self.law.log_weights().clamp_min(LOG_ZERO_FLOAT)
    }

    /// Perturbed log weights `[samples, rows..., latents, atoms]`, with a graph in the log weights.
    pub(super) fn perturbed(&self) -> Result<Tensor> {
        let log_weights = self.log_weights();
        let shape = [&[self.samples], log_weights.size().as_slice()].concat();
        Ok(&log_weights + gumbel(&shape, log_weights.kind(), log_weights.device())?)
    }

    /// Exact samples, and which atoms they are, `[samples, rows..., latents]`.
    pub(super) fn hard(&self) -> Result<Hard> {
        let index = self.perturbed()?.argmax(-1, false);
        Ok(Hard { z: self.law.select(index.shallow_clone()), index })
    }

    /// The scores of samples, each latent's `d log q`, as tensors of no value `[samples, rows..., latents]`.
    pub(super) fn scores(&self, index: &Tensor) -> Tensor {
        no_value(&gathered(&self.log_weights(), index))
    }

    /// From weights `[..., atoms]` to values, with the atoms held where they are: where the law moves its end atoms, an
    /// exact sample carries that movement.
    pub(super) fn weigh(&self, weights: &Tensor) -> Tensor {
        self.law.weigh(weights, &self.law.atoms().detach())
    }

    /// `log q` of samples, summed over the latents, `[samples, rows...]`.
    pub(super) fn log_prob(&self, index: &Tensor) -> Tensor {
        over_latents(&gathered(&self.log_weights(), index))
    }

    /// `log q - log p` of samples, summed over the latents, `[samples, rows...]`; nothing without a prior.
    pub(super) fn log_ratio(&self, index: &Tensor) -> Option<Tensor> {
        Some(self.log_prob(index) - self.log_prior(index)?)
    }

    /// `log p` of samples, summed over the latents, `[samples, rows...]`; nothing without a prior.
    pub(super) fn log_prior(&self, index: &Tensor) -> Option<Tensor> {
        let prior = self.prior?.log_weights().expand_as(self.law.log_weights());
        Some(over_latents(&gathered(&prior, index)))
    }
}

/// Fails unless a shape expands to the law's.
fn check_expands(what: &str, found: &[i64], to: &[i64]) -> Result<()> {
    if expands(found, to) {
        return Ok(());
    }
    Err(Error::Shape { what: what.into(), found: found.into(), expected: format!("the law's batch shape {to:?}") })
}

/// Fails unless a tensor is where the law is.
fn check_device(what: &str, found: Device, law: Device) -> Result<()> {
    if found == law {
        return Ok(());
    }
    Err(Error::parameter(format!("device of the {what}"), format!("{found:?}"), format!("the law's, {law:?}")))
}
