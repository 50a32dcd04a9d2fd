//! Means over documents, with the standard error that the choice of documents leaves.
//!
//! Of documents with numbers `x_i` and weights `t_i`, the ratio is `r = sum x / sum t`, and to the first order
//!
//! ```text
//! se(r) = sqrt(n / (n - 1) * sum_i (x_i - r t_i)^2) / sum t
//! ```
//!
//! With weights of one it is the mean and its usual standard error.
//!
//! # Source
//! Cochran, "Sampling Techniques", third edition, 1977, equation 2.46.

/// Sums over documents.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ratio {
    documents: f64,
    x: f64,
    t: f64,
    xx: f64,
    xt: f64,
    tt: f64,
}

impl Ratio {
    /// Adds a document.
    pub fn add(&mut self, x: f64, t: f64) {
        self.documents += 1.0;
        self.x += x;
        self.t += t;
        self.xx += x * x;
        self.xt += x * t;
        self.tt += t * t;
    }

    /// The ratio; zero without a weight.
    pub fn value(&self) -> f64 {
        if self.t == 0.0 { 0.0 } else { self.x / self.t }
    }

    /// Its standard error; `None` for fewer than two documents, or without a weight.
    pub fn standard_error(&self) -> Option<f64> {
        if self.documents < 2.0 || self.t == 0.0 {
            return None;
        }
        let ratio = self.value();
        // Rounding may leave less than nothing where all documents are alike.
        let squares = (self.xx - 2.0 * ratio * self.xt + ratio * ratio * self.tt).max(0.0);
        Some((self.documents / (self.documents - 1.0) * squares).sqrt() / self.t.abs())
    }

    /// The exponential of the ratio, and its standard error to the first order.
    pub fn exponential(&self) -> (f64, Option<f64>) {
        let value = self.value().exp();
        (value, self.standard_error().map(|error| value * error))
    }
}
