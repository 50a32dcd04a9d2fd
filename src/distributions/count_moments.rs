//! Families of counts whose variance is a polynomial of the mean, of degree two at most: their moments are closed
//! forms, without a window.

use tch::Tensor;

/// A family of counts by its mean, and by what else determines it; float64, with a graph in the parameters.
#[derive(Debug)]
pub struct CountMoments {
    /// The mean, of the batch shape.
    pub mean: Tensor,
    /// The family.
    pub family: CountFamily,
}

/// The families.
#[derive(Debug)]
pub enum CountFamily {
    /// The variance is the mean, `m`.
    Poisson,
    /// Successes in a number of trials `n`: the variance is `m - m^2 / n`.
    Binomial {
        /// How many trials.
        total_count: i64,
        /// The mean number of failures, `n - m`.
        failures: Tensor,
    },
    /// A Poisson whose rate is a gamma variable of shape `r`: the variance is `m + m^2 / r`. At `r = 1`, the geometric.
    NegativeBinomial {
        /// `r`, which broadcasts to the batch shape.
        total_count: Tensor,
    },
}
