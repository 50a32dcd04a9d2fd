//! Sums of a pmf over long ranges of integers: tails and excesses of laws that have no closed form for them.
//!
//! A range is cut into blocks: its first 32 integers one by one, then blocks that double in length, as far as the law
//! reaches; a finite range is graded in this way from both of its ends. A block of `N` integers is summed by **Gauss quadrature for sums**: the `m`
//! real nodes and weights that give `sum_{j<N} f(j)` exactly for every polynomial `f` of degree `2m - 1`. A million terms
//! become some four hundred, as differentiable as the pmf is. Laws that are not smooth between the integers are summed term by
//! term.
//!
//! A sum that starts at `k` and runs away from the mean sees a falling pmf, which the grading resolves at any scale. One that
//! runs over a distant, narrow peak does not; then the other side is summed, and the first is its complement.
//!
//! # Source
//! Golub and Welsch, "Calculation of Gauss quadrature rules", 1969, with the recurrence of the discrete Chebyshev (Gram)
//! polynomials, NIST Digital Library of Mathematical Functions, 18.22 (Hahn polynomials with both parameters zero).

use crate::distributions::{Distribution, LARGEST_ATOM, certain, check};
use crate::limits::check_shape;
use crate::special::log1mexp;
use crate::{Error, Result};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Nodes of a block; blocks of up to as many integers are summed term by term.
const NODES: i64 = 16;

/// Integers at the start of a range that are summed one by one.
const SINGLES: i64 = 32;

/// Doublings of the block length after which every law on the integers has ended.
const DOUBLINGS: usize = 40;

/// Where sums take over from continued fractions, whose levels grow with the square root of the atom.
pub(crate) const FROM: i64 = 400;

/// How far below the first term, in nats, the rest of a sum may be left out.
pub(crate) const NEGLIGIBLE: f64 = 42.0;

/// A minus infinity that can be summed in log space with a gradient of zero.
pub(crate) const NOTHING: f64 = -1e300;

/// Offsets from the start of a range, with the weights of the terms there.
#[derive(Debug, Default, Clone)]
pub(crate) struct Grid {
    offsets: Vec<f64>,
    weights: Vec<f64>,
}

impl Grid {
    /// A block of `size` integers from `start` on.
    pub fn push_block(&mut self, start: i64, size: i64) {
        if size <= NODES {
            self.offsets.extend((start..start + size).map(|j| j as f64));
            self.weights.extend((0..size).map(|_| 1.0));
            return;
        }
        let scale = (size - 1) as f64 / 2.0;
        for &(node, weight) in gauss_nodes(size).iter() {
            self.offsets.push(start as f64 + scale + scale * node);
            self.weights.push(size as f64 * weight);
        }
    }

    /// The `length` integers from 0 on, graded from the start.
    pub fn graded(length: i64) -> Self {
        let mut grid = Self::default();
        (0..SINGLES.min(length)).for_each(|start| grid.push_block(start, 1));
        let mut start = SINGLES;
        while start < length {
            grid.push_block(start, start.min(length - start));
            start *= 2;
        }
        grid
    }

    /// The integers from 0 on, graded, as far as any law may reach.
    pub fn half_line() -> Self {
        Self::graded(1 << DOUBLINGS)
    }

    /// The `length` integers from 0 on, graded from both ends.
    fn graded_from_both_ends(length: i64) -> Self {
        let half = length / 2;
        let mut grid = Self::graded(length - half);
        let mirrored = Self::graded(half);
        grid.offsets.extend(mirrored.offsets.iter().map(|offset| (length - 1) as f64 - offset));
        grid.weights.extend(mirrored.weights);
        grid
    }

    /// The `length` integers from 0 on, one by one.
    fn plain(length: i64) -> Self {
        Self { offsets: (0..length).map(|j| j as f64).collect(), weights: vec![1.0; length as usize] }
    }

