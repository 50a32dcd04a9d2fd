//! Sums of a pmf over long ranges of integers: tails and partial expectations of laws that have no closed form for
//! them.
//!
//! Laws that are smooth between the integers are summed by few of their terms ([`Grid`]), others term by term.
//!
//! A sum that starts at `k` and runs away from the mean has falling terms, which the graded grid resolves at any scale.
//! It would miss a distant, narrow peak; then the other side is summed, and this side is computed as its complement.

use super::support::Support;
use crate::checks::{LARGEST_ATOM, log_zero_one, require};
use crate::error::{Error, Result};
use crate::math::LOG_ZERO;
use crate::math::gauss_sums::{DOUBLINGS, Grid, SINGLES};
use crate::math::special::log1mexp;
use crate::platform::limits::check_shape;
use std::cell::LazyCell;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// What a sum needs of a law: the methods of the same names of [`Distribution`](super::Distribution).
pub(crate) trait Pmf {
    fn name(&self) -> &str;
    fn support(&self) -> Support;
    fn batch_shape(&self) -> Vec<i64>;
    fn device(&self) -> Device;
    fn mean(&self) -> Tensor;
    fn variance(&self) -> Tensor;
    fn may_vanish(&self) -> bool;
    fn is_smooth(&self) -> bool;
    fn extent(&self) -> Option<(i64, i64)>;
    fn log_tail_bound(&self, k: i64) -> Option<Tensor>;
    /// Returns a function from a row of integers `[n]` to their log-pmf, of shape `batch_shape + [n]`.
    fn row(&self) -> Box<dyn Fn(&Tensor) -> Tensor>;
}

/// The largest atom with tails by continued fractions, whose number of levels grows with the square root of the atom;
/// beyond it, tails are sums.
pub(crate) const LARGEST_FRACTION_ATOM: i64 = 400;

/// The rest of a sum is dropped if it lies this many nats below the first term or the sum: `exp(-42)` is below 1e-18.
pub(crate) const NEGLIGIBLE: f64 = 42.0;

/// The index of the last block of a graded sum, among the blocks whose lengths double from [`SINGLES`] on: it ends at
/// 2^40.
const LAST_BLOCK: u32 = DOUBLINGS as u32 - 6;

/// The direction of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards larger integers.
    Up,
    /// Towards smaller integers.
    Down,
}

/// Computes the logarithm of `sum_j weight_j P(X = from +- j)` over `j = 0, 1, ...` to the support's end: weight
/// `j + 1` if `weighted_by_distance`, otherwise 1. The result has the batch shape.
fn one_sided<D: Pmf + ?Sized>(
    distribution: &D,
    from: i64,
    direction: Direction,
    weighted_by_distance: bool,
) -> Result<Tensor> {
    let support = distribution.support();
    let (end, sign) = match direction {
        Direction::Up => (support.highest, 1.0),
        Direction::Down => (support.lowest, -1.0),
    };
    let row = distribution.row();
    let device = distribution.device();
    let log_pmf = |offsets: &Tensor| {
        let terms = row(&(offsets * sign + from as f64));
        if distribution.may_vanish() { terms.clamp_min(LOG_ZERO) } else { terms }
    };
    let grid = match (end, distribution.is_smooth()) {
        (Some(end), true) => Grid::graded_from_both_ends((end - from).abs() + 1),
        (Some(end), false) => one_by_one_grid(distribution, (end - from).abs() + 1)?,
        (None, true) => Grid::graded(smooth_reach(log_pmf, device)),
        (None, false) => {
            let extent = distribution.extent().map_or(0, |(first, last)| match direction {
                Direction::Up => last - from + 1,
                Direction::Down => from - first + 1,
            });
            one_by_one_grid(distribution, reach(distribution, from, direction)?.max(extent))?
        }
    };
    let offsets = grid.offsets(device);
    let mut terms = log_pmf(&offsets) + grid.log_weights(device);
    if weighted_by_distance {
        terms += offsets.log1p();
    }
    Ok(terms.logsumexp(-1, false))
}

