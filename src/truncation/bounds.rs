//! What a truncation loses: total variation, error of the mean, error of the mean's derivatives.

use super::window::Tail;
use crate::autograd::gradients;
use crate::distributions::{Distribution, cloned};
use crate::error::Result;
use crate::math::LOG_ZERO;
use tch::{Kind, Tensor, no_grad_guard, with_grad};

/// Room for the rounding of tails and excesses, which are right to 1e-8 or better, relative to each of their parts.
const ROUNDING: f64 = 1e-7;

/// The share of the mass inside a window below which the mean of what is inside is summed.
const HALF: f64 = 0.5;

/// Upper bounds of what a truncation loses, for each law of the batch, float64.
///
/// They are the exact differences between the distribution and its truncation, computed from the tails, plus a relative
/// 1e-7 for rounding: they hold, and are hardly larger than the truth. Rounding of the truncated law's own weights, to
/// 1e-7 in float32, is not part of it.
#[derive(Debug)]
pub struct TruncationError {
    /// Half the sum over all integers of the absolute difference in probability, of shape `batch_shape`.
    pub total_variation: Tensor,
    /// `|E[X] - E[Z]|`, of shape `batch_shape`; zero for tails merged at their means.
    pub mean: Tensor,
    /// For each parameter its name and `|d(E[X] - E[Z]) / d parameter|`, of the parameter's shape.
    pub mean_derivatives: Vec<(String, Tensor)>,
}

/// A distribution and the window in which it was truncated.
#[derive(Debug)]
pub(crate) struct Origin {
    law: Box<dyn Distribution>,
    lo: i64,
    hi: i64,
    tail: Tail,
}

impl Origin {
    /// Keeps the parameters' values, not their graph.
    pub fn new(distribution: &dyn Distribution, lo: i64, hi: i64, tail: Tail) -> Self {
        let _guard = no_grad_guard();
        Self { law: cloned(distribution), lo, hi, tail }
    }
}

impl TruncationError {
    pub(crate) fn none(like: &Tensor) -> Self {
        let zero = like.zeros_like().to_kind(Kind::Double);
        Self { total_variation: zero.shallow_clone(), mean: zero, mean_derivatives: Vec::new() }
    }

    /// Takes derivatives even inside a caller's `no_grad`.
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

/// How much mass is moved or dropped at each end.
fn moved_mass(law: &dyn Distribution, Origin { lo, hi, tail, .. }: &Origin) -> Result<(Tensor, Tensor)> {
    // An atom at the tail's mean takes the end atom's mass with it, where there is a tail.
    let (mass_below, mass_above) = law.support().beyond_window(*lo, *hi);
    let ends_move = *tail == Tail::MergeAtMean && lo < hi;
    let below = law.log_tails(lo + i64::from(ends_move && mass_below))?.0;
    let above = law.log_tails(hi + 1 - i64::from(ends_move && mass_above))?.1;
    if *tail == Tail::MergeAtMean && lo == hi && (mass_below || mass_above) {
        return Ok((below.zeros_like(), below.ones_like()));
    }
    Ok((below.exp(), above.exp()))
}

/// `(a, b)` with `E[X] - E[Z] = b - a`: what each end contributes to the error of the mean.
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
    // Where little mass is inside, that would be the quotient of two small differences; the two means are far from each
    // other instead.
    let (inner, outer) = (mean_inside(law, *lo, *hi), mean - *lo as f64);
    Ok((inner.where_self(&few, &below), outer.where_self(&few, &above)))
}

/// `E[X | lo <= X <= hi] - lo`, by the sum over the window.
fn mean_inside(law: &dyn Distribution, lo: i64, hi: i64) -> Tensor {
    let offsets = Tensor::arange(hi - lo + 1, (Kind::Double, law.device()));
    let weights = law.unsqueeze().log_pmf(&(&offsets + lo as f64)).clamp_min(LOG_ZERO).softmax(-1, Kind::Double);
    (weights * offsets).sum_dim_intlist(-1, false, Kind::Double)
}

/// The derivative in each leaf of a tensor whose rows depend on their own rows only; zero in a leaf that is not used.
fn derivatives(of: &Tensor, leaves: &[Tensor]) -> Result<Vec<Tensor>> {
    if !of.requires_grad() || of.numel() == 0 {
        return Ok(leaves.iter().map(Tensor::zeros_like).collect());
    }
    let gradients = gradients(&of.sum(Kind::Double), leaves, true, false)?;
    let or_zero = |(gradient, leaf): (Tensor, &Tensor)| if gradient.defined() { gradient } else { leaf.zeros_like() };
    Ok(gradients.into_iter().zip(leaves).map(or_zero).collect())
}