    pub fn offsets(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.offsets).to_device(device)
    }

    pub fn log_weights(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.weights).log().to_device(device)
    }
}

/// Nodes on [-1, 1] and weights that sum to one, for a sum over `size` > [`NODES`] equally spaced points that include both ends.
fn gauss_nodes(size: i64) -> std::borrow::Cow<'static, [(f64, f64)]> {
    static POWERS: OnceLock<Vec<Vec<(f64, f64)>>> = OnceLock::new();
    if size.count_ones() == 1 && size.trailing_zeros() as usize <= DOUBLINGS {
        let powers = POWERS.get_or_init(|| (5..=DOUBLINGS).map(|power| compute_gauss_nodes(1 << power)).collect());
        return powers[size.trailing_zeros() as usize - 5].as_slice().into();
    }
    compute_gauss_nodes(size).into()
}

fn compute_gauss_nodes(size: i64) -> Vec<(f64, f64)> {
    let _guard = no_grad_guard();
    let n = size as f64;
    let scale = (n - 1.0) / 2.0;
    let off_diagonal: Vec<f64> = (1..NODES)
        .map(|k| {
            let k = k as f64;
            ((n - k) * (n + k) / (4.0 * (4.0 * k * k - 1.0))).sqrt() * k / scale
        })
        .collect();
    let jacobi = Tensor::from_slice(&off_diagonal).diag_embed(-1, 0, 1);
    let (nodes, vectors) = (&jacobi + jacobi.tr()).linalg_eigh("L");
    let weights = vectors.select(0, 0).square();
    (0..NODES).map(|i| (nodes.double_value(&[i]), weights.double_value(&[i]))).collect()
}

/// Which way a sum runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards larger integers.
    Up,
    /// Towards smaller integers.
    Down,
}

/// The logarithm of `sum_j weight_j P(X = from +- j)` over `j = 0, 1, ...` to the support's end, with weight 1 or `j + 1`.
fn one_sided<D: Distribution + ?Sized>(
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
    let row = distribution.unsqueeze();
    let device = distribution.device();
    let log_pmf = |offsets: &Tensor| {
        let terms = row.log_pmf(&(offsets * sign + from as f64));
        if row.may_vanish() { terms.clamp_min(NOTHING) } else { terms }
    };
    let grid = match (end, distribution.is_smooth()) {
        (Some(end), true) => Grid::graded_from_both_ends((end - from).abs() + 1),
        (Some(end), false) => plain_grid(distribution, (end - from).abs() + 1)?,
        (None, true) => Grid::graded(smooth_reach(log_pmf, device)),
        (None, false) => {
            let extent = distribution.extent().map_or(0, |(first, last)| match direction {
                Direction::Up => last - from + 1,
                Direction::Down => from - first + 1,
            });
            plain_grid(distribution, reach(distribution, from, direction)?.max(extent))?
        }
    };
    let offsets = grid.offsets(device);
    let mut terms = log_pmf(&offsets) + grid.log_weights(device);
    if weighted_by_distance {
        terms += offsets.log1p();
    }
    Ok(terms.logsumexp(-1, false))
}

/// The `length` integers from 0 on, where all rows of a law have room for them.
fn plain_grid<D: Distribution + ?Sized>(distribution: &D, length: i64) -> Result<Grid> {
    let terms = [distribution.batch_shape(), vec![length]].concat();
    check_shape(&format!("a sum over the integers of a {}", distribution.name()), &terms, Kind::Double)?;
    Ok(Grid::plain(length))
}

