//! The trait of all estimators.

use super::estimate::{Estimate, ExactSamples};
use super::expectation::Expectation;
use super::facts::Facts;
use super::learned::Learned;
use super::tensors::check_temperature;
use crate::error::Result;
use tch::Tensor;

/// Anything that estimates the gradient of `E_q[f(z)]`.
///
/// An estimator of your own says what it is in [`facts`](Self::facts), and what it does in [`compute`](Self::compute),
/// from what the [`Expectation`] holds: the law, and `f` at values of its latents. `examples/custom_estimator.rs` is a
/// whole one:
///
/// ```
/// use gengs::estimators::{Estimate, Estimator, Expectation, Facts, Info};
/// use gengs::prelude::*;
/// use tch::{Kind, Tensor};
///
/// /// The score function, without a baseline.
/// #[derive(Debug)]
/// struct Plain;
///
/// static FACTS: Facts = Facts::new("plain");
///
/// impl Estimator for Plain {
///     fn facts(&self) -> &'static Facts {
///         &FACTS
///     }
///
///     fn compute(&mut self, of: &Expectation<'_>) -> gengs::Result<Estimate> {
///         let z = of.law().sample(&[of.sample_count()])?;
///         let log_prob = of.law().log_prob(&z)?.sum_dim_intlist(-1, false, None::<Kind>);
///         let f = of.value(&z)?;
///         // Zero, whose derivative is f times the score.
///         let score = (&log_prob - log_prob.detach()) * f.detach();
///         let surrogate = (f + score).mean_dim(0, false, None::<Kind>);
///         Ok(Estimate { surrogate, info: Info { evaluations: of.sample_count(), ..Info::default() } })
///     }
/// }
///
/// tch::manual_seed(0);
/// let rate = Tensor::from_slice(&[2.0]).set_requires_grad(true);
/// let q = TruncatedDistribution::new(&Poisson::new(&rate)?, &Truncation::right(20))?;
/// let f = |z: &Tensor| (z - 4.0).square().squeeze_dim(-1);
/// let estimate = Plain.estimate(&Expectation::new(&q, &f)?.samples(400_000)?)?;
/// let gradient = Tensor::run_backward(&[&estimate.surrogate], &[&rate], false, false).remove(0);
/// // d/drate E(z - 4)^2 = 2 (rate - 4) + 1.
/// assert!((gradient.double_value(&[0]) + 3.0).abs() < 0.05);
/// # Ok::<(), gengs::Error>(())
/// ```
pub trait Estimator: std::fmt::Debug + Send {
    /// What it is, claims and needs.
    fn facts(&self) -> &'static Facts;

    /// An estimate for each row; what the estimator learns, it has learned from it when this returns, and uses from the
    /// next call on. Where `f` has no slope that the estimator could take, its gradient is zero.
    ///
    /// # Errors
    /// When the law is not of the kind that the estimator is made for; `f` returns another shape than one number for
    /// each sample, whole numbers, or another device's; prior or context do not fit the law; there are too few samples,
    /// or more than memory holds.
    fn estimate(&mut self, of: &Expectation<'_>) -> Result<Estimate> {
        of.check(self.facts())?;
        // What is learned is learned by gradients, whatever the caller wants of the estimate.
        let estimate = if self.learned().is_some() { tch::with_grad(|| self.compute(of))? } else { self.compute(of)? };
        Ok(estimate.attached(of))
    }

    /// The estimator itself: an estimate of an expectation that [`estimate`](Self::estimate) has checked.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    fn compute(&mut self, of: &Expectation<'_>) -> Result<Estimate>;

    /// For estimators that differentiate `f` at exact samples: the latents at these atoms, with the graph by which the
    /// slope of `f` becomes a gradient. So the expectation of the estimate can be enumerated; nothing for the others.
    ///
    /// # Shapes
    /// `index` `[samples, rows..., latents]`, int64, to values of the same shape (`+ [d]` for atoms that are vectors).
    ///
    /// # Errors
    /// When the law is not of the kind that the estimator is made for.
    fn at_atoms(&self, _of: &Expectation<'_>, _index: &Tensor) -> Result<Option<ExactSamples>> {
        Ok(None)
    }

    /// Another temperature, for those that have one and do not learn it; the others ignore it.
    ///
    /// # Errors
    /// When it is not positive and finite; the estimator then keeps the one that it has.
    fn set_temperature(&mut self, temperature: f64) -> Result<()> {
        check_temperature(temperature).map(drop)
    }

    /// What it learns or remembers from call to call, if anything.
    fn learned(&mut self) -> Option<&mut Learned> {
        None
    }
}
