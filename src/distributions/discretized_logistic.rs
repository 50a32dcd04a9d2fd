//! The discretised logistic distribution: a logistic variable rounded to the nearest integer.
//!
//! `P(X = k) = sigmoid((k + 1/2 - loc) / scale) - sigmoid((k - 1/2 - loc) / scale)` for all integers `k`. Truncated to
//! `0 ..= 255` with merged tails it is the pixel likelihood of PixelCNN++ (Salimans, Karpathy, Chen, Kingma, arXiv
//! 1701.05517).

use super::distribution::{Distribution, Parameter, drawn_shape};
use super::family_entry::FamilyEntry;
use super::support::Support;
use crate::checks::{LARGEST_ATOM, broadcast, check, two};
use crate::error::Result;
use crate::math::gauss_sums::{DOUBLINGS, Grid};
use crate::math::special::log1mexp;
use crate::platform::device::is_host;
use tch::{Kind, Tensor};

/// A batch of discretised logistic distributions.
///
/// ```
/// use gengs::prelude::*;
/// use tch::Tensor;
///
/// let law = DiscretizedLogistic::new(&Tensor::from(0.3), &Tensor::from(1.0))?;
/// let q = TruncatedDistribution::new(&law, &Truncation::between(-2, 2))?; // -2 or less, ..., 2 or more
/// let probs = Vec::<f64>::try_from(q.log_weights().exp())?;
/// assert_eq!(format!("{probs:.4?}"), "[0.1419, 0.1682, 0.2398, 0.2187, 0.2315]");
/// # Ok::<(), gengs::Error>(())
/// ```
#[derive(Debug)]
pub struct DiscretizedLogistic {
    loc: Tensor,
    scale: Tensor,
    kind: Kind,
}

impl DiscretizedLogistic {
    /// Makes a batch from centres within +-[`LARGEST_ATOM`] and positive scales up to [`LARGEST_ATOM`], which broadcast
    /// together.
    ///
    /// # Errors
    /// Fails if a value is outside its domain (the check copies the values from their device), or if the shapes do not
    /// broadcast.
    pub fn new(loc: &Tensor, scale: &Tensor) -> Result<Self> {
        let (parameters, kind) = broadcast("DiscretizedLogistic", &[loc, scale])?;
        let (loc, scale) = two(parameters);
        let largest = LARGEST_ATOM as f64;
        let allowed = format!("within -{LARGEST_ATOM}..={LARGEST_ATOM}");
        check("loc of DiscretizedLogistic", &loc, |loc| loc.abs().le(largest), &allowed)?;
        let inside = |scale: &Tensor| scale.gt(0.0).logical_and(&scale.le(largest));
        check("scale of DiscretizedLogistic", &scale, inside, &format!("positive and at most {LARGEST_ATOM}"))?;
        Ok(Self { loc, scale, kind })
    }

    /// Computes the log-pmf at a given distance from `loc`. With `a` and `b` the ends of the bin in units of the scale,
    /// `sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b))`, which does not cancel.
    fn log_pmf_at(&self, distance: &Tensor, scale: &Tensor) -> Tensor {
        let below = ((distance + 0.5) / scale).log_sigmoid();
        let above = ((distance - 0.5) / scale).neg().log_sigmoid();
        below + above + log1mexp(&scale.reciprocal().neg())
    }

    /// Returns a grid up to where the mass of the widest law in the batch is negligible.
    fn grid_to_negligible_mass(&self) -> Grid {
        /// How many scales, plus as many integers, the grid reaches from the centre: `exp(-64)` of the mass lies
        /// beyond.
        const FAR: f64 = 64.0;
        let widest = if self.scale.numel() == 0 { 1.0 } else { self.scale.detach().max().double_value(&[]) };
        let length = (FAR * (widest.max(0.0) + 1.0)).log2().ceil();
        // An infinite scale, possible without checks, gets the largest grid.
        if length < DOUBLINGS as f64 { Grid::graded(1 << length as u32) } else { Grid::half_line() }
    }

    /// Computes `E[f(X - centre)]` for the integer `centre` nearest to `loc`; returns `(centre, expectation)`.
    fn about_centre(&self, f: impl Fn(&Tensor) -> Tensor) -> (Tensor, Tensor) {
        let centre = self.loc.detach().round();
        let distance = (&centre - &self.loc).unsqueeze(-1);
        let scale = self.scale.unsqueeze(-1);
        let grid = if is_host(self.loc.device()) { self.grid_to_negligible_mass() } else { Grid::half_line() };
        let (offsets, log_weights) = (grid.offsets(self.loc.device()), grid.log_weights(self.loc.device()));
        let side = |offsets: &Tensor, log_weights: &Tensor| {
            let weights = (self.log_pmf_at(&(&distance + offsets), &scale) + log_weights).exp();
            (weights * f(offsets)).sum_dim_intlist(-1, false, Kind::Double)
        };
        let rest = offsets.size()[0] - 1;
        let below = side(&offsets.narrow(0, 1, rest).neg(), &log_weights.narrow(0, 1, rest));
        (centre, side(&offsets, &log_weights) + below)
    }
}

pub(super) const ENTRY: FamilyEntry = FamilyEntry {
    name: "discretized-logistic",
    parameters: &["loc", "scale"],
    typical: &[1.3, 0.8],
    whole: 0,
    build: |_, p| Ok(Box::new(DiscretizedLogistic::new(&p[0], &p[1])?)),
};

impl Distribution for DiscretizedLogistic {
    fn name(&self) -> &str {
        "DiscretizedLogistic"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::scalar("loc", &self.loc), Parameter::scalar("scale", &self.scale)]
    }

    fn with_parameters(&self, values: Vec<Tensor>) -> Box<dyn Distribution> {
        let (loc, scale) = two(values);
        Box::new(Self { loc, scale, kind: self.kind })
    }

    fn support(&self) -> Support {
        Support::INTEGERS
    }

    /// Keeps the default of `may_vanish`: with tiny scales, weights fall below the smallest `f64`.
    fn is_smooth(&self) -> bool {
        true
    }

    fn has_closed_tails(&self) -> bool {
        true
    }

    fn mean(&self) -> Tensor {
        let (centre, deviation) = self.about_centre(Tensor::shallow_clone);
        centre + deviation
    }

    fn variance(&self) -> Tensor {
        let (_, deviation) = self.about_centre(Tensor::shallow_clone);
        let (_, square) = self.about_centre(Tensor::square);
        (square - deviation.square()).clamp_min(0.0)
    }

    fn log_pmf(&self, k: &Tensor) -> Tensor {
        self.log_pmf_at(&(k - &self.loc), &self.scale)
    }

    fn log_tails(&self, k: i64) -> Result<(Tensor, Tensor)> {
        let edge = (self.loc.neg() + (k as f64 - 0.5)) / &self.scale;
        Ok((edge.log_sigmoid(), edge.neg().log_sigmoid()))
    }

    fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let shape = drawn_shape(sample_shape, self)?;
        let uniform = Tensor::f_rand(&shape, (Kind::Double, self.loc.device()))?;
        // A uniform draw of zero (one in 2^53) would give minus infinity.
        let logistic = uniform.clamp_min(f64::EPSILON / 4.0).logit(None);
        Ok((logistic * self.scale.detach() + self.loc.detach()).round().to_kind(self.kind))
    }
}