/// Returns the grid of the integers `0 .. length`; fails if the terms of all rows would not fit in memory.
fn one_by_one_grid<D: Pmf + ?Sized>(distribution: &D, length: i64) -> Result<Grid> {
    let terms = [distribution.batch_shape(), vec![length]].concat();
    check_shape(&format!("a sum over the integers of a {}", distribution.name()), &terms, Kind::Double)?;
    Ok(Grid::one_by_one(length))
}

/// Returns how many integers a falling sum of a smooth law needs, for all rows: the end of the last block whose first
/// term times its length is not negligible.
fn smooth_reach(log_pmf: impl Fn(&Tensor) -> Tensor, device: Device) -> i64 {
    let _guard = no_grad_guard();
    let starts: Vec<i64> = (0..=LAST_BLOCK).map(|i| SINGLES << i).collect();
    let positions: Vec<f64> = [0.0].into_iter().chain(starts.iter().map(|&start| start as f64)).collect();
    let positions = Tensor::from_slice(&positions).to_device(device);
    let terms = log_pmf(&positions) + positions.log1p() * 2.0;
    let first = terms.narrow(-1, 0, 1);
    let blocks = terms.narrow(-1, 1, starts.len() as i64);
    // NaN compares as false: a row with invalid parameters needs no block.
    let needed = blocks.gt_tensor(&(first - NEGLIGIBLE)).reshape([-1, starts.len() as i64]).any_dim(0, false);
    let needed: Vec<bool> = Vec::try_from(needed).unwrap_or_else(|_| vec![true; starts.len()]);
    let last = needed.iter().rposition(|&needed| needed);
    last.map_or(SINGLES, |last| starts[last] * 2)
}

/// Returns how many integers, counted from `from`, a sum needs so that the rest is at most 1e-18 of it, by the law's
/// own bound or the ratio test.
pub(crate) fn reach<D: Pmf + ?Sized>(distribution: &D, from: i64, direction: Direction) -> Result<i64> {
    let _guard = no_grad_guard();
    let row = distribution.row();
    let sign = if direction == Direction::Up { 1 } else { -1 };
    let device = distribution.device();
    let (mut start, mut size) = (0, 64);
    let mass_ends = LazyCell::new(|| mass_ends(distribution, from, direction));
    let mut total: Option<Tensor> = None;
    while start + size <= 2 * LARGEST_ATOM {
        let offsets = Tensor::arange_start(start, start + size, (Kind::Double, device));
        let terms = row(&(offsets * sign + from));
        let wrong = terms.isnan().logical_or(&terms.isposinf());
        require(
            &format!("log-pmf of {}", distribution.name()),
            &terms,
            &wrong.logical_not(),
            "a finite number or minus infinity",
        )?;
        let terms = terms.clamp_min(LOG_ZERO);
        let block = terms.logsumexp(-1, false);
        let sum = total.map_or_else(|| block.shallow_clone(), |total: Tensor| total.logaddexp(&block));
        start += size;
        let bound = distribution.log_tail_bound(from + sign * start);
        let rest = bound.unwrap_or_else(|| remainder(&terms, &sum, || mass_ends.is_some_and(|end| start > end)));
        if rest.le_tensor(&(&sum - NEGLIGIBLE)).all().int64_value(&[]) != 0 {
            return Ok(start);
        }
        total = Some(sum);
        size *= 2;
    }
    Err(Error::parameter(
        format!("tail of {} from {from} on", distribution.name()),
        format!("not negligible after {start} terms"),
        "a tail that falls off geometrically within them; take parameters of a smaller scale, or give a finite \
         support, the range of the mass or a bound on the tail",
    ))
}

/// The number of successive terms without mass after which a sum ends. It is large because a law may skip integers,
/// such as the odd ones.
const EMPTY_RUN: i64 = 4096;

/// Deviations beyond the mean at which a sum without mass so far is taken to be empty: by Chebyshev, less than 1 in
/// 4,000 of the mass lies farther out.
const EMPTY_BEYOND: f64 = 64.0;

