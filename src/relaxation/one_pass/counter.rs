//! Noise by counter: every number is a function of (seed, step, row, latent, atom), and of nothing else.
//!
//! So results do not depend on the number of threads, on how a batch is split, or on the windows of other rows, and a resumed run draws what
//! the interrupted one would have drawn.
//!
//! # Source
//! Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. It passes TestU01's BigCrush, has
//! 2^64 keys (here the seed) and 2^128 counters (here step, row, latent, and block of atoms, 32 bits each).
//! A float32 number takes one word, a float64 number two.

use super::math::Real;
use crate::Result;
use tch::{Device, Kind, Tensor};

/// What noise is a function of, beside the place in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey {
    /// The run's seed.
    pub seed: u64,
    /// The step; no two calls of a run share one.
    pub step: u64,
    /// The number of the batch's first row, for a batch that is a part of a larger one.
    pub first_row: u32,
}

impl NoiseKey {
    /// The key of a step whose batch starts at row 0.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, first_row: 0 }
    }

    /// The gumbel noise that the one-pass sampler draws for `shape` = `[..., latents, atoms]`, on the CPU, in float32 or float64: rows are numbered through
    /// the leading dimensions.
    ///
    /// # Errors
    /// When the shape has fewer than two dimensions, or a negative one.
    pub fn gumbel(&self, shape: &[i64], kind: Kind) -> Result<Tensor> {
        let &[ref rows @ .., latents, atoms] = shape else {
            return Err(crate::Error::Shape {
                what: "noise by counter".into(),
                found: shape.to_vec(),
                expected: "[..., latents, atoms]".into(),
            });
        };
        if shape.iter().any(|&size| size < 0) {
            return Err(crate::Error::parameter("shape of noise", format!("{shape:?}"), "without negative sizes"));
        }
        let rows: i64 = rows.iter().product();
        Ok(match kind {
            Kind::Double => self.filled::<f64>(rows, latents, atoms).reshape(shape),
            _ => self.filled::<f32>(rows, latents, atoms).reshape(shape).to_kind(kind),
        }
        .to_device(Device::Cpu))
    }

    fn filled<T: Real>(&self, rows: i64, latents: i64, atoms: i64) -> Tensor {
        let mut noise = vec![T::ZERO; (rows * latents * atoms) as usize];
        for (i, latent) in noise.chunks_exact_mut(atoms.max(1) as usize).enumerate() {
            self.uniforms((i as i64 / latents) as u32, (i as i64 % latents) as u32, latent);
            latent.iter_mut().for_each(|x| *x = T::gumbel(*x));
        }
        Tensor::from_slice(&noise)
    }

    /// Fills a latent's atoms with uniform numbers inside (0, 1).
    #[inline(always)]
    pub(super) fn uniforms<T: Real>(&self, row: u32, latent: u32, atoms: &mut [T]) {
        let key = [self.seed as u32, (self.seed >> 32) as u32 ^ (self.step >> 32) as u32];
        let row = self.first_row.wrapping_add(row);
        for (group, numbers) in atoms.chunks_mut(T::A_GROUP).enumerate() {
            let words = philox((group * BLOCKS) as u32, [latent, row, self.step as u32], key);
            if numbers.len() == T::A_GROUP {
                (0..T::A_GROUP).for_each(|i| numbers[i] = T::uniform(&words, i));
            } else {
                numbers.iter_mut().enumerate().for_each(|(i, number)| *number = T::uniform(&words, i));
            }
        }
    }
}

/// Blocks that are computed at once, in the lanes of a vector.
pub(super) const BLOCKS: usize = 4;

/// Four words of each of some blocks: word `w` of block `b` is `[w][b]`.
pub(super) type Words = [[u32; BLOCKS]; 4];

/// Ten rounds of Philox4x32 on the counters `(first + b, rest)`.
#[inline(always)]
fn philox(first: u32, rest: [u32; 3], mut key: [u32; 2]) -> Words {
    let mut counter: Words = [[0; BLOCKS], [rest[0]; BLOCKS], [rest[1]; BLOCKS], [rest[2]; BLOCKS]];
    for (b, word) in counter[0].iter_mut().enumerate() {
        *word = first.wrapping_add(b as u32);
    }
    for _ in 0..10 {
        let mut next = counter;
        for b in 0..BLOCKS {
            let (x, y) = (u64::from(counter[0][b]) * 0xD251_1F53, u64::from(counter[2][b]) * 0xCD9E_8D57);
            next[0][b] = (y >> 32) as u32 ^ counter[1][b] ^ key[0];
            next[1][b] = y as u32;
            next[2][b] = (x >> 32) as u32 ^ counter[3][b] ^ key[1];
            next[3][b] = x as u32;
        }
        counter = next;
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers that the authors publish with their Random123 library.
    #[test]
    fn known_answers() {
        let block = |counter: [u32; 4], key: [u32; 2]| {
            let words = philox(counter[0], [counter[1], counter[2], counter[3]], key);
            words.map(|word| word[0])
        };
        assert_eq!(block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
        // The lanes are the blocks that follow.
        assert_eq!(philox(5, [1, 2, 3], [4, 9]).map(|word| word[2]), block([7, 1, 2, 3], [4, 9]));
    }
}
