//! What is done to each block of latents: loops over its lanes, compiled for each instruction set of the machine.

use super::block::{Outcome, Place, places, rounded, transpose};
use super::finite_order::{FamilyFiniteOrder, LogitsFiniteOrder, Moments, exponentials};
use crate::math::LOG_ZERO_FLOAT;
use crate::math::lanes::{LANES, Lanes, Real, each};
use crate::recurrences::LaneBlock;
use crate::relaxation::{Forward, Pathwise};

/// How a window is relaxed.
#[derive(Debug, Clone, Copy)]
struct Kernel {
    place: Place,
    temperature: f64,
    forward: Forward,
}

/// Relaxed weights of a lane block, and what its lanes leave.
struct Relaxed<T> {
    /// Relaxed weights up to a factor, a row for each atom.
    weights: Vec<Lanes<T>>,
    /// The row of the heaviest atom.
    best: Lanes<T>,
    /// One over the sum of the weights.
    scale: Lanes<T>,
    /// Mean of the rows, counted from the heaviest.
    mean: Lanes<T>,
    /// Sum of the weights times the squares of the distances from the mean.
    squares: Lanes<T>,
}

impl<T: Real> Relaxed<T> {
    fn new() -> Self {
        let zero = [T::from_f64(0.0); LANES];
        Self { weights: Vec::new(), best: zero, scale: zero, mean: zero, squares: zero }
    }

    /// Perturbs the log weights, finds each lane's heaviest atom, and sums.
    #[inline(always)]
    fn draw(&mut self, kernel: &Kernel, lanes: &LaneBlock) {
        let zero = T::from_f64(0.0);
        let (inverse, bits) = (1.0 / kernel.temperature, std::f64::consts::LOG2_E / kernel.temperature);
        let (minus_inverse, bits) = (T::from_f64(-inverse), T::from_f64(bits));
        let [latents, rows] = places(&kernel.place, lanes);
        let mut blocks = lanes.blocks(T::A_BLOCK);
        let mut tops = [T::from_f64(f64::NEG_INFINITY); LANES];
        let mut best = [zero; LANES];
        self.weights.resize(lanes.rows, [zero; LANES]);
        let groups = self.weights.chunks_mut(T::A_BLOCK).zip(lanes.log_weights.chunks(T::A_BLOCK));
        for (group, (weights, log_weights)) in groups.enumerate() {
            let words = kernel.place.key.words(&blocks, &latents, &rows);
            blocks = each(|i| blocks[i].wrapping_add(1));
            // One loop for each logarithm: of loops with long chains of instructions, the processor overlaps fewer.
            for (j, weights) in weights.iter_mut().enumerate() {
                for i in 0..LANES {
                    weights[i] = -(-T::uniform(&words, j, i)).log2_1p();
                }
            }
            for (weights, log_weights) in weights.iter_mut().zip(log_weights) {
                // Conversions have a loop of their own, or all would be done in the shorter vectors of float64.
                let log_weights = rounded::<T>(log_weights);
                for i in 0..LANES {
                    weights[i] = weights[i].log2().mul_add(minus_inverse, log_weights[i] * bits);
                }
            }
            for (j, weights) in weights.iter().enumerate() {
                let row = T::from_f64((group * T::A_BLOCK + j) as f64);
                best = each(|i| if weights[i] > tops[i] { row } else { best[i] });
                tops = each(|i| if weights[i] > tops[i] { weights[i] } else { tops[i] });
            }
        }
        let (mut sums, mut means, mut squares) = ([zero; LANES], [zero; LANES], [zero; LANES]);
        self.best = best;
        for (row, weights) in self.weights.iter_mut().enumerate() {
            let row = T::from_f64(row as f64);
            for i in 0..LANES {
                let (weight, distance) = ((weights[i] - tops[i]).exp2(), row - best[i]);
                let product = weight * distance;
                weights[i] = weight;
                sums[i] += weight;
                means[i] += product;
                squares[i] = product.mul_add(distance, squares[i]);
            }
        }
        self.scale = each(|i| T::from_f64(1.0 / sums[i].to_f64()));
        self.mean = each(|i| means[i] * self.scale[i]);
        // The heaviest atom has at least its share of the weight, and the mean is counted from it: little cancels.
        self.squares = each(|i| (-means[i]).mul_add(self.mean[i], squares[i]));
    }

    #[inline(always)]
    fn values(&self, kernel: &Kernel, lanes: &LaneBlock) -> Lanes<T> {
        each(|i| {
            let best = lanes.starts[i] + self.best[i].to_f64();
            match kernel.forward {
                Forward::Soft => T::from_f64(best) + self.mean[i],
                Forward::StraightThrough => T::from_f64(best),
            }
        })
    }

