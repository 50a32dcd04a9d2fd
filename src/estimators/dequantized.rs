//! How fast mass flows from each atom to the next, and counts as steps of a continuous variable.
//!
//! With the distribution function `F`, `-dF(k) / d theta` of mass moves from `k` and below to above it. A count `z`
//! spread evenly over `z .. z + 1` has the distribution function `(1 - u) F(z - 1) + u F(z)` at `z + u`, and its number
//! at a fixed quantile moves by
//!
//! ```text
//! ((1 - u) (-dF(z - 1)) + u (-dF(z))) / p(z)
//! ```
//!
//! For the Poisson `-dF(k) / d rate = p(k)`, so that the flow past each atom is exactly its own mass.
//!
//! # Gaps
//! Mass may flow past atoms that are never drawn, or hardly ever, as between two modes far apart. So that it is seen,
//! such an atom is taken together with the one before it that has mass: a **group** is drawn when any of its atoms is,
//! stands at its first, and steps to the first of the next group. What its atoms say beyond that,
//! `d log pi_k (f(c_k) - f(first))`, remains to the score function; of the groups of one atom that most laws consist
//! of, it is nothing.

use super::expectation::Expectation;
use super::tensors::{gathered, no_value};
use tch::{Kind, Tensor};

/// An atom has a group of its own if it has this share, divided by the number of atoms, of the mass to the lighter of
/// its sides.
const OWN_GROUP: f64 = 0.1;

/// Flows past the atoms, in their order, as tensors of no value.
pub(super) struct Flow {
    /// Past each atom, `[rows..., latents, atoms]`.
    past: Tensor,
    /// Where atoms are grouped, each atom's group.
    groups: Option<Groups>,
}

/// For each atom, `[rows..., latents, atoms]`, its group.
struct Groups {
    /// The first atom of the group.
    first: Tensor,
    /// The first atom of the next group; of the last group, its own.
    next: Tensor,
    /// The last atom of the group.
    last: Tensor,
    /// The group's mass.
    mass: Tensor,
}

/// Steps of samples to what comes next, `[samples, rows..., latents]` each.
pub(super) struct Steps {
    /// From which atom.
    pub from: Tensor,
    /// To which; where nothing flows, the same or one beyond the last.
    pub to: Tensor,
    /// How fast mass flows past; a tensor of no value.
    past: Tensor,
    /// The mass that is drawn there.
    mass: Tensor,
}

impl Steps {
    /// How fast mass flows past, divided by the mass that is drawn there; a tensor of no value.
    pub fn speed(&self) -> Tensor {
        &self.past / &self.mass
    }

    /// Whether some sample steps from another atom than its own.
    pub fn leave_samples(&self, index: &Tensor) -> bool {
        self.from.ne_tensor(index).any().int64_value(&[]) != 0
    }
}

impl Flow {
    pub fn new(of: &Expectation<'_>) -> Self {
        let weights = of.log_weights().exp();
        let n = of.law.len();
        let up_to = weights.cumsum(-1, None);
        let from = weights.flip([-1]).cumsum(-1, None).flip([-1]);
        let above = from.narrow(-1, 1, n - 1).constant_pad_nd([0, 1]);
        // The side with less mass keeps its digits; nothing flows past the last atom.
        let lower = up_to.detach().lt(0.5);
        let groups = Groups::new(&weights.detach(), &up_to.detach(), &from.detach());
        Self { past: no_value(&(-up_to).where_self(&lower, &above)), groups }
    }

    /// From atoms `[samples, rows..., latents]`.
    pub fn steps(&self, of: &Expectation<'_>, index: &Tensor) -> Steps {
        let Some(groups) = &self.groups else {
            let mass = gathered(&of.log_weights().detach(), index).exp();
            return Steps { from: index.shallow_clone(), to: index + 1, past: gathered(&self.past, index), mass };
        };
        let of_group = |each: &Tensor| gathered(each, index);
        let past = gathered(&self.past, &of_group(&groups.last));
        Steps { from: of_group(&groups.first), to: of_group(&groups.next), past, mass: of_group(&groups.mass) }
    }

    /// Counts spread evenly from their group to the next, by `u` `[samples, rows..., latents]` in `[0, 1]`: how far
    /// they are beyond the first atom of all, with the derivative at a fixed quantile.
    pub fn spread(&self, of: &Expectation<'_>, index: &Tensor, u: &Tensor) -> Tensor {
        let before = |first: &Tensor| gathered(&self.past, &(first - 1).clamp_min(0)).masked_fill(&first.eq(0), 0.0);
        let Steps { from, to, past, mass, .. } = self.steps(of, index);
        let flow = before(&from) * (1.0 - u) + past * u;
        let width = (to - &from).clamp_min(1);
        (from + u * &width) + flow / mass * width
    }
}

impl Groups {
    /// From the mass of each atom, of it and all below, and of it and all above; nothing if each atom is a group.
    fn new(weights: &Tensor, up_to: &Tensor, from: &Tensor) -> Option<Self> {
        let n = weights.size().last().copied().unwrap_or(1);
        let alone = weights.gt_tensor(&(up_to.minimum(from) * (OWN_GROUP / n as f64)));
        if alone.all().int64_value(&[]) != 0 {
            return None;
        }
        let places = Tensor::arange(n, (Kind::Int64, weights.device())).expand_as(weights);
        let nowhere = |place: i64| places.full_like(place);
        // Atoms before the first group belong to it.
        let earliest = alone.to_kind(Kind::Int64).argmax(-1, true);
        let first = places.where_self(&alone, &nowhere(-1)).cummax(-1).0.maximum(&earliest);
        let later = places.where_self(&alone, &nowhere(n)).flip([-1]).cummin(-1).0.flip([-1]);
        let after = Tensor::cat(&[later.narrow(-1, 1, n - 1), nowhere(n).narrow(-1, 0, 1)], -1);
        let next = after.gather(-1, &first, false);
        let last = &next - 1;
        let next = next.where_self(&next.lt(n), &first);
        let mass = weights.zeros_like().scatter_add(-1, &first, weights).gather(-1, &first, false);
        Some(Self { first, next, last, mass })
    }
}
