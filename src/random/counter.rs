//! Noise by counter: every number is a function of (seed, step, row, latent, atom) alone.
//!
//! Results therefore do not depend on the number of threads, on how a batch is split, or on the windows of other rows,
//! and a resumed run draws the same noise as an uninterrupted one.
//!
//! # Source
//! Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. It passes
//! TestU01's BigCrush, has 2^64 keys (here the seed) and 2^128 counters (here step, row, latent, and block of atoms, 32
//! bits each). A float32 number takes one word, a float64 number two.

use crate::checks::LARGEST_ATOM;
use crate::error::Result;
use crate::math::lanes::{LANES, Lanes, Real, Words, each};
use crate::platform::limits::check_shape;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The key of the noise of one batch: seed, step and first row. Keys with different seeds or steps give different noise
/// if their steps are below 2^32. The upper half of a larger step is combined with the upper half of the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey {
    /// The run's seed.
    pub seed: u64,
    /// The step; must differ between the calls of a run.
    pub step: u64,
    /// The number of the batch's first row, if the batch is a part of a larger one.
    pub first_row: u32,
}

impl NoiseKey {
    /// Makes the key of a step whose batch starts at row 0.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step, first_row: 0 }
    }

    /// Returns the Gumbel noise that the one-pass sampler draws, on the CPU, in float32 or float64. `shape` is
    /// `[..., latents, atoms]` with atoms 0, 1, ...; rows are numbered through the leading dimensions.
    ///
    /// # Errors
    /// Fails if the shape has fewer than two dimensions, a negative one, or is too large, or if the kind is neither
    /// float32 nor float64.
    pub fn gumbel(&self, shape: &[i64], kind: Kind) -> Result<Tensor> {
        self.gumbel_from(0, shape, kind)
    }

    /// Returns the noise of [`gumbel`](Self::gumbel) for the atoms `lowest, lowest + 1, ...`, which may lie below zero.
    ///
    /// # Errors
    /// Fails as [`gumbel`](Self::gumbel) does, and if an atom is beyond [`LARGEST_ATOM`] on either side.
    pub fn gumbel_from(&self, lowest: i64, shape: &[i64], kind: Kind) -> Result<Tensor> {
        let &[ref rows @ .., latents, atoms] = shape else {
            return Err(crate::error::Error::Shape {
                what: "noise by counter".into(),
                found: shape.to_vec(),
                expected: "[..., latents, atoms]".into(),
            });
        };
        check_shape("noise by counter", shape, kind)?;
        if !matches!(kind, Kind::Float | Kind::Double) {
            return Err(crate::error::Error::parameter(
                "kind of noise by counter",
                format!("{kind:?}"),
                "Float or Double",
            ));
        }
        let reaches = lowest >= -LARGEST_ATOM && lowest.checked_add(atoms).is_some_and(|end| end <= LARGEST_ATOM + 1);
        if !reaches {
            let allowed = format!("an atom such that all lie within -{LARGEST_ATOM}..={LARGEST_ATOM}");
            return Err(crate::error::Error::parameter("lowest atom of noise", lowest, allowed));
        }
        if shape.contains(&0) {
            return Ok(Tensor::f_zeros(shape, (kind, Device::Cpu))?);
        }
        let count = rows.iter().product::<i64>() * latents;
        Ok(self.gumbel_at((0, count), latents, (lowest, atoms), kind).reshape(shape))
    }

    /// Returns the noise `[count, atoms]`, on the CPU: for `count` latents from number `first` of a batch with
    /// `latents` per row, and for `atoms` atoms from `lo` on.
    pub(crate) fn gumbel_at(
        &self,
        (first, count): (i64, i64),
        latents: i64,
        (lo, atoms): (i64, i64),
        kind: Kind,
    ) -> Tensor {
        let _guard = no_grad_guard();
        match kind {
            Kind::Double => self.filled::<f64>((first, count), latents, (lo, atoms)),
            _ => self.filled::<f32>((first, count), latents, (lo, atoms)).to_kind(kind),
        }
    }

    /// Draws the noise of [`gumbel_at`](Self::gumbel_at) in float32 or float64.
    fn filled<T: Real>(&self, (first, count): (i64, i64), latents: i64, (lo, atoms): (i64, i64)) -> Tensor {
        let mut noise = vec![T::from_f64(0.0); (count * atoms) as usize];
        let (a_block, group) = (T::A_BLOCK as i64, (T::A_BLOCK * LANES) as i64);
        for (latent, noise) in (first..).zip(noise.chunks_exact_mut(atoms.max(1) as usize)) {
            let (row, column) = ([(latent / latents) as u32; LANES], [(latent % latents) as u32; LANES]);
            for start in (lo - lo.rem_euclid(group)..lo + atoms).step_by(group as usize) {
                let words = self.words(&each(|lane| block_of(start, a_block).wrapping_add(lane as u32)), &column, &row);
                for atom in start.max(lo)..(start + group).min(lo + atoms) {
                    let (lane, i) = ((atom - start) / a_block, (atom - start) % a_block);
                    noise[(atom - lo) as usize] = T::gumbel(T::uniform(&words, i as usize, lane as usize));
                }
            }
        }
        Tensor::from_slice(&noise).reshape([count, atoms])
    }

    /// Returns for each lane `i` the random words of block `blocks[i]` of latent `latents[i]` in row `rows[i]`; see
    /// [`block_of`].
    #[inline(always)]
    pub(crate) fn words(&self, blocks: &Lanes<u32>, latents: &Lanes<u32>, rows: &Lanes<u32>) -> Words {
        let key = [self.seed as u32, (self.seed >> 32) as u32 ^ (self.step >> 32) as u32];
        let rows = each(|i| self.first_row.wrapping_add(rows[i]));
        philox([*blocks, *latents, rows, [self.step as u32; LANES]], key)
    }
}

