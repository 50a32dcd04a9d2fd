//! Logarithm and exponential without branches, so that loops over atoms become vector instructions.
//!
//! # Source
//! The float32 polynomials are those of the Cephes library (Moshier, `logf.c`, `expf.c`).

use super::counter::{BLOCKS, Words};
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A floating-point kind of the one-pass sampler.
pub(super) trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + tch::kind::Element
    + 'static
{
    /// To which tails are summed.
    const PRECISION: f64;
    /// Numbers that a group of random words gives.
    const A_GROUP: usize;
    /// Number `i` of a group, uniform inside (0, 1).
    fn uniform(words: &Words, i: usize) -> Self;
    /// Natural logarithm of a positive, normal number.
    fn ln(self) -> Self;
    /// Exponential; zero where it would not be a normal number.
    fn exp(self) -> Self;
    /// `log(1 + x)` for `-1 < x <= 0`.
    fn ln_1p(self) -> Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;

    /// `-log(-log(1 - u))`: the upper tail of the Gumbel, where `u` is small, keeps all digits.
    #[inline(always)]
    fn gumbel(u: Self) -> Self {
        -(-(-u).ln_1p()).ln()
    }
}

impl Real for f32 {
    const PRECISION: f64 = 1e-9;
    const A_GROUP: usize = 4 * BLOCKS;

    /// Of 31 bits, which convert to float32 by one instruction; the highest would round to one.
    #[inline(always)]
    fn uniform(words: &Words, i: usize) -> Self {
        let word = (words[i / BLOCKS][i % BLOCKS] >> 1) as i32;
        ((word as f32 + 0.5) * 2.0f32.powi(-31)).min(1.0 - f32::EPSILON / 2.0)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        log_near_one(self, self - 1.0)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        // Added to a number, it leaves the nearest integer in the lowest bits, where no conversion is needed to find it.
        const ROUND: f32 = 12_582_912.0;
        let x = self.clamp(-87.3, 88.0);
        let rounded = x * std::f32::consts::LOG2_E + ROUND;
        let n = rounded - ROUND;
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let mut p = 1.987_569_1e-4;
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p * r + coefficient;
        }
        let scale = f32::from_bits(rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
        if self < -87.3 { 0.0 } else { (p * r * r + r + 1.0) * scale }
    }

    #[inline(always)]
    fn ln_1p(self) -> Self {
        log_near_one(1.0 + self, self)
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

/// The logarithm of `x`, given also `x - 1`, which has digits near one that `x` has not.
#[inline(always)]
fn log_near_one(x: f32, less_one: f32) -> f32 {
    const ROOT_HALF: i32 = 0x3f35_04f3;
    let bits = x.to_bits() as i32;
    let exponent = bits.wrapping_sub(ROOT_HALF) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32);
    let f = if exponent == 0 { less_one } else { mantissa - 1.0 };
    let e = exponent as f32;
    let mut p = 7.037_683_6e-2;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * f + coefficient;
    }
    let square = f * f;
    (p * f * square - e * 2.121_944_4e-4 - 0.5 * square) + f + e * 0.693_359_4
}

impl Real for f64 {
    const PRECISION: f64 = 1e-17;
    const A_GROUP: usize = 2 * BLOCKS;

    #[inline(always)]
    fn uniform(words: &Words, i: usize) -> Self {
        let (pair, block) = (2 * (i / BLOCKS), i % BLOCKS);
        let word = u64::from(words[pair][block]) << 32 | u64::from(words[pair + 1][block]);
        ((word as f64 + 0.5) * 2.0f64.powi(-64)).min(1.0 - f64::EPSILON / 2.0)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    /// Largest distance from float64's result in units in the last place of the float32 result, over a grid of each function's range.
    #[test]
    fn within_three_units_in_the_last_place() {
        let ulps = |found: f32, exact: f64| {
            let unit = f64::from((exact as f32).abs().max(f32::MIN_POSITIVE).next_up())
                - exact.abs().max(f64::from(f32::MIN_POSITIVE));
            (f64::from(found) - exact).abs() / unit.abs().max(f64::from(f32::EPSILON) * exact.abs() / 2.0)
        };
        let mut worst = [0.0f64; 3];
        for i in 0..2_000_000 {
            let t = f64::from(i) / 2e6;
            let x = (t * 170.0 - 85.0).exp() as f32;
            if (x - 1.0).abs() > 1e-3 {
                worst[0] = worst[0].max(ulps(Real::ln(x), f64::from(x).ln()));
            }
            let x = (t * 170.0 - 86.0) as f32;
            worst[1] = worst[1].max(ulps(Real::exp(x), f64::from(x).exp()));
            let x = -((t * 24.0 - 24.0).exp()) as f32;
            if x > -1.0 {
                worst[2] = worst[2].max(ulps(Real::ln_1p(x), f64::from(x).ln_1p()));
            }
        }
        assert!(worst.iter().all(|&ulps| ulps < 3.0), "ln, exp, ln_1p: {worst:?}");
    }
}
