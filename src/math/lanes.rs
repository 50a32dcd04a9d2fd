//! Branch-free logarithm and exponential, so that the compiler turns loops over lanes into SIMD instructions.
//! Multiply-adds are fused; on CPUs without FMA instructions (before 2013) the results are the same, but slow.
//!
//! Both functions have base two: the sampler's weights matter only up to a factor, so that the conversion to base e
//! would cancel.
//!
//! # Source
//! The float32 polynomials minimise the largest relative error on their intervals (Lawson's iteration): 2.7e-8 and
//! 1.9e-9 before rounding. The float64 logarithm is from fdlibm (Sun Microsystems, `e_log.c`), the float64 exponential
//! from Cephes (`exp.c`).

use std::f64::consts::{LN_2, LOG2_E};
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// The number of latents that are processed together, one per lane: two vectors of float32 with AVX2, one with AVX-512.
pub(crate) const LANES: usize = 16;

/// Four random words per lane.
pub(crate) type Words = [Lanes<u32>; 4];

/// One number per lane.
pub(crate) type Lanes<T> = [T; LANES];

/// Makes the array of `number(i)` for each lane `i`. It is always inlined, unlike the standard library's `from_fn` and
/// `map`: a function that is not inlined is not compiled for the CPU's vector instructions.
#[inline(always)]
pub(crate) fn each<T: Copy + Default>(number: impl Fn(usize) -> T) -> Lanes<T> {
    let mut numbers = [T::default(); LANES];
    for (i, slot) in numbers.iter_mut().enumerate() {
        *slot = number(i);
    }
    numbers
}

/// A floating-point type of the one-pass sampler.
pub(crate) trait Real:
    Copy
    + Default
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
    /// The relative precision to which tails are summed.
    const PRECISION: f64;
    /// How many uniform numbers one block of four random words gives.
    const A_BLOCK: usize;
    /// Returns uniform number `i` of a lane's block, inside (0, 1).
    fn uniform(words: &Words, i: usize, lane: usize) -> Self;
    /// Computes the base-two logarithm of a positive, normal number.
    fn log2(self) -> Self;
    /// Computes two to the power of a number of at most zero; returns zero if the result is below the normal numbers.
    fn exp2(self) -> Self;
    /// Computes `log2(1 + x)` for `-1 < x <= 1`, accurate for small `x`.
    fn log2_1p(self) -> Self;
    /// Computes `self * factor + term` with one rounding.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;

    /// Computes the exponential of a number of at most zero; returns zero if the result is below the normal numbers.
    #[inline(always)]
    fn exp(self) -> Self {
        (self * Self::from_f64(LOG2_E)).exp2()
    }

    /// Computes `-log(-log(1 - u))`, which is accurate for small `u`, the upper tail of the Gumbel distribution.
    #[inline(always)]
    fn gumbel(u: Self) -> Self {
        let log_log_2 = Self::from_f64(-0.366_512_920_581_664_3);
        -(-(-u).log2_1p()).log2().mul_add(Self::from_f64(LN_2), log_log_2)
    }
}

impl Real for f32 {
    const PRECISION: f64 = 2e-8;
    const A_BLOCK: usize = 4;

    /// Uses 31 bits, which one instruction converts to float32. The highest values would round to one and are lowered.
    #[inline(always)]
    fn uniform(words: &Words, i: usize, lane: usize) -> Self {
        const HIGHEST: f32 = 1.0 - f32::EPSILON / 2.0;
        const UNIT: f32 = 1.0 / 2_147_483_648.0;
        let u = ((words[i][lane] >> 1) as i32 as f32).mul_add(UNIT, 0.5 * UNIT);
        if u < HIGHEST { u } else { HIGHEST }
    }

    #[inline(always)]
    fn log2(self) -> Self {
        let (exponent, mantissa) = split32(self);
        log32(exponent, mantissa - 1.0)
    }

