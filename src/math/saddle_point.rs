//! Log-probabilities of Poisson and binomial counts that keep their digits for counts of any size.
//!
//! # Source
//! Loader, "Fast and accurate computation of binomial probabilities" (2000).

use super::special::scalar_log_factorial;
use std::f64::consts::TAU;

/// Below this count, factorials are exact enough and Stirling's series is not.
const SMALL: f64 = 16.0;

/// `log P(X = k)` of a Poisson with a positive rate, `k` a whole number from 0.
pub(crate) fn log_poisson(k: f64, rate: f64) -> f64 {
    if k < SMALL {
        return k * rate.ln() - rate - scalar_log_factorial(k);
    }
    -deviance(k, rate) - stirling_error(k) - 0.5 * (TAU * k).ln()
}

/// `log P(X = k)` of a binomial with `n` trials and `p` inside (0, 1), `q = 1 - p`, `k` a whole number from 0 to `n`.
pub(crate) fn log_binomial(k: f64, n: f64, p: f64, q: f64) -> f64 {
    let failures = n - k;
    if k < SMALL || failures < SMALL {
        let of = scalar_log_factorial;
        // Of the two, the smaller count is small: the other factorial and n's differ by few factors.
        let (small, large) = if k < failures { (k, failures) } else { (failures, k) };
        let falling = if large < SMALL { of(n) - of(large) } else { log_falling(n, small) };
        return falling - of(small) + k * p.ln() + failures * q.ln();
    }
    let error = stirling_error(n) - stirling_error(k) - stirling_error(failures);
    error - deviance(k, n * p) - deviance(failures, n * q) + 0.5 * (n / (TAU * k * failures)).ln()
}

/// `log(n (n - 1) ... (n - count + 1))` of a few factors.
fn log_falling(n: f64, count: f64) -> f64 {
    (0..count as i64).map(|i| (n - i as f64).ln()).sum()
}

/// `k log(k / mean) + mean - k`, of which most cancels where the two are close.
fn deviance(k: f64, mean: f64) -> f64 {
    let difference = k - mean;
    if difference.abs() >= 0.1 * (k + mean) {
        return k * (k / mean).ln() - difference;
    }
    let v = difference / (k + mean);
    let (mut sum, mut term) = (difference * v, 2.0 * k * v);
    for j in 1..1000 {
        term *= v * v;
        let next = sum + term / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// `log k!` less Stirling's formula, for counts that are not small.
fn stirling_error(k: f64) -> f64 {
    let z = 1.0 / (k * k);
    (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z / 1188.0)))) / k
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_products_and_of_ratios() {
        // From one atom to the next, the ratio is known exactly.
        for rate in [0.3f64, 12.0, 40.0, 1e6, 1e15] {
            for offset in [-3.0, -1.0, 0.0, 2.0] {
                let k = (rate + offset * rate.sqrt()).floor().max(0.0);
                let found = log_poisson(k + 1.0, rate) - log_poisson(k, rate);
                let expected = -((k + 1.0 - rate) / rate).ln_1p();
                assert!((found - expected).abs() < 1e-12 * k.ln().max(1.0) + 1e-7 * expected.abs(), "{rate} {k}");
            }
        }
        let mut total = 0.0;
        for k in 0..=60 {
            total += log_binomial(f64::from(k), 60.0, 0.37, 0.63).exp();
        }
        assert!((total - 1.0f64).abs() < 1e-13, "{total}");
        for (n, p) in [(5.0, 0.2), (1e3, 0.01), (1e9, 0.4)] {
            let k = f64::floor(n * p);
            let found = log_binomial(k + 1.0, n, p, 1.0 - p) - log_binomial(k, n, p, 1.0 - p);
            let expected = ((n - k) / (k + 1.0) * p / (1.0 - p)).ln();
            assert!((found - expected).abs() < 1e-11, "{n} {p}: {found} {expected}");
        }
    }
}
