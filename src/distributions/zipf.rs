//! The Zipf distribution on a finite range: ranks whose probabilities fall off as a power of the rank.
//!
//! `P(X = k) = k^-exponent / sum_j j^-exponent` for `k = 1 .. size`.

use super::distribution::{Distribution, Parameter};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{broadcast, check_count, check_positive, single};
use crate::error::Result;
use crate::math::gauss_sums::Grid;
use tch::{Kind, Tensor};

/// A batch of Zipf distributions with the same number of ranks.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = Zipf::new(4, &Tensor::from(1.0))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::between(1, 4))?; // 1 to 4
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.4800, 0.2400, 0.1600, 0.1200]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct Zipf {
    size: i64,
    exponent: Tensor,
    kind: Kind,
    /// `log sum_j j^-exponent`.
    log_normalizer: Tensor,
}

impl Zipf {
    /// Makes a batch from a number of ranks, from 1 to [`LARGEST_ATOM`](crate::checks::LARGEST_ATOM), and positive
    /// exponents of any shape.
    ///
    /// # Errors
    /// Fails if a value is outside its domain. The check copies the exponents from their device.
    pub fn new(size: i64, exponent: &Tensor) -> Result<Self> {
        check_count("size of Zipf", size)?;
        let (parameters, kind) = broadcast("Zipf", &[exponent])?;
        let exponent = single(parameters);
        check_positive("exponent of Zipf", &exponent)?;
        Ok(Self::from_checked(size, exponent, kind))
    }

    /// Makes a batch from valid parameters.
    fn from_checked(size: i64, exponent: Tensor, kind: Kind) -> Self {
        Self { size, log_normalizer: log_terms(size, &exponent).1.logsumexp(-1, false), exponent, kind }
    }

    /// Computes `E[f(X - 1)]` on the grid of the normalising sum.
    fn expectation(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let (offsets, log_terms) = log_terms(self.size, &self.exponent);
        let weights = (log_terms - self.log_normalizer.unsqueeze(-1)).exp();
        (weights * f(&offsets)).sum_dim_intlist(-1, false, Kind::Double)
    }
}

/// Returns the ranks less one `[n]` on the grid of the sum over all ranks, and the logarithms of their terms
/// `[..., n]`.
fn log_terms(size: i64, exponent: &Tensor) -> (Tensor, Tensor) {
    let grid = Grid::graded(size);
    let offsets = grid.offsets(exponent.device());
    let log_terms = grid.log_weights(exponent.device()) - exponent.unsqueeze(-1) * offsets.log1p();
    (offsets, log_terms)
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "zipf",
    parameters: &["size", "exponent"],
    typical: &[12.0, 1.4],
    whole: 1,
    build: |n, p| Ok(Box::new(Zipf::new(n[0], &p[0])?)),
};

impl Distribution for Zipf {
    fn name(&self) -> &str {
        "Zipf"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("exponent", &self.exponent)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        Box::new(Self::from_checked(self.size, single(values), self.kind))
    }

    fn support(&self) -> Support {
        Support::between(1, self.size)
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.expectation(Tensor::shallow_clone) + 1.0
    }

    fn variance(&self) -> Tensor {
        let mean = self.expectation(Tensor::shallow_clone).unsqueeze(-1);
        self.expectation(|offset| (offset - mean).square())
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        -&self.exponent * k.log() - &self.log_normalizer
    }
}