    #[inline(always)]
    fn exp2(self) -> Self {
        // The sum of this constant and a number has the nearest integer in its lowest bits.
        const ROUND: f32 = 12_582_912.0;
        let rounded = self + ROUND;
        let r = self - (rounded - ROUND);
        let square = r * r;
        let low = r.mul_add(6.931_472e-1, 1.0);
        let middle = r.mul_add(5.550_329e-2, 2.402_264_6e-1);
        let high = square.mul_add(1.534_581_2e-4, r.mul_add(1.339_993_1e-3, 9.618_489e-3));
        let power = square.mul_add(square.mul_add(high, middle), low);
        // Adds the integer to the exponent.
        let scaled = f32::from_bits(power.to_bits().wrapping_add(rounded.to_bits() << 23));
        if self < -125.5 { 0.0 } else { scaled }
    }

    #[inline(always)]
    fn log2_1p(self) -> Self {
        let (exponent, _) = split32(1.0 + self);
        // Multiplies x, and not the rounded 1 + x, by the power of two, which keeps a small x accurate.
        let scale = f32::from_bits((127i32.wrapping_sub(exponent) as u32) << 23);
        log32(exponent, self.mul_add(scale, scale - 1.0))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        f32::mul_add(self, factor, term)
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

/// Splits a positive, normal number into exponent and mantissa, with a mantissa between `sqrt(1/2)` and `sqrt(2)`.
#[inline(always)]
fn split32(x: f32) -> (i32, f32) {
    const ROOT_HALF: i32 = 0x3f35_04f3;
    let bits = x.to_bits() as i32;
    let exponent = bits.wrapping_sub(ROOT_HALF) >> 23;
    (exponent, f32::from_bits(bits.wrapping_sub(exponent << 23) as u32))
}

/// Computes the base-two logarithm of `(1 + f) * 2^exponent`.
#[inline(always)]
fn log32(exponent: i32, f: f32) -> f32 {
    let square = f * f;
    // Two independent chains, of even and odd powers, have half the latency of one.
    let (mut even, mut odd) = (1.258_370_3e-1, -2.072_698e-1);
    for coefficients in
        [[2.157_156e-1, -2.389_448_1e-1], [2.879_162_4e-1, -3.607_036_8e-1], [4.809_106_3e-1, -7.213_473_3e-1]]
    {
        even = square.mul_add(even, coefficients[0]);
        odd = square.mul_add(odd, coefficients[1]);
    }
    even = square.mul_add(even, std::f32::consts::LOG2_E);
    f.mul_add(f.mul_add(odd, even), exponent as f32)
}

/// Computes `log(1 + exp(x))` and its derivative, from `exp(-|x|)`, which is at most one.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> (f32, f32) {
    let small = Real::exp(-x.abs());
    let large = 1.0 / (1.0 + small);
    (small.log2_1p().mul_add(LN_2 as f32, x.max(0.0)), if x < 0.0 { small * large } else { large })
}

impl Real for f64 {
    const PRECISION: f64 = 1e-17;
    const A_BLOCK: usize = 2;

    /// Uses 64 bits as two signed halves, which vector instructions can convert. The highest values would round to one
    /// and are lowered.
    #[inline(always)]
    fn uniform(words: &Words, i: usize, lane: usize) -> Self {
        const HIGHEST: f64 = 1.0 - f64::EPSILON / 2.0;
        let half = |word: u32| f64::from((word ^ 0x8000_0000) as i32) + 2.0f64.powi(31);
        let (high, low) = (half(words[2 * i][lane]), half(words[2 * i + 1][lane]));
        let u = high * 2.0f64.powi(-32) + (low + 0.5) * 2.0f64.powi(-64);
        if u < HIGHEST { u } else { HIGHEST }
    }

    #[inline(always)]
    fn log2(self) -> Self {
        ln64(self) * LOG2_E
    }

    #[inline(always)]
    fn exp2(self) -> Self {
        (self * LN_2).exp()
    }

    #[inline(always)]
    fn exp(self) -> Self {
        const ROUND: f64 = 6_755_399_441_055_744.0;
        let x = self;
        let rounded = x * LOG2_E + ROUND;
        let n = rounded - ROUND;
        let r = x - n * 6.931_457_519_531_25e-1 - n * 1.428_606_820_309_417_2e-6;
        let square = r * r;
        let p = (1.261_771_930_748_105_9e-4 * square + 3.029_944_077_074_419_5e-2) * square + 1.0;
        let q = (3.001_985_051_386_644_6e-6 * square + 2.524_483_403_496_841e-3) * square + 2.272_655_482_081_550_3e-1;
        let (p, q) = (p * r, q * square + 2.0);
        let scale = f64::from_bits(rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52);
        if self < -708.0 { 0.0 } else { (1.0 + 2.0 * p / (q - p)) * scale }
    }

