//! Exact draws with a gradient of finite order, a block of latents at a time: the counterpart of
//! [`FiniteOrder`](crate::relaxation::FiniteOrder) without any tensor of the atoms.
//!
//! A latent takes one random number `u` of 64 bits, and its integer is the first atom whose distribution function is
//! above `u`. With `d` the distance of an atom from the mean and `V = E[d^2]`, the polynomials of the law are `1`, `d`
//! and `P_2 = d^2 - (E[d^3] / V) d - V`, so that three sums over the atoms for each parameter, `A_j = sum_k pi_k s_k
//! d_k^j`, give the slope
//!
//! ```text
//! w = A_1 + d(z) A_2 / (2 V) + P_2(d(z)) (A_3 / 3 - (E[d^3] / V) A_2 / 2 - V A_1) / E[P_2^2]
//! ```
//!
//! Everything is summed in float64, whatever the kind of the draws.

use super::block::{Outcome, Place, places, rounded, transpose};
use crate::math::lanes::{LANES, Lanes, Real, each};
use crate::recurrences::LaneBlock;
use crate::relaxation::{LEAST_SQUARE, LEAST_VARIANCE, Order};

/// The draws of a block of lanes, and moments of their laws.
pub(super) struct Moments {
    /// The row that was drawn.
    drawn: Lanes<f64>,
    /// The row next to the mean, from which distances are counted, so that laws with next to no variance keep its
    /// digits.
    origin: Lanes<f64>,
    /// The mean of the rows less the origin.
    mean: Lanes<f64>,
    /// `E[d^2]`, `E[d^3]`, `E[d^4]`, of which the last two are only there where the order needs them.
    central: [Lanes<f64>; 3],
    /// `E[P_2^2]` for the third order.
    square: Lanes<f64>,
}

/// `P_j(d(z))` over their squares: what multiplies `A_1`, `A_2` and `A_3` in the slope of a latent.
struct Factors([Lanes<f64>; 3]);

const ZERO: Lanes<f64> = [0.0; LANES];

/// The least share of the variance in the second moment about the first row for which central moments are taken from
/// moments about that row: powers of its inverse are lost digits.
const LEAST_SHARE: f64 = 1e-2;

impl Moments {
    pub fn new() -> Self {
        Self { drawn: ZERO, origin: ZERO, mean: ZERO, central: [ZERO; 3], square: ZERO }
    }

    /// Draws by the inverse of the distribution function, and sums the moments that the order needs.
    #[inline(always)]
    fn draw(&mut self, place: &Place, lanes: &LaneBlock, order: Order) {
        let [latents, rows] = places(place, lanes);
        let uniform = place.key.uniforms(&latents, &rows);
        let (mut below, mut drawn) = (ZERO, ZERO);
        let (mut first, mut second, mut third, mut fourth) = (ZERO, ZERO, ZERO, ZERO);
        for (row, weights) in lanes.weights.iter().enumerate() {
            let row = row as f64;
            let square = row * row;
            for i in 0..LANES {
                below[i] += weights[i];
                drawn[i] += if below[i] <= uniform[i] { 1.0 } else { 0.0 };
                let product = weights[i] * row;
                let of_square = weights[i] * square;
                first[i] += product;
                second[i] += of_square;
                third[i] += product * square;
                fourth[i] += of_square * square;
            }
        }
        let last: Lanes<f64> = each(|i| lanes.last(i) as f64);
        self.drawn = each(|i| if drawn[i] < last[i] { drawn[i] } else { last[i] });
        self.origin = ZERO;
        self.center(first, &[second, third, fourth]);
        let [variance, ..] = &self.central;
        if (0..LANES).any(|i| variance[i] < LEAST_SHARE * second[i]) {
            self.center_at_mean(lanes, &each(|i| first[i] / below[i]));
        }
        if order == Order::Third {
            self.sum_square(lanes);
        }
    }

