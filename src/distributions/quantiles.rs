//! The smallest window that holds all but a given mass.

use super::sums::Pmf;
use crate::checks::LARGEST_ATOM;
use crate::error::{Error, Result};
use tch::{Tensor, no_grad_guard};

/// A law with tail probabilities.
pub(crate) trait Tails: Pmf {
    /// Computes `(log P(X < k), log P(X >= k))`, as [`Distribution::log_tails`](super::Distribution::log_tails).
    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)>;
}

/// The least log mass of a second atom: below it, `f64` holds neither the mass nor its gradient.
const SMALLEST_LOG_MASS: f64 = -700.0;

/// Returns the smallest window `(lo, hi)` with at most `mass` outside in every row. It has two atoms if a second one
/// has mass.
pub(crate) fn find_window(distribution: &(impl Tails + ?Sized), mass: f64) -> Result<(i64, i64)> {
    if !(mass > 0.0 && mass < 1.0) {
        return Err(Error::parameter("tail mass of a truncation", mass, "inside (0, 1)"));
    }
    let _guard = no_grad_guard();
    let mean = distribution.mean();
    if mean.numel() == 0 {
        return Err(Error::parameter("batch of a distribution truncated by tail mass", "empty", "at least one row"));
    }
    let out_of_reach = |found: String| {
        Error::parameter(
            format!("window of a {} for a tail mass of {mass:e}", distribution.name()),
            found,
            format!(
                "within -{LARGEST_ATOM}..={LARGEST_ATOM}; take a larger tail mass or parameters of a smaller scale"
            ),
        )
    };
    let support = distribution.support();
    let atom_near = |mean: f64| {
        if mean.is_nan() || mean.abs() > LARGEST_ATOM as f64 {
            return Err(out_of_reach(format!("around the mean {mean}")));
        }
        Ok(support.nearest(mean.floor() as i64))
    };
    let (first, last) = (support.nearest(-LARGEST_ATOM), support.nearest(LARGEST_ATOM));
    let worst = |log_mass: Tensor| log_mass.max().double_value(&[]);

    // Below: the largest lo with P(X < lo) <= mass / 2, which is the support's start when nothing can be dropped.
    let droppable = |lo: i64| Ok(worst(distribution.log_tails(lo)?.0) <= (mass / 2.0).ln());
    let start = atom_near(mean.min().double_value(&[]))?;
    let lo = last_where(start, first, last, droppable)?.ok_or_else(|| out_of_reach(format!("below {first}")))?;
    // Above: the smallest hi with P(X > hi) at most the rest of `mass`.
    let below = if support.lowest == Some(lo) { 0.0 } else { mass / 2.0 };
    let fits = |hi: i64| Ok(worst(distribution.log_tails(hi + 1)?.1) <= (mass - below).ln());
    let start = atom_near(mean.max().double_value(&[]))?.max(lo);
    let hi = last_where(-start, -last, -lo, |k| fits(-k))?.ok_or_else(|| out_of_reach(format!("above {last}")))?;
    let hi = -hi;
    if lo < hi {
        return Ok((lo, hi));
    }
    let above = worst(distribution.log_tails(hi + 1)?.1);
    let below = worst(distribution.log_tails(lo)?.0);
    // The window has one atom, and no other has a mass that float64 holds.
    if above.max(below) < SMALLEST_LOG_MASS {
        return Ok((lo, hi));
    }
    Ok(if hi < last && (lo == first || above >= below) { (lo, hi + 1) } else { (lo.saturating_sub(1).max(first), hi) })
}

/// Returns the largest `k` in `first..=last` for which `holds` is true; `holds` must be true up to some point and false
/// beyond it. Searches by doubling steps from `start`, then by bisection.
fn last_where(start: i64, first: i64, last: i64, holds: impl Fn(i64) -> Result<bool>) -> Result<Option<i64>> {
    let (mut step, mut yes, mut no) = (1, start, start);
    if holds(start)? {
        loop {
            if yes == last {
                return Ok(Some(last));
            }
            no = (yes + step).min(last);
            if !holds(no)? {
                break;
            }
            yes = no;
            step *= 2;
        }
    } else {
        loop {
            if no == first {
                return Ok(None);
            }
            yes = (no - step).max(first);
            if holds(yes)? {
                break;
            }
            no = yes;
            step *= 2;
        }
    }
    while yes + 1 < no {
        let middle = yes + (no - yes) / 2;
        if holds(middle)? {
            yes = middle;
        } else {
            no = middle;
        }
    }
    Ok(Some(yes))
}