/// Returns how many integers, counted from `from`, may hold mass although all so far had none: up to the law's extent,
/// or else up to [`EMPTY_BEYOND`] deviations beyond the mean. `None` if neither is known.
fn mass_ends<D: Pmf + ?Sized>(distribution: &D, from: i64, direction: Direction) -> Option<i64> {
    let up = direction == Direction::Up;
    let last = match distribution.extent() {
        Some((first, last)) => (if up { last } else { first }) as f64,
        None => {
            let sign = if up { EMPTY_BEYOND } else { -EMPTY_BEYOND };
            let ends = distribution.mean() + distribution.variance().sqrt() * sign;
            if up { ends.max() } else { ends.min() }.double_value(&[])
        }
    };
    let distance = if up { last - from as f64 } else { from as f64 - last };
    (distance < LARGEST_ATOM as f64).then_some(distance.max(0.0) as i64)
}

/// Bounds the log sum of all terms after these, assuming that later ratios of quarters are at most the ratio of the
/// last two quarters.
///
/// The bound is plus infinity while quarters grow. It is minus infinity after a long run without mass, if the sum had
/// mass before (`log_sum`) or cannot get any (`no_more`). Quarters have at least 16 terms, so that single integers
/// without mass do not matter.
fn remainder(terms: &Tensor, log_sum: &Tensor, no_more: impl FnOnce() -> bool) -> Tensor {
    let quarter = terms.size().last().copied().unwrap_or(0) / 4;
    let sum_of = |number: i64| terms.narrow(-1, number * quarter, quarter).logsumexp(-1, false);
    let (third, last) = (sum_of(2), sum_of(3));
    let log_ratio = &last - third;
    let bound = &last + &log_ratio - log1mexp(&log_ratio.clamp_max(-1e-12));
    let infinite = bound.full_like(f64::INFINITY);
    let vanished = last.le(LOG_ZERO / 2.0);
    let ended = match quarter >= EMPTY_RUN {
        true if no_more() => vanished.ones_like(),
        true => log_sum.gt(LOG_ZERO / 2.0),
        false => vanished.zeros_like(),
    };
    let rest = bound.where_self(&log_ratio.lt(0.0), &infinite);
    let nothing = infinite.neg().where_self(&ended, &infinite);
    nothing.where_self(&vanished, &rest)
}

/// Returns, per row, whether the sum above `k` and the sum below it can be computed directly: both near the mean,
/// otherwise only the one that runs away from it, and never one with mass beyond the longest sum.
///
/// # Errors
/// Fails if neither can be computed for some row.
fn directions<D: Pmf + ?Sized>(distribution: &D, k: f64) -> Result<(Tensor, Tensor)> {
    if !distribution.is_smooth() {
        let always = Tensor::ones(distribution.batch_shape(), (Kind::Bool, distribution.device()));
        return Ok((always.shallow_clone(), always));
    }
    let (mean, deviation) = (distribution.mean().detach(), distribution.variance().detach().sqrt());
    let distance = mean.neg() + k;
    let (up, down) = (distance.ge_tensor(&(&deviation * -4.0)), distance.le_tensor(&(deviation * 4.0)));
    if distribution.support().highest.is_some() {
        return Ok((up, down));
    }
    let endless = has_no_end(distribution, k.ceil());
    if endless.logical_and(&down.logical_not()).any().int64_value(&[]) != 0 {
        return Err(Error::parameter(
            format!("tail of {} from {k} on", distribution.name()),
            format!("not negligible after 2^{DOUBLINGS} terms"),
            "a tail that falls off within them; take parameters of a smaller scale",
        ));
    }
    Ok((up.logical_and(&endless.logical_not()), down))
}