    /// The central moments, from those about the origin.
    #[inline(always)]
    fn center(&mut self, mean: Lanes<f64>, [second, third, fourth]: &[Lanes<f64>; 3]) {
        self.mean = mean;
        self.central = [
            each(|i| second[i] - mean[i] * mean[i]),
            each(|i| third[i] - mean[i] * (3.0 * second[i] - 2.0 * mean[i] * mean[i])),
            each(|i| {
                let (m, square) = (mean[i], mean[i] * mean[i]);
                fourth[i] - 4.0 * m * third[i] + 6.0 * square * second[i] - 3.0 * square * square
            }),
        ];
    }

    /// The same from the row next to the mean: at most half a row away, where atoms are whole rows, so that little
    /// cancels.
    #[inline(always)]
    fn center_at_mean(&mut self, lanes: &LaneBlock, mean: &Lanes<f64>) {
        self.origin = each(|i| mean[i].round_ties_even());
        let (mut first, mut raw) = (ZERO, [ZERO; 3]);
        for (row, weights) in lanes.weights.iter().enumerate() {
            for i in 0..LANES {
                let distance = row as f64 - self.origin[i];
                let product = weights[i] * distance;
                let square = product * distance;
                let cube = square * distance;
                first[i] += product;
                raw[0][i] += square;
                raw[1][i] += cube;
                raw[2][i] += cube * distance;
            }
        }
        self.center(first, &raw);
    }

    /// `E[P_2^2]`, as a sum of squares: the moments would cancel.
    #[inline(always)]
    fn sum_square(&mut self, lanes: &LaneBlock) {
        let (skew, mut sum) = (self.skew(), ZERO);
        for (row, weights) in lanes.weights.iter().enumerate() {
            for i in 0..LANES {
                let distance = self.distance(row as f64, i);
                let polynomial = distance * distance - skew[i] * distance - self.central[0][i];
                sum[i] += weights[i] * polynomial * polynomial;
            }
        }
        self.square = sum;
    }

    /// Of a row from the mean.
    #[inline(always)]
    fn distance(&self, row: f64, lane: usize) -> f64 {
        row - self.origin[lane] - self.mean[lane]
    }

    /// `E[d^3] / V`, zero where the variance is too small to divide by.
    #[inline(always)]
    fn skew(&self) -> Lanes<f64> {
        let [variance, third, _] = &self.central;
        each(|i| if variance[i] > LEAST_VARIANCE { third[i] / variance[i] } else { 0.0 })
    }

    /// `A_1`, `A_2`, `A_3` of a parameter whose scores are a line in the atoms but at the ends.
    #[inline(always)]
    fn sums_of_line(&self, lanes: &LaneBlock, line: &Lanes<f64>, corrections: &[Lanes<f64>; 2]) -> [Lanes<f64>; 3] {
        let mut sums = self.central.map(|moments| each(|i| moments[i] * line[i]));
        for (end, corrections) in corrections.iter().enumerate() {
            let row = |i: usize| if end == 0 { lanes.first(i) } else { lanes.last(i) };
            let extra: Lanes<f64> = each(|i| lanes.weights[row(i)][i] * corrections[i]);
            let distance: Lanes<f64> = each(|i| self.distance(row(i) as f64, i));
            self.add(&mut sums, &extra, &distance);
            // The scores have mean zero.
            for i in 0..LANES {
                sums[1][i] -= extra[i] * self.central[0][i];
                sums[2][i] -= extra[i] * self.central[1][i];
            }
        }
        sums
    }

    /// The same of a parameter from its scores.
    #[inline(always)]
    fn sums(&self, lanes: &LaneBlock, scores: &[Lanes<f64>]) -> [Lanes<f64>; 3] {
        let (mut sums, mut mean) = ([ZERO; 3], ZERO);
        for (row, (weights, scores)) in lanes.weights.iter().zip(scores).enumerate() {
            let row = row as f64;
            let weighted: Lanes<f64> = each(|i| if weights[i] == 0.0 { 0.0 } else { weights[i] * scores[i] });
            let distance: Lanes<f64> = each(|i| self.distance(row, i));
            self.add(&mut sums, &weighted, &distance);
            mean = each(|i| mean[i] + weighted[i]);
        }
        for i in 0..LANES {
            sums[1][i] -= mean[i] * self.central[0][i];
            sums[2][i] -= mean[i] * self.central[1][i];
        }
        sums
    }

