//! Exact draws of counts by counter, at a cost that does not grow with their mean.
//!
//! # Source
//! Hörmann, "The transformed rejection method for generating Poisson random variables" (1993), and "The generation of
//! binomial random variates" (1993); Marsaglia, Tsang, "A simple method for generating gamma variables" (2000).

use super::counter::NoiseKey;
use crate::math::lanes::{LANES, Real, each};
use crate::math::saddle_point::{log_binomial, log_poisson};

/// The mean below which counts are found one after the other.
const FEW: f64 = 10.0;

/// Uniform numbers inside (0, 1) of one latent: those of its blocks 0, 1, ..., two of 64 bits from each.
pub(crate) struct Uniforms<'a> {
    key: &'a NoiseKey,
    latent: u32,
    row: u32,
    numbers: [f64; 2 * LANES],
    /// How many of the numbers there are, and how many of them were taken.
    count: usize,
    taken: usize,
    /// The next block.
    block: u32,
}

impl<'a> Uniforms<'a> {
    /// From block 0 on, whose two numbers the caller has computed with those of other latents.
    pub fn new(key: &'a NoiseKey, latent: u32, row: u32, first: [f64; 2]) -> Self {
        let mut numbers = [0.0; 2 * LANES];
        numbers[..2].copy_from_slice(&first);
        Self { key, latent, row, numbers, count: 2, taken: 0, block: 1 }
    }

    pub fn next(&mut self) -> f64 {
        if self.taken == self.count {
            let first = self.block;
            let blocks = each(|i| first.wrapping_add(i as u32));
            let words = self.key.words(&blocks, &[self.latent; LANES], &[self.row; LANES]);
            for lane in 0..LANES {
                for i in 0..2 {
                    self.numbers[2 * lane + i] = f64::uniform(&words, i, lane);
                }
            }
            (self.count, self.taken, self.block) = (2 * LANES, 0, first.wrapping_add(LANES as u32));
        }
        self.taken += 1;
        self.numbers[self.taken - 1]
    }

    /// A standard normal number.
    fn normal(&mut self) -> f64 {
        let (radius, turn) = (self.next(), self.next());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    }
}

/// A Poisson count; zero at rate zero.
pub(crate) fn poisson(rate: f64, uniforms: &mut Uniforms<'_>) -> f64 {
    if rate < FEW {
        return one_after_the_other((-rate).exp(), |k| rate / (k + 1.0), f64::INFINITY, uniforms.next());
    }
    let root = rate.sqrt();
    let b = 0.931 + 2.53 * root;
    let a = -0.059 + 0.024_83 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let (u, v) = (uniforms.next() - 0.5, uniforms.next());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + rate + 0.43).floor();
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if k < 0.0 || us < 0.013 && v > us {
            continue;
        }
        if (v * inverse_alpha / (a / (us * us) + b)).ln() <= log_poisson(k, rate) {
            return k;
        }
    }
}

/// A binomial count of `n` trials, from the mean number of successes and that of failures.
pub(crate) fn binomial(n: f64, successes: f64, failures: f64, uniforms: &mut Uniforms<'_>) -> f64 {
    if successes > failures {
        return n - binomial(n, failures, successes, uniforms);
    }
    let (p, q) = (successes / n, failures / n);
    if successes < FEW {
        let odds = p / q;
        return one_after_the_other((n * (-p).ln_1p()).exp(), |k| (n - k) / (k + 1.0) * odds, n, uniforms.next());
    }
    let deviation = (n * p * q).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let alpha = (2.83 + 5.1 / b) * deviation;
    let squeeze = 0.92 - 4.2 / b;
    let mode = ((n + 1.0) * p).floor();
    let at_mode = log_binomial(mode, n, p, q);
    loop {
        let (u, v) = (uniforms.next() - 0.5, uniforms.next());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + successes + 0.5).floor();
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if !(0.0..=n).contains(&k) {
            continue;
        }
        if (v * alpha / (a / (us * us) + b)).ln() <= log_binomial(k, n, p, q) - at_mode {
            return k;
        }
    }
}

/// A negative binomial count: a Poisson whose rate is a gamma variable of this shape and of this mean. Of shape 1, a
/// geometric one, by its inverse.
pub(crate) fn negative_binomial(shape: f64, mean: f64, uniforms: &mut Uniforms<'_>) -> f64 {
    if shape == 1.0 {
        return (uniforms.next().ln() / -(1.0 / mean).ln_1p()).floor();
    }
    poisson(gamma(shape, uniforms) * (mean / shape), uniforms)
}

/// A gamma variable of scale 1.
fn gamma(shape: f64, uniforms: &mut Uniforms<'_>) -> f64 {
    if shape < 1.0 {
        let power = uniforms.next().ln() / shape;
        return gamma(shape + 1.0, uniforms) * power.exp();
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = uniforms.normal();
        let t = 1.0 + c * x;
        if t <= 0.0 {
            continue;
        }
        let cube = t * t * t;
        if uniforms.next().ln() < 0.5 * x * x + d - d * cube + d * cube.ln() {
            return d * cube;
        }
    }
}

/// The inverse of a distribution function, from 0 on: the probability of 0, and the ratio of the atom after each to
/// that atom.
fn one_after_the_other(first: f64, ratio: impl Fn(f64) -> f64, last: f64, uniform: f64) -> f64 {
    let (mut k, mut p, mut below) = (0.0, first, first);
    // Terms that change nothing any more end it, too: rounding may leave the sum below the largest uniform number.
    while below <= uniform && k < last && p > 0.0 {
        p *= ratio(k);
        k += 1.0;
        if below + p == below && k > 2.0 * FEW {
            break;
        }
        below += p;
    }
    k
}
