//! The trait of all estimators.

use super::estimate::Estimate;
use super::expectation::Expectation;
use super::facts::Facts;
use super::learned::Learned;
use super::tensors::check_temperature;
use crate::error::Result;

/// Anything that estimates the gradient of `E_q[f(z)]`.
pub trait Estimator: std::fmt::Debug + Send {
    /// What it is, claims and needs.
    fn facts(&self) -> &'static Facts;

    /// An estimate for each row; what the estimator learns, it has learned from it when this returns, and uses from the next call on.
    /// Where `f` has no slope that the estimator could take, its gradient is zero.
    ///
    /// # Errors
    /// When the law is not of the kind that the estimator is made for; `f` returns another shape than one number for each sample, whole
    /// numbers, or another device's; prior or context do not fit the law; there are too few samples, or more than memory holds.
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