impl NoiseKey {
    /// Returns one uniform number inside (0, 1) of 64 bits per lane: the first of the latent's block 0.
    #[inline(always)]
    pub(crate) fn uniforms(&self, latents: &Lanes<u32>, rows: &Lanes<u32>) -> Lanes<f64> {
        let words = self.words(&[0; LANES], latents, rows);
        each(|i| f64::uniform(&words, 0, i))
    }
}

/// Returns the number of the block of random words that holds an atom's number, with `a_block` numbers per block.
/// Blocks below zero are counted back from 2^32, which no window reaches.
#[inline(always)]
pub(crate) fn block_of(atom: i64, a_block: i64) -> u32 {
    atom.div_euclid(a_block) as u32
}

/// The rounds of Philox4x32-10.
pub(crate) const ROUNDS: usize = 10;

/// Computes Philox4x32 on one counter per lane.
#[inline(always)]
fn philox(mut counter: Words, mut key: [u32; 2]) -> Words {
    const LOW: u64 = 0xffff_ffff;
    // As many lanes as fit in registers: with more, each round would go through memory.
    const AT_ONCE: usize = 8;
    let mut keys = [[0; 2]; ROUNDS];
    for keys in &mut keys {
        *keys = key.map(u64::from);
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    for first in (0..LANES).step_by(AT_ONCE) {
        // Words lie in the low halves of 64 bits, where vector instructions multiply them. The high halves are ignored.
        let mut wide = [[0; AT_ONCE]; 4];
        for (wide, words) in wide.iter_mut().zip(&counter) {
            for i in 0..AT_ONCE {
                wide[i] = u64::from(words[first + i]);
            }
        }
        for keys in &keys {
            for i in 0..AT_ONCE {
                let (x, y) = ((wide[0][i] & LOW) * 0xD251_1F53, (wide[2][i] & LOW) * 0xCD9E_8D57);
                wide[0][i] = (y >> 32) ^ wide[1][i] ^ keys[0];
                wide[1][i] = y;
                wide[2][i] = (x >> 32) ^ wide[3][i] ^ keys[1];
                wide[3][i] = x;
            }
        }
        for (words, wide) in counter.iter_mut().zip(&wide) {
            for i in 0..AT_ONCE {
                words[first + i] = wide[i] as u32;
            }
        }
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::{LANES, philox};

    /// The known answers that the authors publish with their Random123 library.
    #[test]
    fn known_answers() {
        let block =
            |counter: [u32; 4], key: [u32; 2]| philox(counter.map(|word| [word; LANES]), key).map(|word| word[3]);
        assert_eq!(block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
