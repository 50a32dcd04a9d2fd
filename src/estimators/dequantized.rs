//! How fast mass flows from each atom to the next, and counts as steps of a continuous variable.
//!
//! With the distribution function `F`, `-dF(k) / d theta` of mass moves from `k` and below to above it. A count `z` spread evenly over
//! `z .. z + 1` has the distribution function `(1 - u) F(z - 1) + u F(z)` at `z + u`, and its number at a fixed quantile moves by
//!
//! ```text
//! ((1 - u) (-dF(z - 1)) + u (-dF(z))) / p(z)
//! ```
//!
//! For the Poisson `-dF(k) / d rate = p(k)`, so that the flow past each atom is exactly its own mass.

use super::{Expectation, gathered, no_value};
use tch::Tensor;

/// Flows past the atoms, in their order, as tensors of no value.
pub(super) struct Flow {
    /// Past each atom, `[rows..., latents, atoms]`.
    past: Tensor,
}

impl Flow {
    pub fn new(of: &Expectation<'_>) -> Self {
        let weights = of.log_weights().exp();
        let n = weights.size().last().copied().unwrap_or(1);
        let up_to = weights.cumsum(-1, None);
        let from = weights.flip([-1]).cumsum(-1, None).flip([-1]);
        let above = from.narrow(-1, 1, n - 1).constant_pad_nd([0, 1]);
        // The side with less mass keeps its digits; nothing flows past the last atom.
        let lower = up_to.detach().lt(0.5);
        Self { past: no_value(&(-up_to).where_self(&lower, &above)) }
    }

    /// `-dF(z) / p(z)` at atoms `[samples, rows..., latents]`.
    pub fn at(&self, of: &Expectation<'_>, index: &Tensor) -> Tensor {
        gathered(&self.past, index) / Self::mass(of, index)
    }

    /// How fast `z + u` moves at a fixed quantile, for `u` `[samples, rows..., latents]` in `[0, 1]`.
    pub fn between(&self, of: &Expectation<'_>, index: &Tensor, u: &Tensor) -> Tensor {
        let first = index.eq(0);
        let before = gathered(&self.past, &(index - 1).clamp_min(0)).masked_fill(&first, 0.0);
        (before * (1.0 - u) + gathered(&self.past, index) * u) / Self::mass(of, index)
    }

    fn mass(of: &Expectation<'_>, index: &Tensor) -> Tensor {
        gathered(&of.log_weights().detach(), index).exp()
    }
}
