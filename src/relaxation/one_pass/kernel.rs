//! What is done to each latent: loops over the lanes of its atoms, compiled for each instruction set of the machine.

use super::counter::NoiseKey;
use super::laws::Rows;
use super::math::Real;
use crate::relaxation::Forward;
use std::array::from_fn;

/// Atoms are padded to a multiple of this, so that loops over them are whole vectors.
pub(super) const LANES: usize = 16;

/// The log weight of the atoms that pad a window: no draw reaches it.
const PADDING: f64 = -1e30;

/// A window and how it is relaxed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub lo: i64,
    pub hi: i64,
    pub temperature: f64,
    pub forward: Forward,
}

/// Where in the batch a run of latents lies, and its noise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub key: NoiseKey,
    /// Latents in a row of the batch.
    pub latents: usize,
    /// The run's first latent, counted through the batch.
    pub first: usize,
}

impl Place {
    #[inline(always)]
    fn uniforms<T: Real>(&self, latent: usize, atoms: &mut [T]) {
        let latent = self.first + latent;
        self.key.uniforms((latent / self.latents) as u32, (latent % self.latents) as u32, atoms);
    }
}

/// What a relaxed draw leaves for its derivatives.
#[derive(Clone, Copy)]
struct Drawn<T> {
    /// Of the relaxed weights, counted from the window's first atom.
    mean: T,
    /// The heaviest atom.
    best: usize,
    /// One over the sum of the relaxed weights as they were left.
    total: T,
}

impl Kernel {
    pub fn atoms(&self) -> usize {
        (self.hi - self.lo + 1) as usize
    }

    #[inline(always)]
    fn inverse<T: Real>(&self) -> T {
        T::from_f64(1.0 / self.temperature)
    }

    /// From the log weights and uniform numbers of some latents, `padded` atoms each, which become relaxed weights up to a factor. Each step
    /// is done for all of them before the next, so that the long chains of a logarithm overlap.
    #[inline(always)]
    fn draw<T: Real>(&self, log_weights: &[T], weights: &mut [T], padded: usize, drawn: &mut Vec<Drawn<T>>) {
        let inverse = self.inverse::<T>();
        for (w, l) in weights.chunks_exact_mut(LANES).zip(log_weights.chunks_exact(LANES)) {
            for i in 0..LANES {
                w[i] = (l[i] + T::gumbel(w[i])) * inverse;
            }
        }
        drawn.clear();
        for latent in weights.chunks_exact_mut(padded) {
            let top = top(latent);
            let best = latent.iter().position(|&w| w >= top).unwrap_or(0);
            latent.iter_mut().for_each(|w| *w = *w - top);
            drawn.push(Drawn { mean: T::ZERO, best, total: T::ZERO });
        }
        exponentials(weights);
        for (drawn, latent) in drawn.iter_mut().zip(weights.chunks_exact(padded)) {
            let (mut sums, mut means) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            let mut atoms: [T; LANES] = from_fn(|i| T::from_f64(i as f64));
            for w in latent.chunks_exact(LANES) {
                for i in 0..LANES {
                    sums[i] += w[i];
                    means[i] += w[i] * atoms[i];
                    atoms[i] += T::from_f64(LANES as f64);
                }
            }
            drawn.total = T::from_f64(1.0 / sum(sums).to_f64());
            drawn.mean = sum(means) * drawn.total;
        }
    }

    #[inline(always)]
    fn value<T: Real>(&self, drawn: Drawn<T>) -> T {
        T::from_f64(self.lo as f64)
            + match self.forward {
                Forward::Soft => drawn.mean,
                Forward::StraightThrough => T::from_f64(drawn.best as f64),
            }
    }

    /// `dz / dtheta` from the relaxed weights and the scores. The weighted distances from the mean sum to zero, so that scores may be
    /// counted from the heaviest atom's, where they are small.
    #[inline(always)]
    fn slope<T: Real>(&self, weights: &[T], scores: &[T], drawn: Drawn<T>) -> T {
        let origin = scores[drawn.best];
        let mut slopes = [T::ZERO; LANES];
        let mut distances: [T; LANES] = from_fn(|i| T::from_f64(i as f64) - drawn.mean);
        for (w, s) in weights.chunks_exact(LANES).zip(scores.chunks_exact(LANES)) {
            for i in 0..LANES {
                slopes[i] += w[i] * distances[i] * (s[i] - origin);
                distances[i] += T::from_f64(LANES as f64);
            }
        }
        sum(slopes) * drawn.total * self.inverse()
    }
}

