//! What all ways of drawing a block of latents share.

use crate::math::lanes::{LANES, Lanes, Real, each};
use crate::random::counter::NoiseKey;
use crate::recurrences::LaneBlock;

/// What the draws of a batch share, however they are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub key: NoiseKey,
    /// Latents in a row of the batch.
    pub latents: usize,
    /// Whether the KL is asked for.
    pub with_kl: bool,
}

/// Values and derivatives of a block's latents: `z`, the KL, then for each parameter the derivatives of both.
pub(super) type Outcome<T> = [Lanes<T>; 6];

/// The latents' numbers in their rows, and the numbers of the rows. Most often they follow one another in one row,
/// which saves divisions.
#[inline(always)]
pub(super) fn places(place: &Place, lanes: &LaneBlock) -> [Lanes<u32>; 2] {
    let first = lanes.latents[0];
    let (latent, row) = (first % place.latents, first / place.latents);
    if lanes.follow() && latent + LANES <= place.latents {
        return [each(|i| (latent + i) as u32), [row as u32; LANES]];
    }
    [each(|i| (lanes.latents[i] % place.latents) as u32), each(|i| (lanes.latents[i] / place.latents) as u32)]
}

/// To the kind of the draws.
#[inline(always)]
pub(super) fn rounded<T: Real>(numbers: &Lanes<f64>) -> Lanes<T> {
    each(|i| T::from_f64(numbers[i]))
}

/// Writes rows of lanes as one run of numbers for each lane that is in use.
#[inline(always)]
pub(super) fn transpose<T: Real>(rows: &[Lanes<T>], lanes: &mut [T], n: usize) {
    for (lane, numbers) in lanes.chunks_exact_mut(n).enumerate() {
        for (number, row) in numbers.iter_mut().zip(rows) {
            *number = row[lane];
        }
    }
}
