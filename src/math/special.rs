//! Special functions on float64 tensors, differentiable to any order because they are tensor graphs.
//!
//! Tail probabilities of the Poisson are regularised incomplete gamma functions. Tail probabilities of the binomial and
//! the negative binomial are regularised incomplete beta functions. Both are returned as a *pair of logarithms*, of the
//! function and of its complement: the smaller one from a continued fraction that converges there, the larger one from
//! [`log1mexp`]. So both keep their relative accuracy, even far out in the tail. Ratios of gamma functions and Bessel
//! functions are computed without the cancellation of large terms.
//!
//! # Source
//! Continued fractions: NIST Digital Library of Mathematical Functions, 8.9.2, 8.17.22 and (for the lower incomplete
//! gamma function, the limit of 8.17.22 for a large second parameter) 8.17.23.

use std::sync::OnceLock;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Computes `log(1 - exp(x))` for `x < 0`, accurate both for `x` near zero and for large negative `x`.
///
/// # Shapes
/// `x` any shape, float64; the result has its shape.
///
/// # Source
/// Martin Maechler, "Accurately computing log(1 - exp(-|a|))", 2012: `log(-expm1(x))` above `-log 2`, `log1p(-exp(x))`
/// below.
pub fn log1mexp(x: &Tensor) -> Tensor {
    const LN_HALF: f64 = -std::f64::consts::LN_2;
    let near = x.clamp_min(LN_HALF).expm1().neg().log();
    let far = x.clamp_max(LN_HALF).exp().neg().log1p();
    near.where_self(&x.gt(LN_HALF), &far)
}

/// Returns the number of levels of a continued fraction, `base + slope sqrt(size)`.
///
/// Each fraction converges most slowly near the mean, where the other fraction takes over. The coefficients of the
/// callers give a relative error below 1e-10 there, for sizes from 1 to 10,000 (and for incomplete beta functions with
/// a second parameter from 1e-30 to 1e6): they bound the levels found by comparison with 8,000 levels.
pub(crate) fn levels(base: f64, slope: f64, size: f64) -> i64 {
    (base + slope * size.max(0.0).sqrt()).ceil() as i64
}