/// The KL from weights, their logarithms and those of the prior.
#[inline(always)]
fn kl<T: Real>(weights: &[T], log_weights: &[T], log_prior: &[T]) -> T {
    let mut kls = [T::ZERO; LANES];
    let logs = log_weights.chunks_exact(LANES).zip(log_prior.chunks_exact(LANES));
    for (w, (l, prior)) in weights.chunks_exact(LANES).zip(logs) {
        for i in 0..LANES {
            kls[i] += w[i] * (l[i] - prior[i]);
        }
    }
    sum(kls)
}

#[inline(always)]
fn exponentials<T: Real>(numbers: &mut [T]) {
    for block in numbers.chunks_exact_mut(LANES) {
        for number in block {
            *number = number.exp();
        }
    }
}

#[inline(always)]
fn top<T: Real>(numbers: &[T]) -> T {
    let mut tops = [T::from_f64(f64::NEG_INFINITY); LANES];
    for block in numbers.chunks_exact(LANES) {
        for i in 0..LANES {
            tops[i] = if block[i] > tops[i] { block[i] } else { tops[i] };
        }
    }
    halved(tops, |a, b| if b > a { b } else { a })
}

/// `dKL / dtheta` from the weights and the scores. The weighted scores sum to zero, so that log ratios may be counted from their mean,
/// the KL.
#[inline(always)]
fn kl_slope<T: Real>(weights: &[T], scores: &[T], log_weights: &[T], log_prior: &[T], kl: T) -> T {
    let mut slopes = [T::ZERO; LANES];
    let logs = log_weights.chunks_exact(LANES).zip(log_prior.chunks_exact(LANES));
    for ((w, s), (l, prior)) in weights.chunks_exact(LANES).zip(scores.chunks_exact(LANES)).zip(logs) {
        for i in 0..LANES {
            slopes[i] += w[i] * s[i] * (l[i] - prior[i] - kl);
        }
    }
    sum(slopes)
}

#[inline(always)]
fn sum<T: Real>(lanes: [T; LANES]) -> T {
    halved(lanes, |a, b| a + b)
}

/// Combines the lanes in pairs, then the results in pairs, and so on: in vectors, and in an order that does not depend on them.
#[inline(always)]
fn halved<T: Real>(mut lanes: [T; LANES], combine: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// A run of latents of a family, drawn by one thread.
pub(super) struct OfRows<'a, T> {
    pub kernel: Kernel,
    pub place: Place,
    pub rows: &'a dyn Rows,
    pub log_prior: Option<&'a [T]>,
    /// For each latent `z`, the KL, then for each parameter the derivatives of both.
    pub results: &'a mut [T],
    pub parameters: usize,
}

impl<T: Real> pulp::WithSimd for OfRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { kernel, place, rows, log_prior, results, parameters } = self;
        let n = kernel.atoms();
        let mut tile = Tile::<T>::new(n);
        let padded = tile.padded;
        let mut scores = [vec![T::ZERO; TILE * padded], vec![T::ZERO; TILE * padded]];
        let (mut log_weights64, mut scores64) = (vec![0.0; n], [vec![0.0; n], vec![0.0; n]]);
        let stride = 2 + 2 * parameters;
        for (i, results) in results.chunks_mut(TILE * stride).enumerate() {
            for j in 0..results.len() / stride {
                let at = j * padded..j * padded + n;
                let latent = i * TILE + j;
                rows.fill(
                    place.first + latent,
                    (kernel.lo, kernel.hi),
                    T::PRECISION,
                    &mut log_weights64,
                    &mut scores64,
                );
                round(&log_weights64, &mut tile.log_weights[at.clone()]);
                (0..parameters).for_each(|p| round(&scores64[p], &mut scores[p][at.clone()]));
                tile.uniforms(&place, latent, j, n);
            }
            let used = results.len() / stride * padded;
            kernel.draw(&tile.log_weights[..used], &mut tile.weights[..used], padded, &mut tile.drawn);
            for (j, result) in results.chunks_exact_mut(stride).enumerate() {
                let at = j * padded..(j + 1) * padded;
                result[0] = kernel.value(tile.drawn[j]);
                for (p, scores) in scores.iter().take(parameters).enumerate() {
                    result[2 + 2 * p] = kernel.slope(&tile.weights[at.clone()], &scores[at.clone()], tile.drawn[j]);
                }
            }
            let Some(log_prior) = log_prior else { continue };
            tile.weigh();
            for (j, result) in results.chunks_exact_mut(stride).enumerate() {
                let at = j * padded..(j + 1) * padded;
                let (weights, log_weights) = (&tile.weights[at.clone()], &tile.log_weights[at.clone()]);
                result[1] = kl(weights, log_weights, log_prior);
                for (p, scores) in scores.iter().take(parameters).enumerate() {
                    result[3 + 2 * p] = kl_slope(weights, &scores[at.clone()], log_weights, log_prior, result[1]);
                }
            }
        }
    }
}

/// Latents that go through each step together.
const TILE: usize = 16;