/// Returns in which rows the last block of the longest sum from `from` on is not negligible.
fn has_no_end<D: Pmf + ?Sized>(distribution: &D, from: f64) -> Tensor {
    let _guard = no_grad_guard();
    let offsets = Tensor::from_slice(&[0.0, (SINGLES << LAST_BLOCK) as f64]).to_device(distribution.device());
    let terms = distribution.row()(&(&offsets + from)) + offsets.log1p() * 2.0;
    // NaN compares as false: a row with invalid parameters does not make the others fail.
    terms.select(-1, 1).gt_tensor(&(terms.select(-1, 0) - NEGLIGIBLE))
}

/// Computes `(log P(X < k), log P(X >= k))`; see [`Distribution::log_tails`](super::Distribution::log_tails).
pub(crate) fn log_tails<D: Pmf + ?Sized>(distribution: &D, k: i64) -> Result<(Tensor, Tensor)> {
    let support = distribution.support();
    let like = Tensor::zeros(distribution.batch_shape(), (Kind::Double, distribution.device()));
    if support.lowest.is_some_and(|lowest| k <= lowest) {
        return Ok(log_zero_one(&like));
    }
    if support.highest.is_some_and(|highest| highest < k) {
        let (impossible, sure) = log_zero_one(&like);
        return Ok((sure, impossible));
    }
    both_sides(
        directions(distribution, k as f64 - 0.5)?,
        |direction| match direction {
            Direction::Up => one_sided(distribution, k, direction, false),
            Direction::Down => one_sided(distribution, k - 1, direction, false),
        },
        |_, log_mass| log1mexp(&log_mass.clamp_max(-f64::MIN_POSITIVE)),
    )
}

/// Computes `(log E[max(k - X, 0)], log E[max(X - k, 0)])`; see
/// [`Distribution::log_partial_expectations`](super::Distribution::log_partial_expectations).
pub(crate) fn log_partial_expectations<D: Pmf + ?Sized>(distribution: &D, k: i64) -> Result<(Tensor, Tensor)> {
    let (mass_below, mass_above) = distribution.support().beyond_window(k, k);
    let distance = distribution.mean() - k as f64;
    let nothing = distance.full_like(f64::NEG_INFINITY);
    match (mass_below, mass_above) {
        (false, false) => return Ok((nothing.shallow_clone(), nothing)),
        (false, true) => return Ok((nothing, distance.log())),
        (true, false) => return Ok((distance.neg().log(), nothing)),
        (true, true) => {}
    }
    both_sides(
        directions(distribution, k as f64)?,
        |direction| match direction {
            Direction::Up => one_sided(distribution, k + 1, direction, true),
            Direction::Down => one_sided(distribution, k - 1, direction, true),
        },
        // E[(X - k)+] - E[(k - X)+] = E[X] - k.
        |direction, log_excess| match direction {
            Direction::Up => (log_excess.exp() + &distance).clamp_min(f64::MIN_POSITIVE).log(),
            Direction::Down => (log_excess.exp() - &distance).clamp_min(f64::MIN_POSITIVE).log(),
        },
    )
}

/// Returns `(below, above)`. In each row, one side is summed and the other is its complement: the smaller side if both
/// can be summed, otherwise the one that can.
fn both_sides(
    (up_holds, down_holds): (Tensor, Tensor),
    sum: impl Fn(Direction) -> Result<Tensor>,
    complement: impl Fn(Direction, &Tensor) -> Tensor,
) -> Result<(Tensor, Tensor)> {
    let in_no_row = |holds: &Tensor| holds.any().int64_value(&[]) == 0;
    if in_no_row(&down_holds) {
        let above = sum(Direction::Up)?;
        return Ok((complement(Direction::Down, &above), above));
    }
    if in_no_row(&up_holds) {
        let below = sum(Direction::Down)?;
        let above = complement(Direction::Up, &below);
        return Ok((below, above));
    }
    let (below, above) = (sum(Direction::Down)?, sum(Direction::Up)?);
    let take_below = below.le_tensor(&above).logical_and(&down_holds).logical_or(&up_holds.logical_not());
    let from_below = complement(Direction::Up, &below);
    let from_above = complement(Direction::Down, &above);
    Ok((below.where_self(&take_below, &from_above), from_below.where_self(&take_below, &above)))
}