/// Computes `(log P(a, x), log Q(a, x))`, the regularised lower and upper incomplete gamma functions, for an integer
/// `a >= 1`.
///
/// # Shapes
/// `x` any shape, float64, positive; both results have its shape.
pub fn log_incomplete_gamma(a: i64, x: &Tensor) -> (Tensor, Tensor) {
    let a = a as f64;
    // P below a + 1, Q above. Each is evaluated at an argument clamped to its own region, so that the unused branch
    // stays finite and has a zero gradient.
    let split = a + 1.0;
    let below = x.clamp_max(split);
    let above = x.clamp_min(split);

    let mut t = below.ones_like();
    for i in (1..=levels(14.0, 2.4, a)).rev() {
        let m = (i / 2) as f64;
        let c = if i % 2 == 0 {
            m / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        t = &below * c / t + 1.0;
    }
    let log_p = below.log() * a - &below - log_factorial(a) - t.log();

    let depth = levels(3.0, 2.6, a);
    let mut t = &above + (2 * depth + 1) as f64 - a;
    for i in (1..=depth).rev() {
        let i = i as f64;
        t = &above + (2.0 * i - 1.0 - a) - t.reciprocal() * (i * (i - a));
    }
    let log_q = above.log() * a - &above - log_factorial(a - 1.0) - t.log();

    let is_below = x.le(split);
    (log_p.where_self(&is_below, &log1mexp(&log_q)), log1mexp(&log_p).where_self(&is_below, &log_q))
}

/// Computes `(log I_x(a, b), log I_{1-x}(b, a))`, the regularised incomplete beta function and its complement.
///
/// `log_x` and `log_y` are `log x` and `log(1 - x)`; both are given, so that neither is rounded. `log_factor` is
/// `log(x^a (1-x)^b / B(a, b))`, which the caller computes from a pmf, more accurately than from three `lgamma`s.
/// `size` is the larger of `a` and `b` up to a factor, a number on the host, and sets the number of levels of the
/// continued fraction.
///
/// # Shapes
/// Five float64 tensors that broadcast together; both results have the broadcast shape.
pub fn log_incomplete_beta(
    a: &Tensor,
    b: &Tensor,
    log_x: &Tensor,
    log_y: &Tensor,
    log_factor: &Tensor,
    size: f64,
) -> (Tensor, Tensor) {
    let x = log_x.exp();
    // If x lies beyond the mean, the complement is smaller: swaps the roles of the two, elementwise.
    let swap = x.gt_tensor(&((a + 1.0) / (a + b + 2.0)));
    let pick = |if_swapped: &Tensor, otherwise: &Tensor| if_swapped.where_self(&swap, otherwise);
    let (p, q) = (pick(b, a), pick(a, b));
    let u = pick(log_y, log_x).exp();

    let mut t = u.ones_like();
    for i in (1..=levels(34.0, 3.6, size)).rev() {
        let m = (i / 2) as f64;
        let d = if i % 2 == 0 {
            (&q - m) * m / ((&p + (2.0 * m - 1.0)) * (&p + 2.0 * m))
        } else {
            -(&p + m) * (&p + &q + m) / ((&p + 2.0 * m) * (&p + (2.0 * m + 1.0)))
        };
        t = d * &u / t + 1.0;
    }
    let small = log_factor - p.log() - t.log();
    let large = log1mexp(&small);
    (pick(&large, &small), pick(&small, &large))
}

/// Computes `log Gamma(x + d) - log Gamma(x)` for `x > 0` and `x + d > 0`, without the cancellation of two large
/// `lgamma`s.
///
/// # Shapes
/// Two float64 tensors that broadcast together; the result has the broadcast shape.
///
/// # Source
/// The difference of two Stirling series, NIST Digital Library of Mathematical Functions, 5.11.1.
pub fn log_gamma_ratio(x: &Tensor, d: &Tensor) -> Tensor {
    const LARGE: f64 = 20.0;
    let end = x + d;
    let is_large = x.ge(LARGE).logical_and(&end.ge(LARGE));
    let (x_large, end_large) = (x.clamp_min(LARGE), end.clamp_min(LARGE));
    // The correction beyond (x - 1/2) log x - x + log(2 pi) / 2.
    let correction = |x: &Tensor| {
        let inverse = x.reciprocal();
        let square = inverse.square();
        let series = [-1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0];
        series.into_iter().fold(square.zeros_like(), |sum, coefficient| sum * &square + coefficient) * inverse
    };
    let step = d.where_self(&is_large, &(&end_large - &x_large));
    let large = (&x_large - 0.5) * (&step / &x_large).log1p() + &step * end_large.log() - &step
        + correction(&end_large)
        - correction(&x_large);
    // Gamma(x) = Gamma(x + 1) / x moves both arguments away from the pole at zero.
    let small = (end + 1.0).lgamma() - (x + 1.0).lgamma() - (d / x).log1p();
    large.where_self(&is_large, &small)
}

/// The value of `sqrt(v^2 + x^2)` from which the modified Bessel function `I_v(x)` is computed by Debye's expansion;
/// below it, by the power series.
pub(crate) const BESSEL_SWITCH: f64 = 40.0;

/// Computes `log(I_v(x) Gamma(v + 1) (2 / x)^v)` for `v >= 0`, `x > 0`, both below [`BESSEL_SWITCH`]: the power series
/// of the modified Bessel function of the first kind without its first factor.
///
/// # Shapes
/// Two float64 tensors that broadcast together: `v`, and `x^2 / 4`.
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 10.25.2; the terms after the 56th are below 1e-16 of the sum.
pub(crate) fn log_bessel_series(v: &Tensor, quarter_square: &Tensor) -> Tensor {
    let mut sum = (quarter_square * v).zeros_like() + 1.0;
    for m in (1..=56).rev() {
        let m = f64::from(m);
        sum = sum * (quarter_square / ((v + m) * m)) + 1.0;
    }
    sum.log()
}

/// Computes `log(I_v(x) sqrt(2 pi w) exp(-w) ((v + w) / x)^v)` for `w = sqrt(v^2 + x^2)` of at least [`BESSEL_SWITCH`]:
/// the correction of Debye's uniform expansion of the modified Bessel function of the first kind.
///
/// # Shapes
/// Two float64 tensors that broadcast together.
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 10.41.3.
pub(crate) fn log_bessel_debye(v: &Tensor, w: &Tensor) -> Tensor {
    // With s = (v / w)^2, the k-th term is a polynomial in s over w^k.
    let s = (v / w).square();
    let inverse = w.reciprocal();
    let mut expansion = s.zeros_like();
    for coefficients in debye().iter().rev() {
        let polynomial = coefficients.iter().rev().fold(s.zeros_like(), |sum, &c| sum * &s + c);
        expansion = (expansion + polynomial) * &inverse;
    }
    expansion.log1p()
}

/// Returns the coefficients, in powers of `p^2`, of the polynomials `U_k(p) / p^k` for `k = 1 ..= 12`. The remainder of
/// the expansion is below 1e-15 for `w >= 40`.
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 10.41.9:
/// `U_{k+1} = p^2 (1 - p^2) U_k' / 2 + (1/8) int_0^p (1 - 5 t^2) U_k dt`.
fn debye() -> &'static [Vec<f64>] {
    static COEFFICIENTS: OnceLock<Vec<Vec<f64>>> = OnceLock::new();
    COEFFICIENTS.get_or_init(|| {
        let mut polynomials = vec![vec![1.0]];
        for k in 0..12 {
            let mut next = vec![0.0; k + 2];
            for (j, &c) in polynomials[k].iter().enumerate() {
                // The term c p^(k + 2j) of U_k.
                let power = (k + 2 * j) as f64;
                next[j] += c * (power / 2.0 + 1.0 / (8.0 * (power + 1.0)));
                next[j + 1] -= c * (power / 2.0 + 5.0 / (8.0 * (power + 3.0)));
            }
            polynomials.push(next);
        }
        polynomials.split_off(1)
    })
}