    /// `dz / dtheta` from scores that are a line in `k` but at its ends.
    #[inline(always)]
    fn slopes_of_line(
        &self,
        kernel: &Kernel,
        lanes: &LaneBlock,
        line: &Lanes<f64>,
        tail_corrections: &[Lanes<f64>; 2],
    ) -> Lanes<T> {
        let best = self.best;
        let line = rounded::<T>(line);
        let mut slopes = each(|i| self.squares[i] * line[i]);
        // Nothing is merged into zero.
        let opens_below = !lanes.is_shared || lanes.windows[0].0 > 0;
        for (end, tail_corrections) in tail_corrections.iter().enumerate().skip(usize::from(!opens_below)) {
            let tail_corrections = rounded::<T>(tail_corrections);
            let at = |i: usize| if end == 0 { lanes.first(i) } else { lanes.last(i) };
            let weights: Lanes<T> =
                if lanes.is_shared { self.weights[at(0)] } else { each(|i| self.weights[at(i)][i]) };
            let rows: Lanes<T> = each(|i| T::from_f64(at(if lanes.is_shared { 0 } else { i }) as f64));
            for i in 0..LANES {
                slopes[i] += weights[i] * (rows[i] - best[i] - self.mean[i]) * tail_corrections[i];
            }
        }
        each(|i| slopes[i] * self.scale[i] * T::from_f64(1.0 / kernel.temperature))
    }

    /// `dz / dtheta` from the scores. The weighted distances from the mean sum to zero, so that scores may be counted
    /// from the heaviest atom's, where they are small.
    #[inline(always)]
    fn slopes(&self, kernel: &Kernel, scores: &[Lanes<f64>]) -> Lanes<T> {
        let origins: Lanes<f64> = each(|i| scores[self.best[i].to_f64() as usize][i]);
        let best = self.best;
        let mut slopes = [T::from_f64(0.0); LANES];
        for (row, (weights, scores)) in self.weights.iter().zip(scores).enumerate() {
            let row = T::from_f64(row as f64);
            let scores = rounded::<T>(&each(|i| scores[i] - origins[i]));
            slopes = each(|i| slopes[i] + weights[i] * (row - best[i] - self.mean[i]) * scores[i]);
        }
        each(|i| slopes[i] * self.scale[i] * T::from_f64(1.0 / kernel.temperature))
    }
}

/// The KL and its derivatives in up to two parameters: `sum_k pi_k (log pi_k - log p_k)` and
/// `sum_k pi_k s_k (log pi_k - log p_k)`.
#[inline(always)]
fn kl<T: Real>(lanes: &LaneBlock, parameters: usize) -> [Lanes<T>; 3] {
    let zero = T::from_f64(0.0);
    let mut sums = [[zero; LANES]; 3];
    for row in 0..lanes.rows {
        let (log_weights, log_prior) = (&lanes.log_weights[row], &lanes.log_prior[row]);
        let ratios = rounded::<T>(&each(|i| log_weights[i] - log_prior[i]));
        let log_weights = rounded::<T>(log_weights);
        let mut terms = [zero; LANES];
        for i in 0..LANES {
            // What weighs nothing says nothing, even where the prior has no mass.
            let weight = log_weights[i].exp();
            terms[i] = if weight == zero { zero } else { weight * ratios[i] };
            sums[0][i] += terms[i];
        }
        for p in 0..parameters {
            let scores = rounded::<T>(&lanes.scores[p][row]);
            for i in 0..LANES {
                sums[1 + p][i] += terms[i] * scores[i];
            }
        }
    }
    sums
}

/// What a block leaves while it is drawn.
pub(super) struct Scratch<T> {
    relaxed: Relaxed<T>,
    moments: Moments,
}

impl<T: Real> Scratch<T> {
    pub fn new() -> Self {
        Self { relaxed: Relaxed::new(), moments: Moments::new() }
    }
}

/// A block of a family's latents.
pub(super) struct FamilyKernel<'a, T> {
    pub place: Place,
    pub how: Pathwise,
    pub lanes: &'a mut LaneBlock,
    pub scratch: &'a mut Scratch<T>,
    pub parameters: usize,
    /// Whether the lanes hold probabilities already.
    pub has_weights: bool,
}

impl<T: Real> pulp::WithSimd for FamilyKernel<'_, T> {
    type Output = Outcome<T>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Outcome<T> {
        let Self { place, how, lanes, scratch, parameters, has_weights } = self;
        let Scratch { relaxed, moments } = scratch;
        let kernel = match how {
            Pathwise::Relaxed { temperature, forward } => Kernel { place, temperature, forward },
            Pathwise::FiniteOrder(order) => {
                if !has_weights {
                    exponentials(lanes);
                }
                return FamilyFiniteOrder { place, order, lanes, moments, parameters }.outcome();
            }
        };
        let mut outcome = [[T::from_f64(0.0); LANES]; 6];
        relaxed.draw(&kernel, lanes);
        outcome[0] = relaxed.values(&kernel, lanes);
        for p in 0..parameters {
            outcome[2 + 2 * p] = match &lanes.lines[p] {
                Some(line) => relaxed.slopes_of_line(&kernel, lanes, line, &lanes.tail_corrections[p]),
                None => relaxed.slopes(&kernel, &lanes.scores[p]),
            };
        }
        if place.with_kl {
            let [kl, first, second] = kl(lanes, parameters);
            (outcome[1], outcome[3], outcome[5]) = (kl, first, second);
        }
        outcome
    }
}

