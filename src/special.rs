//! Special functions on float64 tensors, differentiable to any order because they are tensor graphs.
//!
//! Tail probabilities of the Poisson are regularised incomplete gamma functions, those of the binomial and the negative
//! binomial regularised incomplete beta functions. Both are returned as a *pair of logarithms*, of the function and of
//! its complement: the smaller of the two comes from a continued fraction that converges there, the larger one from
//! [`log1mexp`], so neither loses digits, however far out in the tail it lies.
//!
//! # Source
//! Continued fractions: NIST Digital Library of Mathematical Functions, 8.9.2, 8.17.22 and (for the lower incomplete
//! gamma function, the limit of 8.17.22 for a large second parameter) 8.17.23.

use tch::Tensor;

/// `log(1 - exp(x))` for `x < 0`, without cancellation at either end.
///
/// # Source
/// Martin Maechler, "Accurately computing log(1 - exp(-|a|))", 2012: `log(-expm1(x))` above `-log 2`, `log1p(-exp(x))` below.
pub fn log1mexp(x: &Tensor) -> Tensor {
    const LN_HALF: f64 = -std::f64::consts::LN_2;
    let near = x.clamp_min(LN_HALF).expm1().neg().log();
    let far = x.clamp_max(LN_HALF).exp().neg().log1p();
    near.where_self(&x.gt(LN_HALF), &far)
}

/// Levels of a continued fraction: `base + slope sqrt(size)`.
///
/// Each fraction converges most slowly at the argument where it is handed over to the other one, near the mean. There, the
/// levels for a relative error of 1e-10 were counted against 8,000 levels, for sizes from 1 to 10,000: 13, 21, 51, 190 (at 1, 11,
/// 200, 10,000) for the lower incomplete gamma function, 1, 10, 37, 150 for the upper one, and at most 18, 37, 77, 200 for the
/// incomplete beta function with a second parameter of 0.1 and more.
fn levels(base: f64, slope: f64, size: f64) -> i64 {
    (base + slope * size.max(0.0).sqrt()).ceil() as i64
}

/// `(log P(a, x), log Q(a, x))`, the regularised lower and upper incomplete gamma functions, for an integer `a >= 1`.
///
/// # Shapes
/// `x` any shape, float64, positive; both results have its shape.
pub fn log_incomplete_gamma(a: i64, x: &Tensor) -> (Tensor, Tensor) {
    let a = a as f64;
    // P below a + 1, Q above; each evaluated at an argument clamped into its own region, so that the branch that is not
    // taken stays finite and passes a zero gradient.
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

/// `(log I_x(a, b), log I_{1-x}(b, a))`, the regularised incomplete beta function and its complement.
///
/// `log_x` and `log_y` are `log x` and `log(1 - x)`, both needed so that neither end is rounded; `size` is the larger of
/// `a` and `b` up to a factor, known on the host, and sets the depth of the continued fraction.
///
/// # Shapes
/// Four float64 tensors that broadcast together; both results have the broadcast shape.
pub fn log_incomplete_beta(a: &Tensor, b: &Tensor, log_x: &Tensor, log_y: &Tensor, size: f64) -> (Tensor, Tensor) {
    let x = log_x.exp();
    // Where x lies beyond the mean, the complement is the smaller part: swap the roles there, elementwise.
    let swap = x.gt_tensor(&((a + 1.0) / (a + b + 2.0)));
    let pick = |if_swapped: &Tensor, otherwise: &Tensor| if_swapped.where_self(&swap, otherwise);
    let (p, q) = (pick(b, a), pick(a, b));
    let (log_u, log_v) = (pick(log_y, log_x), pick(log_x, log_y));
    let u = log_u.exp();

    let mut t = u.ones_like();
    for i in (1..=levels(24.0, 3.0, size)).rev() {
        let m = (i / 2) as f64;
        let d = if i % 2 == 0 {
            (&q - m) * m / ((&p + (2.0 * m - 1.0)) * (&p + 2.0 * m))
        } else {
            -(&p + m) * (&p + &q + m) / ((&p + 2.0 * m) * (&p + (2.0 * m + 1.0)))
        };
        t = d * &u / t + 1.0;
    }
    let log_beta = p.lgamma() + q.lgamma() - (&p + &q).lgamma();
    let small = &p * log_u + &q * log_v - p.log() - log_beta - t.log();
    let large = log1mexp(&small);
    (pick(&large, &small), pick(&small, &large))
}

/// `log(k!)`, the constant in front of a pmf, by libtorch's own `lgamma` in float64.
pub fn log_factorial(k: f64) -> f64 {
    Tensor::from(k + 1.0).lgamma().double_value(&[])
}