/// Computes `log(k!)` by libtorch's `lgamma` in float64.
pub fn log_factorial(k: f64) -> f64 {
    Tensor::from(k + 1.0).lgamma().double_value(&[])
}

/// Computes `(log(Gamma(x + k) / Gamma(x)), digamma(x + k) - digamma(x))`: the logarithm, and its derivative in `x`.
#[inline(always)]
pub(crate) fn scalar_log_gamma_ratio(x: f64, k: f64) -> (f64, f64) {
    /// From here on, the difference of two gamma functions would cancel.
    const LARGE: f64 = 1e6;
    if x > LARGE {
        // Stirling's series without the terms below a part in 10^18.
        let end = x + k;
        let growth = (k / x).ln_1p();
        let inverses = k / (x * end);
        return ((x - 0.5) * growth + k * (end.ln() - 1.0) - inverses / 12.0, growth + inverses / 2.0);
    }
    (scalar_ln_gamma(k + x) - scalar_ln_gamma(x), scalar_digamma(k + x) - scalar_digamma(x))
}

/// Returns `log k!` of an integer as `f64`.
pub(crate) fn scalar_log_factorial(k: f64) -> f64 {
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let _guard = no_grad_guard();
        Vec::try_from((Tensor::arange(16_384, (Kind::Double, Device::Cpu)) + 1.0).lgamma()).unwrap_or_default()
    });
    table.get(k as usize).copied().unwrap_or_else(|| scalar_ln_gamma(k + 1.0))
}

/// The argument from which the asymptotic series of the two functions below have errors under 1e-17.
const ASYMPTOTIC: f64 = 15.0;

/// Computes `log Gamma(x)` of a positive `f64`; NaN for other numbers, from which the recurrence would not end.
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 5.11.1, after the recurrence has raised `x` to [`ASYMPTOTIC`].
pub(crate) fn scalar_ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (if x > 0.0 { x } else { f64::NAN }, 1.0);
    while x < ASYMPTOTIC {
        product *= x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = 1.0 / 12.0
        - z * (1.0 / 360.0
            - z * (1.0 / 1260.0
                - z * (1.0 / 1680.0 - z * (1.0 / 1188.0 - z * (691.0 / 360_360.0 - z * (1.0 / 156.0))))));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series / x - product.ln()
}

/// Computes the derivative of [`scalar_ln_gamma`].
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 5.11.2, after the recurrence has raised `x` to [`ASYMPTOTIC`].
pub(crate) fn scalar_digamma(x: f64) -> f64 {
    let (mut x, mut steps) = (if x > 0.0 { x } else { f64::NAN }, 0.0);
    while x < ASYMPTOTIC {
        steps += 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = z
        * (1.0 / 12.0
            - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32_760.0))))));
    x.ln() - 0.5 / x - series - steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_gamma_functions_are_libtorchs() {
        for i in -300..300 {
            let x = (f64::from(i) * 0.05).exp();
            let tensor = Tensor::from(x);
            let (ln_gamma, digamma) = (tensor.lgamma().double_value(&[]), tensor.digamma().double_value(&[]));
            assert!((scalar_ln_gamma(x) - ln_gamma).abs() < 3e-15 * ln_gamma.abs().max(10.0), "lgamma({x})");
            assert!((scalar_digamma(x) - digamma).abs() < 3e-15 * digamma.abs().max(10.0), "digamma({x})");
        }
        assert!((scalar_log_factorial(20_000.0) - log_factorial(20_000.0)).abs() < 1e-9);
    }
}
