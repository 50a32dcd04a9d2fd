//! The Conway-Maxwell-Poisson distribution: counts with more or less variance than a Poisson's.
//!
//! `P(X = k) = rate^k / (k!)^nu / Z` for `k = 0, 1, ...`. `nu = 1` is the Poisson, `nu < 1` has more variance, `nu > 1`
//! less, and `nu -> 0` is a geometric. `Z` and the moments are sums over all atoms with mass, on a grid whose spacing
//! grows with the square root of the atom, as the law's width does.

use super::distribution::{Distribution, Parameter};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{LARGEST_ATOM, POSITIVE, broadcast, is_positive, require, two};
use crate::error::{Error, Result};
use crate::math::gauss_sums::Grid;
use std::sync::Arc;
use tch::{Kind, Tensor, no_grad_guard};

/// The most terms of the normalising sum.
const MOST_TERMS: usize = 1 << 20;

/// A batch of Conway-Maxwell-Poisson distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = ConwayMaxwellPoisson::new(&Tensor::from(2.0), &Tensor::from(1.5))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::right(4))?; // 0, 1, 2, and 3 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1952, 0.3904, 0.2761, 0.1383]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct ConwayMaxwellPoisson {
    rate: Tensor,
    nu: Tensor,
    kind: Kind,
    grid: Arc<Grid>,
    /// `log Z`.
    log_normalizer: Tensor,
}

impl ConwayMaxwellPoisson {
    /// Makes a batch from positive rates and positive dispersions `nu`, which broadcast together. Copies the values
    /// from their device, to find how many terms the normalising sum needs.
    ///
    /// # Errors
    /// Fails if a value is not positive or above 1e30, the shapes do not broadcast, or the mode lies beyond
    /// [`LARGEST_ATOM`].
    pub fn new(rate: &Tensor, nu: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("ConwayMaxwellPoisson", &[rate, nu])?;
        let (rate, nu) = two(parameters);
        require("rate of ConwayMaxwellPoisson", &rate, &is_positive(&rate), POSITIVE)?;
        require("nu of ConwayMaxwellPoisson", &nu, &is_positive(&nu), POSITIVE)?;
        let grid = Arc::new(grid(&rate, &nu)?);
        Ok(Self::from_checked(rate, nu, kind, grid))
    }

    /// Makes a batch from valid parameters, with a grid that resolves their terms.
    fn from_checked(rate: Tensor, nu: Tensor, kind: Kind, grid: Arc<Grid>) -> Self {
        let ks = grid.offsets(rate.device());
        let terms = log_terms(&rate.unsqueeze(-1), &nu.unsqueeze(-1), &ks) + grid.log_weights(rate.device());
        Self { log_normalizer: terms.logsumexp(-1, false), rate, nu, kind, grid }
    }

    /// Computes `E[f(X)]` on the grid of the normalising sum, for `f` of the atoms `[n]` or `[..., n]`.
    fn expectation(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let ks = self.grid.offsets(self.rate.device());
        let terms = log_terms(&self.rate.unsqueeze(-1), &self.nu.unsqueeze(-1), &ks)
            + self.grid.log_weights(self.rate.device())
            - self.log_normalizer.unsqueeze(-1);
        (terms.exp() * f(&ks)).sum_dim_intlist(-1, false, Kind::Double)
    }
}

/// Computes the logarithm of `rate^k / (k!)^nu`.
fn log_terms(rate: &Tensor, nu: &Tensor, k: &Tensor) -> Tensor {
    k * rate.log() - nu * (k + 1.0).lgamma()
}

/// Makes a grid that resolves the terms of all rows.
fn grid(rate: &Tensor, nu: &Tensor) -> Result<Grid> {
    let _guard = no_grad_guard();
    let mut grid = Grid::default();
    if rate.numel() == 0 {
        grid.push_block(0, 1);
        return Ok(grid);
    }
    let mode = (rate.log() / nu).exp().floor();
    let reachable = mode.le(LARGEST_ATOM as f64);
    let allowed = format!("small enough that rate^(1/nu) is at most {LARGEST_ATOM}");
    require("rate of ConwayMaxwellPoisson", rate, &reachable, &allowed)?;
    let highest = log_terms(rate, nu, &mode);
    let mut end = 64i64;
    let over = |end: i64| {
        let k = rate.full_like(end as f64);
        let over = (log_terms(rate, nu, &k) + 2.0 * (end as f64).ln()).lt_tensor(&(&highest - 42.0));
        over.logical_and(&mode.lt_tensor(&k)).all().int64_value(&[]) != 0
    };
    while !over(end) {
        if end >= 1 << 40 {
            let rate = rate.max().double_value(&[]);
            return Err(Error::parameter(
                "rate of ConwayMaxwellPoisson",
                rate,
                "at most 1 - 1e-10 if nu is close to zero",
            ));
        }
        end *= 2;
    }
    let narrowest = nu.max().double_value(&[]);
    let (mut start, mut terms) = (0, 0);
    while start < end {
        let width = 3.0 * (start as f64 / narrowest).sqrt();
        let size = (width.min(start as f64 / 2.0) as i64).clamp(1, end - start);
        grid.push_block(start, size);
        start += size;
        terms += 1;
        if terms > MOST_TERMS / 8 {
            let allowed = format!("small enough that {MOST_TERMS} terms sum all laws of the batch");
            return Err(Error::parameter("nu of ConwayMaxwellPoisson", narrowest, allowed));
        }
    }
    Ok(grid)
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "conway-maxwell-poisson",
    parameters: &["rate", "nu"],
    typical: &[4.0, 1.5],
    whole: 0,
    build: |_, p| Ok(Box::new(ConwayMaxwellPoisson::new(&p[0], &p[1])?)),
};

impl Distribution for ConwayMaxwellPoisson {
    fn name(&self) -> &str {
        "ConwayMaxwellPoisson"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("rate", &self.rate), Parameter::scalar("nu", &self.nu)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (rate, nu) = two(values);
        Box::new(Self::from_checked(rate, nu, self.kind, self.grid.clone()))
    }

    fn support(&self) -> Support {
        Support::from(0)
    }

    fn may_vanish(&self) -> bool {
        false
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        self.expectation(Tensor::shallow_clone)
    }

    fn variance(&self) -> Tensor {
        let mean = self.mean().unsqueeze(-1);
        self.expectation(|k| (k - mean).square())
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        log_terms(&self.rate, &self.nu, k) - &self.log_normalizer
    }
}
