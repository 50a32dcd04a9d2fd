//! Noise by counter as tensor operations: the same random words on every device. The noise may differ from the CPU's in
//! the last digits of its two logarithms.

use crate::error::Result;
use crate::platform::device::is_host;
use crate::random::counter::{NoiseKey, ROUNDS};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Returns the noise of [`NoiseKey::gumbel_at`] on any device: by the CPU's loop on the host, otherwise by tensor
/// operations.
pub(crate) fn gumbel_on(
    key: &NoiseKey,
    place: (i64, i64),
    latents: i64,
    window: (i64, i64),
    kind: Kind,
    device: Device,
) -> Result<Tensor> {
    if is_host(device) {
        return Ok(key.gumbel_at(place, latents, window, kind));
    }
    gumbel(key, place, latents, window, kind, device)
}

/// Returns one uniform number inside (0, 1) for each of `count` latents from number `first` of a batch with `latents`
/// per row, float64: the numbers of [`NoiseKey::uniforms`].
pub(crate) fn uniform_on(key: &NoiseKey, (first, count): (i64, i64), latents: i64, device: Device) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let integers = (Kind::Int64, device);
    let number = Tensor::f_arange_start(first, first + count, integers)?.unsqueeze(-1);
    let row = low(&(number.divide_scalar_mode(latents, "floor") + i64::from(key.first_row)));
    let words = words(key, &Tensor::f_zeros([1, 1], integers)?, &number.remainder(latents), &row);
    Ok(uniforms(&words)[0].squeeze_dim(-1))
}

/// Returns the two float64 numbers of each block of words.
fn uniforms(words: &[Tensor]) -> [Tensor; 2] {
    let half = |i: usize| words[i].to_kind(Kind::Double);
    let uniform = |high: Tensor, low: Tensor| {
        (high * 2.0f64.powi(-32) + (low + 0.5) * 2.0f64.powi(-64)).clamp_max(1.0 - f64::EPSILON / 2.0)
    };
    [uniform(half(0), half(1)), uniform(half(2), half(3))]
}

/// Computes the noise of [`NoiseKey::gumbel_at`] by tensor operations.
fn gumbel(
    key: &NoiseKey,
    (first, count): (i64, i64),
    latents: i64,
    (lo, atoms): (i64, i64),
    kind: Kind,
    device: Device,
) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let a_block = if kind == Kind::Double { 2 } else { 4 };
    let (block, last) = (lo.div_euclid(a_block), (lo + atoms - 1).div_euclid(a_block));
    let integers = (Kind::Int64, device);
    let number = Tensor::f_arange_start(first, first + count, integers)?.unsqueeze(-1);
    let blocks = low(&Tensor::f_arange_start(block, last + 1, integers)?.unsqueeze(0));
    let row = low(&(number.divide_scalar_mode(latents, "floor") + i64::from(key.first_row)));
    let words = words(key, &blocks, &number.remainder(latents), &row);
    let drawn = if kind == Kind::Double {
        Tensor::stack(&uniforms(&words), -1)
    } else {
        let words = Tensor::stack(&words, -1).bitwise_right_shift_tensor_scalar(1);
        ((words.to_kind(Kind::Float) + 0.5) * 2.0f64.powi(-31)).clamp_max(f64::from(1.0 - f32::EPSILON / 2.0))
    };
    let noise = -(-(-drawn).log1p()).log();
    Ok(noise.flatten(-2, -1).f_narrow(-1, lo - block * a_block, atoms)?.to_kind(kind))
}

/// Computes Philox4x32 on 32-bit words kept in 64-bit integers: four tensors `[latents, blocks]`.
fn words(key: &NoiseKey, blocks: &Tensor, latents: &Tensor, rows: &Tensor) -> Vec<Tensor> {
    let mut keys = [key.seed as u32, (key.seed >> 32) as u32 ^ (key.step >> 32) as u32];
    let shape = [rows.size()[0], blocks.size()[1]];
    let wide = |words: &Tensor| words.expand(shape, false);
    let mut counter = vec![wide(blocks), wide(latents), wide(rows), wide(&rows.full_like(i64::from(key.step as u32)))];
    for _ in 0..ROUNDS {
        let (x_high, x_low) = product(&counter[0], 0xD251_1F53);
        let (y_high, y_low) = product(&counter[2], 0xCD9E_8D57);
        let mix = |high: Tensor, word: &Tensor, key: u32| high.bitwise_xor_tensor(word).bitwise_xor(i64::from(key));
        counter = vec![mix(y_high, &counter[1], keys[0]), y_low, mix(x_high, &counter[3], keys[1]), x_low];
        keys = [keys[0].wrapping_add(0x9E37_79B9), keys[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// Returns the high and the low word of a product of 32-bit words, by halves of the factor, so that no intermediate
/// exceeds 63 bits.
fn product(x: &Tensor, factor: i64) -> (Tensor, Tensor) {
    let right = |x: &Tensor, bits: i64| x.bitwise_right_shift_tensor_scalar(bits);
    let small = x * (factor & 0xffff);
    let large = x * (factor >> 16) + right(&small, 16);
    let low_half = large.bitwise_and(0xffff).bitwise_left_shift_tensor_scalar(16);
    (right(&large, 16), low_half.bitwise_or_tensor(&small.bitwise_and(0xffff)))
}

/// Returns the lowest 32 bits.
fn low(x: &Tensor) -> Tensor {
    x.bitwise_and(0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On the CPU, against the sampler's own, in units in the last place of the larger of noise and one.
    #[test]
    fn tensors_and_lanes_are_the_same_noise() {
        for (kind, unit) in [(Kind::Float, f64::from(f32::EPSILON)), (Kind::Double, f64::EPSILON)] {
            let key = NoiseKey { first_row: u32::MAX - 2, ..NoiseKey::new(0xdead_beef_1234_5678, 1 << 40 | 9) };
            for (place, latents, window) in
                [((0, 64), 8, (0, 12)), ((17, 30), 7, (5, 9)), ((3, 5), 1, (1001, 1)), ((0, 9), 4, (-21, 30))]
            {
                let ours = key.gumbel_at(place, latents, window, kind).to_kind(Kind::Double);
                let theirs = gumbel(&key, place, latents, window, kind, Device::Cpu).unwrap().to_kind(Kind::Double);
                assert_eq!(ours.size(), theirs.size());
                let error = ((&ours - theirs) / ours.abs().clamp_min(1.0)).abs().max().double_value(&[]);
                assert!(error <= 4.0 * unit, "{kind:?} {place:?} {window:?}: {} units", error / unit);
            }
        }
    }
}