    #[inline(always)]
    fn add(&self, sums: &mut [Lanes<f64>; 3], weighted: &Lanes<f64>, distance: &Lanes<f64>) {
        for i in 0..LANES {
            let first = weighted[i] * distance[i];
            let second = first * distance[i];
            sums[0][i] += first;
            sums[1][i] += second;
            sums[2][i] += second * distance[i];
        }
    }

    /// The KL and its derivatives in up to two parameters, `sum_k pi_k s_k (log pi_k - log p_k)`.
    #[inline(always)]
    fn kl(&self, lanes: &LaneBlock, parameters: usize) -> [Lanes<f64>; 3] {
        let (mut sums, mut along) = ([ZERO; 3], ZERO);
        for (row, weights) in lanes.weights.iter().enumerate() {
            let terms = terms(weights, &lanes.log_weights[row], &lanes.log_prior[row]);
            for i in 0..LANES {
                sums[0][i] += terms[i];
                along[i] += terms[i] * self.distance(row as f64, i);
            }
            for p in (0..parameters).filter(|&p| lanes.lines[p].is_none()) {
                let scores = &lanes.scores[p][row];
                sums[1 + p] = each(|i| sums[1 + p][i] + if terms[i] == 0.0 { 0.0 } else { terms[i] * scores[i] });
            }
        }
        for (p, line) in lanes.lines[..parameters].iter().enumerate() {
            let Some(line) = line else { continue };
            sums[1 + p] = each(|i| line[i] * along[i]);
            for (end, corrections) in lanes.tail_corrections[p].iter().enumerate() {
                let row = |i: usize| if end == 0 { lanes.first(i) } else { lanes.last(i) };
                let at = |rows: &[Lanes<f64>]| -> Lanes<f64> { each(|i| rows[row(i)][i]) };
                let weights = at(&lanes.weights);
                let terms = terms(&weights, &at(&lanes.log_weights), &at(&lanes.log_prior));
                // The scores have mean zero.
                for i in 0..LANES {
                    sums[1 + p][i] += corrections[i] * (terms[i] - weights[i] * sums[0][i]);
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn factors(&self, order: Order) -> Factors {
        let mut factors = [[1.0; LANES], ZERO, ZERO];
        if order > Order::First {
            let [variance, _, fourth] = &self.central;
            let distance: Lanes<f64> = each(|i| self.distance(self.drawn[i], i));
            factors[1] = each(|i| if variance[i] > LEAST_VARIANCE { distance[i] / (2.0 * variance[i]) } else { 0.0 });
            if order == Order::Third {
                let skew = self.skew();
                let third: Lanes<f64> = each(|i| {
                    let least = LEAST_SQUARE * (3.0 * variance[i] * variance[i] + fourth[i]);
                    let polynomial = distance[i] * distance[i] - skew[i] * distance[i] - variance[i];
                    let is_in_force = variance[i] > LEAST_VARIANCE && self.square[i] > least;
                    if is_in_force { polynomial / self.square[i] } else { 0.0 }
                });
                factors[0] = each(|i| 1.0 - variance[i] * third[i]);
                factors[1] = each(|i| factors[1][i] - skew[i] / 2.0 * third[i]);
                factors[2] = each(|i| third[i] / 3.0);
            }
        }
        Factors(factors)
    }

    #[inline(always)]
    fn values<T: Real>(&self, lanes: &LaneBlock) -> Lanes<T> {
        each(|i| T::from_f64(lanes.starts[i] + self.drawn[i]))
    }
}

impl Factors {
    #[inline(always)]
    fn slope<T: Real>(&self, sums: &[Lanes<f64>; 3]) -> Lanes<T> {
        let Self([first, second, third]) = self;
        each(|i| T::from_f64(first[i] * sums[0][i] + second[i] * sums[1][i] + third[i] * sums[2][i]))
    }
}

/// `log pi_k - log p_k` times `pi_k`; what weighs nothing says nothing, even where the prior has no mass.
#[inline(always)]
fn terms(weights: &Lanes<f64>, log_weights: &Lanes<f64>, log_prior: &Lanes<f64>) -> Lanes<f64> {
    each(|i| if weights[i] == 0.0 { 0.0 } else { weights[i] * (log_weights[i] - log_prior[i]) })
}

/// The probabilities behind the log weights of a block.
#[inline(always)]
pub(super) fn exponentials(lanes: &mut LaneBlock) {
    for (weights, log_weights) in lanes.weights.iter_mut().zip(&lanes.log_weights) {
        *weights = each(|i| Real::exp(log_weights[i]));
    }
}

/// A block of a family's latents, whose probabilities the lanes hold.
pub(super) struct FamilyFiniteOrder<'a> {
    pub place: Place,
    pub order: Order,
    pub lanes: &'a LaneBlock,
    pub moments: &'a mut Moments,
    pub parameters: usize,
}

impl FamilyFiniteOrder<'_> {
    #[inline(always)]
    pub fn outcome<T: Real>(self) -> Outcome<T> {
        let Self { place, order, lanes, moments, parameters } = self;
        let mut outcome = [[T::from_f64(0.0); LANES]; 6];
        moments.draw(&place, lanes, order);
        outcome[0] = moments.values(lanes);
        let factors = moments.factors(order);
        for p in 0..parameters {
            let sums = match &lanes.lines[p] {
                Some(line) => moments.sums_of_line(lanes, line, &lanes.tail_corrections[p]),
                None => moments.sums(lanes, &lanes.scores[p]),
            };
            outcome[2 + 2 * p] = factors.slope(&sums);
        }
        if place.with_kl {
            let [kl, first, second] = moments.kl(lanes, parameters);
            (outcome[1], outcome[3], outcome[5]) = (rounded(&kl), rounded(&first), rounded(&second));
        }
        outcome
    }
}

/// A block of latents with free logits, all of one number of atoms, whose probabilities and log weights the lanes
/// hold.
pub(super) struct LogitsFiniteOrder<'a, T> {
    pub place: Place,
    pub order: Order,
    pub lanes: &'a LaneBlock,
    pub moments: &'a mut Moments,
    /// The derivatives of `z` in the logits of the lanes in use, one lane after the other.
    pub slopes: &'a mut [T],
    /// Those of the KL, where it is asked for.
    pub kl_slopes: &'a mut [T],
}

impl<T: Real> LogitsFiniteOrder<'_, T> {
    #[inline(always)]
    pub fn outcome(self) -> Outcome<T> {
        let Self { place, order, lanes, moments, slopes, kl_slopes } = self;
        let mut outcome = [[T::from_f64(0.0); LANES]; 6];
        moments.draw(&place, lanes, order);
        outcome[0] = moments.values(lanes);
        let Factors([first, second, third]) = moments.factors(order);
        let (from, n) = (lanes.first(0), slopes.len() / lanes.used);
        // The slope is `sum_k R_k d pi_k` with `R_k` a cubic of the distance, whose mean is known from the moments.
        let [variance, cubes, _] = &moments.central;
        let mean: Lanes<f64> = each(|i| second[i] * variance[i] + third[i] * cubes[i]);
        let mut columns: Vec<Lanes<T>> = Vec::with_capacity(n);
        for (row, weights) in lanes.weights.iter().enumerate().skip(from) {
            let row = row as f64;
            columns.push(each(|i| {
                let d = moments.distance(row, i);
                T::from_f64(weights[i] * (d * (first[i] + d * (second[i] + d * third[i])) - mean[i]))
            }));
        }
        transpose(&columns, slopes, n);
        if place.with_kl {
            let rows = lanes.weights.iter().zip(&lanes.log_weights).zip(&lanes.log_prior).skip(from);
            let mut kl = ZERO;
            for ((weights, log_weights), log_prior) in rows.clone() {
                let terms = terms(weights, log_weights, log_prior);
                kl = each(|i| kl[i] + terms[i]);
            }
            for (column, ((weights, log_weights), log_prior)) in columns.iter_mut().zip(rows) {
                let terms = terms(weights, log_weights, log_prior);
                *column = each(|i| T::from_f64(terms[i] - weights[i] * kl[i]));
            }
            transpose(&columns, kl_slopes, n);
            outcome[1] = rounded(&kl);
        }
        outcome
    }
}
