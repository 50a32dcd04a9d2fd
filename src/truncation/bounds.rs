//! Bounds of the error of a truncation: total variation, error of the mean, error of the mean's derivatives.

use super::window::Tail;
use crate::autograd::gradients;
use crate::distributions::{Distribution, cloned};
use crate::error::Result;
use crate::math::LOG_ZERO;
use tch::{Kind, Tensor, no_grad_guard, with_grad};

/// The relative allowance for the rounding of tails and partial expectations, whose relative errors are below 1e-8.
const ROUNDING: f64 = 1e-7;

/// The mass inside a window below which the mean inside is summed directly.
const HALF: f64 = 0.5;

/// Upper bounds of the error of a truncation, for each law of the batch, float64.
///
/// They are the exact differences between the distribution and its truncation, computed from the tails, plus a relative
/// 1e-7 for rounding. So they are close to the true errors. They do not include the rounding of the truncated law's
/// weights, 1e-7 in float32.
#[derive(Debug)]
pub struct TruncationError {
    /// Half the sum over all integers of the absolute difference in probability, of shape `batch_shape`.
    pub total_variation: Tensor,
    /// `|E[X] - E[Z]|`, of shape `batch_shape`; zero for tails merged at their means.
    pub mean: Tensor,
    /// The name of each parameter, and `|d(E[X] - E[Z]) / d parameter|` of the parameter's shape.
    pub mean_derivatives: Vec<(String, Tensor)>,
}

/// A distribution, the window in which it was truncated, and the treatment of its tails.
#[derive(Debug)]
pub(crate) struct Origin {
    law: Box<dyn Distribution>,
    lo: i64,
    hi: i64,
    tail: Tail,
}

impl Origin {
    /// Copies the distribution with its parameters' values, without their autograd graph.
    pub fn new(distribution: &dyn Distribution, lo: i64, hi: i64, tail: Tail) -> Self {
        let _guard = no_grad_guard();
        Self { law: cloned(distribution), lo, hi, tail }
    }
}

impl TruncationError {
    /// Returns zeros of the shape of `like`, for a law that was not truncated.
    pub(crate) fn none(like: &Tensor) -> Self {
        let zero = like.zeros_like().to_kind(Kind::Double);
        Self { total_variation: zero.shallow_clone(), mean: zero, mean_derivatives: Vec::new() }
    }

    /// Computes the bounds. Enables gradients, even inside a caller's `no_grad`.
    pub(crate) fn of(origin: &Origin) -> Result<Self> {
        with_grad(|| Self::with_derivatives(origin))
    }

    fn with_derivatives(origin: &Origin) -> Result<Self> {
        let own_leaf = |value: Tensor| value.detach().copy().set_requires_grad(true);
        let parameters = origin.law.parameters();
        let leaves: Vec<Tensor> =
            parameters.iter().map(|parameter| own_leaf(parameter.value.shallow_clone())).collect();
        let law = origin.law.with_parameters(leaves.iter().map(Tensor::shallow_clone).collect());

        let (below, above) = moved_mass(law.as_ref(), origin)?;
        let total_variation = (below + above).detach() * (1.0 + ROUNDING);
        let (below, above) = moved_mean(law.as_ref(), origin)?;
        let bound = |below: &Tensor, above: &Tensor| (above - below).abs() + (above.abs() + below.abs()) * ROUNDING;
        let mean = bound(&below.detach(), &above.detach());
        let (below, above) = (derivatives(&below, &leaves)?, derivatives(&above, &leaves)?);
        let mean_derivatives = parameters
            .into_iter()
            .zip(below.iter().zip(&above))
            .map(|(parameter, (below, above))| (parameter.name, bound(below, above)))
            .collect();
        Ok(Self { total_variation, mean, mean_derivatives })
    }
}

/// Returns the mass that is moved or dropped below and above the window, each of the batch shape.
fn moved_mass(law: &dyn Distribution, Origin { lo, hi, tail, .. }: &Origin) -> Result<(Tensor, Tensor)> {
    // Merging at the mean moves the end atom with its mass, if it has a tail.
    let (mass_below, mass_above) = law.support().beyond_window(*lo, *hi);
    let ends_move = *tail == Tail::MergeAtMean && lo < hi;
    let below = law.log_tails(lo + i64::from(ends_move && mass_below))?.0;
    let above = law.log_tails(hi + 1 - i64::from(ends_move && mass_above))?.1;
    if *tail == Tail::MergeAtMean && lo == hi && (mass_below || mass_above) {
        return Ok((below.zeros_like(), below.ones_like()));
    }
    Ok((below.exp(), above.exp()))
}

/// Returns `(a, b)` with `E[X] - E[Z] = b - a`: the contributions of both ends to the error of the mean, each of the
/// batch shape.
fn moved_mean(law: &dyn Distribution, Origin { lo, hi, tail, .. }: &Origin) -> Result<(Tensor, Tensor)> {
    let (mass_below, mass_above) = law.support().beyond_window(*lo, *hi);
    let mean = law.mean();
    let none = mean.zeros_like();
    if *tail == Tail::MergeAtMean {
        return Ok((none.shallow_clone(), none));
    }
    let below = if mass_below { law.log_partial_expectations(*lo)?.0.exp() } else { none.shallow_clone() };
    let above = if mass_above { law.log_partial_expectations(*hi)?.1.exp() } else { none };
    if *tail == Tail::Merge {
        return Ok((below, above));
    }
    // E[X] - E[X | inside] is the sum over the outside of (x - E[X]) P(x), divided by the mass inside.
    let (mass_below, mass_above) = (law.log_tails(*lo)?.0.exp(), law.log_tails(hi + 1)?.1.exp());
    let inside: Tensor = 1.0 - &mass_below - &mass_above;
    let few = inside.detach().ge(HALF).logical_not();
    let inside = inside.masked_fill(&few, 1.0);
    let below = (below + (&mean - *lo as f64) * mass_below) / &inside;
    let above = (above + (mean.neg() + *hi as f64) * mass_above) / inside;
    if few.any().int64_value(&[]) == 0 {
        return Ok((below, above));
    }
    // With little mass inside, this quotient of small differences would be inaccurate. The two means are far apart
    // then: subtracts them.
    let (inner, outer) = (mean_inside(law, *lo, *hi), mean - *lo as f64);
    Ok((inner.where_self(&few, &below), outer.where_self(&few, &above)))
}

/// Computes `E[X | lo <= X <= hi] - lo` by the sum over the window.
fn mean_inside(law: &dyn Distribution, lo: i64, hi: i64) -> Tensor {
    let offsets = Tensor::arange(hi - lo + 1, (Kind::Double, law.device()));
    let weights = law.unsqueeze().log_pmf(&(&offsets + lo as f64)).clamp_min(LOG_ZERO).softmax(-1, Kind::Double);
    (weights * offsets).sum_dim_intlist(-1, false, Kind::Double)
}

/// Returns the derivative of `value` in each leaf, of the leaf's shape; zero in a leaf that is not used. Each row of
/// `value` must depend on its own row of the leaves only.
fn derivatives(value: &Tensor, leaves: &[Tensor]) -> Result<Vec<Tensor>> {
    if !value.requires_grad() || value.numel() == 0 {
        return Ok(leaves.iter().map(Tensor::zeros_like).collect());
    }
    let gradients = gradients(&value.sum(Kind::Double), leaves, true, false)?;
    let or_zero = |(gradient, leaf): (Tensor, &Tensor)| if gradient.defined() { gradient } else { leaf.zeros_like() };
    Ok(gradients.into_iter().zip(leaves).map(or_zero).collect())
}