/// A block of latents with free logits, all of one number of atoms.
pub(super) struct LogitsKernel<'a, T> {
    pub place: Place,
    pub how: Pathwise,
    pub lanes: &'a mut LaneBlock,
    pub scratch: &'a mut Scratch<T>,
    /// The logits of the lanes in use, one lane after the other.
    pub logits: &'a [T],
    /// The derivatives of `z` in them, in the same order.
    pub slopes: &'a mut [T],
    /// Those of the KL, where it is asked for.
    pub kl_slopes: &'a mut [T],
}

impl<T: Real> pulp::WithSimd for LogitsKernel<'_, T> {
    type Output = Outcome<T>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Outcome<T> {
        let Self { place, how, lanes, scratch, logits, slopes, kl_slopes } = self;
        let Scratch { relaxed, moments } = scratch;
        let zero = T::from_f64(0.0);
        let mut outcome = [[zero; LANES]; 6];
        let (first, n) = (lanes.first(0), logits.len() / lanes.used);
        for row in &mut lanes.log_weights[..first] {
            *row = [f64::NEG_INFINITY; LANES];
        }
        for (lane, logits) in logits.chunks_exact(n).enumerate() {
            for (row, logit) in lanes.log_weights[first..].iter_mut().zip(logits) {
                row[lane] = logit.to_f64();
            }
        }
        let kernel = match how {
            Pathwise::Relaxed { temperature, forward } => Kernel { place, temperature, forward },
            Pathwise::FiniteOrder(order) => {
                normalize::<f64>(&mut lanes.log_weights[..lanes.rows]);
                exponentials(lanes);
                return LogitsFiniteOrder { place, order, lanes, moments, slopes, kl_slopes }.outcome();
            }
        };
        normalize::<T>(&mut lanes.log_weights[..lanes.rows]);
        relaxed.draw(&kernel, lanes);
        outcome[0] = relaxed.values(&kernel, lanes);
        let inverse = T::from_f64(1.0 / kernel.temperature);
        let scale: Lanes<T> = each(|i| relaxed.scale[i] * inverse);
        let mut distances: Lanes<T> = each(|i| T::from_f64(first as f64) - relaxed.best[i] - relaxed.mean[i]);
        for weights in &mut relaxed.weights[first..] {
            for i in 0..LANES {
                weights[i] = weights[i] * scale[i] * distances[i];
                distances[i] += T::from_f64(1.0);
            }
        }
        transpose(&relaxed.weights[first..], slopes, n);
        if place.with_kl {
            outcome[1] = kl(lanes, 0)[0];
            let rows = lanes.log_weights[first..].iter().zip(&lanes.log_prior[first..]);
            for (weights, (log_weights, log_prior)) in relaxed.weights[first..].iter_mut().zip(rows) {
                for i in 0..LANES {
                    // What weighs nothing pulls at nothing, even where the prior has no mass.
                    let weight = T::from_f64(log_weights[i]).exp();
                    let ratio = T::from_f64(log_weights[i] - log_prior[i]);
                    weights[i] = if weight == zero { zero } else { weight * (ratio - outcome[1][i]) };
                }
            }
            transpose(&relaxed.weights[first..], kl_slopes, n);
        }
        outcome
    }
}

/// Subtracts from each lane's logits the logarithm of the sum of their exponentials: the largest first, so that an
/// offset of all of them costs no digits. An atom that is left out weighs nothing, and takes part in no difference of
/// infinities.
#[inline(always)]
fn normalize<T: Real>(log_weights: &mut [Lanes<f64>]) {
    let mut tops = [f64::MIN; LANES];
    for row in log_weights.iter() {
        for i in 0..LANES {
            tops[i] = if row[i] > tops[i] { row[i] } else { tops[i] };
        }
    }
    let mut sums = [T::from_f64(0.0); LANES];
    for row in log_weights.iter_mut() {
        for i in 0..LANES {
            let below = row[i] - tops[i];
            row[i] = if below < LOG_ZERO_FLOAT { LOG_ZERO_FLOAT } else { below };
            sums[i] += T::from_f64(row[i]).exp();
        }
    }
    let log_sums: Lanes<f64> = each(|i| sums[i].log2().to_f64() * std::f64::consts::LN_2);
    for row in log_weights.iter_mut() {
        for i in 0..LANES {
            row[i] -= log_sums[i];
        }
    }
}