    #[inline(always)]
    fn log2_1p(self) -> Self {
        log64(1.0 + self, self) * LOG2_E
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        f64::mul_add(self, factor, term)
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

/// Computes the natural logarithm of a positive, normal number.
#[inline(always)]
pub(crate) fn ln64(x: f64) -> f64 {
    log64(x, x - 1.0)
}

/// Computes the natural logarithm of `x`. `less_one` is `x - 1`, more exact near one than `x` is.
#[inline(always)]
fn log64(x: f64, less_one: f64) -> f64 {
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const BIAS: u64 = 1023;
    // The exponent stays biased, and so positive, because vector instructions neither shift nor convert signed 64-bit
    // words. Combined with the bits of `INTEGER`, it is a float64.
    const INTEGER: f64 = 4_503_599_627_370_496.0;
    let bits = x.to_bits();
    let biased = bits.wrapping_sub(ROOT_HALF).wrapping_add(BIAS << 52) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub(biased.wrapping_sub(BIAS) << 52));
    let e = f64::from_bits(INTEGER.to_bits() | biased) - (INTEGER + BIAS as f64);
    let f = if biased == BIAS { less_one } else { mantissa - 1.0 };
    let s = f / (2.0 + f);
    let (z, half) = (s * s, 0.5 * f * f);
    let w = z * z;
    let even = w * (3.999_999_999_940_942e-1 + w * (2.222_219_843_214_978_4e-1 + w * 1.531_383_769_920_937_3e-1));
    let odd = z
        * (6.666_666_666_666_735e-1
            + w * (2.857_142_874_366_239e-1 + w * (1.818_357_216_161_805e-1 + w * 1.479_819_860_511_658_6e-1)));
    e * 6.931_471_803_691_238e-1 - ((half - (s * (half + odd + even) + e * 1.908_214_929_270_587_7e-10)) - f)
}

#[cfg(test)]
mod tests {
    use super::Real;

    /// Largest distance from float64's result in units in the last place of the float32 result, over a grid of each
    /// function's range.
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
                worst[0] = worst[0].max(ulps(Real::log2(x), f64::from(x).log2()));
            }
            let x = (t * 125.0 - 125.0) as f32;
            worst[1] = worst[1].max(ulps(Real::exp2(x), f64::from(x).exp2()));
            let x = -((t * 24.0 - 24.0).exp()) as f32;
            if x > -1.0 {
                worst[2] = worst[2].max(ulps(Real::log2_1p(x), f64::from(x).ln_1p() / std::f64::consts::LN_2));
            }
        }
        assert!(worst.iter().all(|&ulps| ulps < 3.0), "log2, exp2, log2_1p: {worst:?}");
    }

    /// In float64 against the standard library's, which is within one unit itself.
    #[test]
    fn float64_agrees_with_the_standard_library() {
        let mut worst = [0.0f64; 3];
        let relative = |found: f64, exact: f64| (found - exact).abs() / exact.abs() / f64::EPSILON;
        for i in 1..200_000 {
            let t = f64::from(i) / 2e5;
            let x = (t * 1400.0 - 700.0).exp();
            worst[0] = worst[0].max(relative(super::ln64(x), x.ln()));
            worst[0] = worst[0].max(relative(Real::log2(x), x.log2()));
            let x = t * 700.0 - 700.0;
            worst[1] = worst[1].max(relative(Real::exp(x), x.exp()));
            let x = -(t * 40.0 - 40.0).exp();
            worst[2] = worst[2].max(relative(Real::log2_1p(x), x.ln_1p() / std::f64::consts::LN_2));
        }
        assert!(worst.iter().all(|&units| units < 3.0), "logarithms, exp, log2_1p: {worst:?}");
    }
}