/// How many integers hold a falling sum up to a negligible rest: the start of a block past which, in every row, the blocks' first
/// terms times their lengths say so.
fn smooth_reach(log_pmf: impl Fn(&Tensor) -> Tensor, device: Device) -> i64 {
    let _guard = no_grad_guard();
    let starts: Vec<i64> = (0..DOUBLINGS as u32 - 6).map(|i| SINGLES << i).collect();
    let positions: Vec<f64> = [0.0].into_iter().chain(starts.iter().map(|&start| start as f64)).collect();
    let positions = Tensor::from_slice(&positions).to_device(device);
    let terms = log_pmf(&positions) + positions.log1p() * 2.0;
    let first = terms.narrow(-1, 0, 1);
    let blocks = terms.narrow(-1, 1, starts.len() as i64);
    // NaN, of a row at which the sum is not needed, asks for nothing.
    let needed = blocks.gt_tensor(&(first - NEGLIGIBLE)).reshape([-1, starts.len() as i64]).any_dim(0, false);
    let needed: Vec<bool> = Vec::try_from(needed).unwrap_or_else(|_| vec![true; starts.len()]);
    let last = needed.iter().rposition(|&needed| needed);
    last.map_or(SINGLES, |last| starts[last] * 2)
}

/// How many integers, from `from` on, hold a sum up to a rest of 1e-18 of it, by the law's own bound or the ratio test.
pub(crate) fn reach<D: Distribution + ?Sized>(distribution: &D, from: i64, direction: Direction) -> Result<i64> {
    let _guard = no_grad_guard();
    let row = distribution.unsqueeze();
    let sign = if direction == Direction::Up { 1 } else { -1 };
    let device = distribution.device();
    let (mut start, mut size) = (0, 64);
    let no_more = mass_ends(distribution, from, direction);
    let mut total: Option<Tensor> = None;
    while start + size <= 2 * LARGEST_ATOM {
        let offsets = Tensor::arange_start(start, start + size, (Kind::Double, device));
        let terms = row.log_pmf(&(offsets * sign + from));
        let wrong = terms.isnan().logical_or(&terms.isposinf());
        check(
            &format!("log-pmf of {}", distribution.name()),
            &terms,
            &wrong.logical_not(),
            "below infinity, and a number",
        )?;
        let terms = terms.clamp_min(NOTHING);
        let block = terms.logsumexp(-1, false);
        let sum = total.map_or_else(|| block.shallow_clone(), |total: Tensor| total.logaddexp(&block));
        start += size;
        let bound = distribution.log_tail_bound(from + sign * start);
        let rest = bound.unwrap_or_else(|| remainder(&terms, &sum, no_more.is_some_and(|end| start > end)));
        if rest.le_tensor(&(&sum - NEGLIGIBLE)).all().int64_value(&[]) != 0 {
            return Ok(start);
        }
        total = Some(sum);
        size *= 2;
    }
    Err(Error::parameter(
        format!("tail of {} from {from} on", distribution.name()),
        format!("still worth summing after {start} terms"),
        "one that falls off geometrically within them; narrow the parameters, or give a finite support, the range of the mass or a bound on the tail",
    ))
}

/// Terms in a row that weigh nothing before a sum counts as ended: a law may leave out integers, as one on the even ones does.
const ENDED: i64 = 4096;

/// Deviations from the mean beyond which a sum of nothing is taken to stay nothing; less than 1 in 4,000 of the mass may lie there, by Chebyshev.
const FAR: f64 = 64.0;

/// How many integers from `from` on may still hold mass after a run of nothing: as far as the law's extent reaches, or else some deviations beyond
/// the mean; nothing if neither is known.
fn mass_ends<D: Distribution + ?Sized>(distribution: &D, from: i64, direction: Direction) -> Option<i64> {
    let up = direction == Direction::Up;
    let last = match distribution.extent() {
        Some((first, last)) => (if up { last } else { first }) as f64,
        None => {
            let sign = if up { FAR } else { -FAR };
            let ends = distribution.mean() + distribution.variance().sqrt() * sign;
            if up { ends.max() } else { ends.min() }.double_value(&[])
        }
    };
    let distance = if up { last - from as f64 } else { from as f64 - last };
    (distance < LARGEST_ATOM as f64).then_some(distance.max(0.0) as i64)
}