/// Some latents, `padded` atoms each.
struct Tile<T> {
    padded: usize,
    log_weights: Vec<T>,
    /// Uniform numbers, then relaxed weights up to a factor, then the weights themselves.
    weights: Vec<T>,
    drawn: Vec<Drawn<T>>,
}

impl<T: Real> Tile<T> {
    fn new(n: usize) -> Self {
        let padded = n.next_multiple_of(LANES);
        Self {
            padded,
            log_weights: vec![T::from_f64(PADDING); TILE * padded],
            weights: vec![T::from_f64(0.5); TILE * padded],
            drawn: Vec::with_capacity(TILE),
        }
    }

    /// Uniform numbers for the atoms of the run's latent number `latent`, which is number `j` of the tile, and for those that pad.
    #[inline(always)]
    fn uniforms(&mut self, place: &Place, latent: usize, j: usize, n: usize) {
        let atoms = &mut self.weights[j * self.padded..(j + 1) * self.padded];
        place.uniforms(latent, &mut atoms[..n]);
        atoms[n..].fill(T::from_f64(0.5));
    }

    /// Puts the weights themselves in the place of the relaxed ones.
    #[inline(always)]
    fn weigh(&mut self) {
        self.weights.copy_from_slice(&self.log_weights);
        exponentials(&mut self.weights);
    }
}

/// A run of latents of free logits, drawn by one thread.
pub(super) struct OfLogits<'a, T> {
    pub kernel: Kernel,
    pub place: Place,
    pub log_prior: Option<&'a [T]>,
    /// The logits of the whole batch.
    pub logits: &'a [T],
    /// For each latent `z` and the KL.
    pub results: &'a mut [T],
    /// For each latent the derivatives of `z`, and, with a prior, then those of the KL, in its logits.
    pub derivatives: &'a mut [T],
}

impl<T: Real> pulp::WithSimd for OfLogits<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { kernel, place, log_prior, logits, results, derivatives } = self;
        let n = kernel.atoms();
        let width = if log_prior.is_some() { 2 * n } else { n };
        let mut tile = Tile::<T>::new(n);
        let padded = tile.padded;
        let tiles = results.chunks_mut(TILE * 2).zip(derivatives.chunks_mut(TILE * width));
        for (i, (results, derivatives)) in tiles.enumerate() {
            for j in 0..results.len() / 2 {
                let start = (place.first + i * TILE + j) * n;
                let log_weights = &mut tile.log_weights[j * padded..(j + 1) * padded];
                log_weights[..n].copy_from_slice(&logits[start..start + n]);
                log_weights[n..].fill(T::from_f64(PADDING));
                tile.uniforms(&place, i * TILE + j, j, n);
            }
            let used = results.len() / 2 * padded;
            normalize(&mut tile.log_weights[..used], padded);
            kernel.draw(&tile.log_weights[..used], &mut tile.weights[..used], padded, &mut tile.drawn);
            for (j, result) in results.chunks_exact_mut(2).enumerate() {
                let drawn = tile.drawn[j];
                result[0] = kernel.value(drawn);
                let scale = drawn.total * kernel.inverse();
                let derivatives = &mut derivatives[j * width..j * width + n];
                for (k, (derivative, &w)) in derivatives.iter_mut().zip(&tile.weights[j * padded..]).enumerate() {
                    *derivative = w * scale * (T::from_f64(k as f64) - drawn.mean);
                }
            }
            let Some(log_prior) = log_prior else { continue };
            tile.weigh();
            for (j, result) in results.chunks_exact_mut(2).enumerate() {
                let at = j * padded..(j + 1) * padded;
                let (weights, log_weights) = (&tile.weights[at.clone()], &tile.log_weights[at]);
                result[1] = kl(weights, log_weights, log_prior);
                let derivatives = &mut derivatives[j * width + n..(j + 1) * width];
                for (k, derivative) in derivatives.iter_mut().enumerate() {
                    *derivative = weights[k] * (log_weights[k] - log_prior[k] - result[1]);
                }
            }
        }
    }
}

/// To the kind of the draws.
#[inline(always)]
fn round<T: Real>(from: &[f64], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::from_f64(*from);
    }
}

/// Subtracts from each latent's logits the logarithm of the sum of their exponentials.
#[inline(always)]
fn normalize<T: Real>(log_weights: &mut [T], padded: usize) {
    for latent in log_weights.chunks_exact_mut(padded) {
        let top = top(latent);
        let mut sums = [T::ZERO; LANES];
        for l in latent.chunks_exact(LANES) {
            for i in 0..LANES {
                sums[i] += (l[i] - top).exp();
            }
        }
        let log_sum = top + sum(sums).ln();
        latent.iter_mut().for_each(|l| *l = *l - log_sum);
    }
}