/// An upper bound of the log sum of what follows these terms, if the ratio of their last two quarters bounds that of all later ones: plus
/// infinity while quarters grow, minus infinity where a sum that was something (`log_sum`), or cannot become something any more (`no_more`), has come
/// to a long run of nothing. Quarters, of 16 terms or more, and not single terms, so that an integer without mass says nothing.
fn remainder(terms: &Tensor, log_sum: &Tensor, no_more: bool) -> Tensor {
    let quarter = terms.size().last().copied().unwrap_or(0) / 4;
    let sum_of = |number: i64| terms.narrow(-1, number * quarter, quarter).logsumexp(-1, false);
    let (third, last) = (sum_of(2), sum_of(3));
    let log_ratio = &last - third;
    let bound = &last + &log_ratio - log1mexp(&log_ratio.clamp_max(-1e-12));
    let infinite = bound.full_like(f64::INFINITY);
    let vanished = last.le(NOTHING / 2.0);
    let ended = match quarter >= ENDED {
        true if no_more => vanished.ones_like(),
        true => log_sum.gt(NOTHING / 2.0),
        false => vanished.zeros_like(),
    };
    let rest = bound.where_self(&log_ratio.lt(0.0), &infinite);
    let nothing = infinite.neg().where_self(&ended, &infinite);
    nothing.where_self(&vanished, &rest)
}

/// Which of the two sides of `k` can be summed directly: both near the mean, else the one that runs away from it.
fn directions<D: Distribution + ?Sized>(distribution: &D, k: f64) -> (Tensor, Tensor) {
    if !distribution.is_smooth() {
        let always = Tensor::ones(distribution.batch_shape(), (Kind::Bool, distribution.device()));
        return (always.shallow_clone(), always);
    }
    let (mean, deviation) = (distribution.mean().detach(), distribution.variance().detach().sqrt());
    let distance = mean.neg() + k;
    (distance.ge_tensor(&(&deviation * -4.0)), distance.le_tensor(&(deviation * 4.0)))
}

/// `(log P(X < k), log P(X >= k))`; see [`Distribution::log_tails`].
pub(crate) fn log_tails<D: Distribution + ?Sized>(distribution: &D, k: i64) -> Result<(Tensor, Tensor)> {
    let support = distribution.support();
    let like = Tensor::zeros(distribution.batch_shape(), (Kind::Double, distribution.device()));
    if support.lowest.is_some_and(|lowest| k <= lowest) {
        return Ok(certain(&like));
    }
    if support.highest.is_some_and(|highest| highest < k) {
        let (impossible, sure) = certain(&like);
        return Ok((sure, impossible));
    }
    both_sides(
        directions(distribution, k as f64 - 0.5),
        |direction| match direction {
            Direction::Up => one_sided(distribution, k, direction, false),
            Direction::Down => one_sided(distribution, k - 1, direction, false),
        },
        |_, log_mass| log1mexp(&log_mass.clamp_max(-f64::MIN_POSITIVE)),
    )
}

/// `(log E[max(k - X, 0)], log E[max(X - k, 0)])`; see [`Distribution::log_excesses`].
pub(crate) fn log_excesses<D: Distribution + ?Sized>(distribution: &D, k: i64) -> Result<(Tensor, Tensor)> {
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
        directions(distribution, k as f64),
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

/// `(below, above)`: where both sides can be summed, the smaller is, and otherwise the one that can; the other follows from it.
fn both_sides(
    (up_holds, down_holds): (Tensor, Tensor),
    sum: impl Fn(Direction) -> Result<Tensor>,
    complement: impl Fn(Direction, &Tensor) -> Tensor,
) -> Result<(Tensor, Tensor)> {
    let nowhere = |holds: &Tensor| holds.any().int64_value(&[]) == 0;
    if nowhere(&down_holds) {
        let above = sum(Direction::Up)?;
        return Ok((complement(Direction::Down, &above), above));
    }
    if nowhere(&up_holds) {
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
