//! The flow of mass from each atom to the next, and counts as steps of a continuous variable.
//!
//! With the distribution function `F` and a parameter `theta`, the mass `-dF(k) / d theta` moves from the atoms up to
//! `k` to the atoms above. A count `z` spread uniformly over `z .. z + 1` has the distribution function
//! `(1 - u) F(z - 1) + u F(z)` at `z + u`, and its value at a fixed quantile moves by
//!
//! ```text
//! ((1 - u) (-dF(z - 1)) + u (-dF(z))) / p(z)
//! ```
//!
//! For the Poisson `-dF(k) / d rate = p(k)`, so that the flow past each atom is exactly its own mass.
//!
//! # Gaps
//! Mass may flow past atoms with almost no mass of their own, as between two distant modes, and samples would miss it.
//! Such an atom therefore forms a **group** with the nearest atom before it that has mass. A group is sampled when any
//! of its atoms is, is represented by its first atom, and steps to the first atom of the next group. A score-function
//! term, `d log pi_k (f(c_k) - f(first))`, covers the differences within a group. With most laws, each atom is its own
//! group and the term is zero.

use super::expectation::Expectation;
use super::tensors::{gathered, no_value};
use tch::{Kind, Tensor};

/// An atom has its own group if its mass exceeds `OWN_GROUP / n` times the lighter of its sides: the mass up to it, and
/// the mass from it on, with `n` atoms.
const OWN_GROUP: f64 = 0.1;

/// The flow of mass past each atom: tensors of value zero whose gradient is the flow.
pub(super) struct Flow {
    /// The flow past each atom, `[rows..., latents, atoms]`.
    past: Tensor,
    /// The groups; `None` if each atom is its own group.
    groups: Option<Groups>,
}

/// The group of each atom: tensors `[rows..., latents, atoms]`.
struct Groups {
    /// The first atom of the group.
    first: Tensor,
    /// The first atom of the next group; for the last group, its own first atom.
    next: Tensor,
    /// The last atom of the group.
    last: Tensor,
    /// The group's mass.
    mass: Tensor,
}

/// The transitions of samples to the next atom or group: tensors `[samples, rows..., latents]`.
pub(super) struct Transitions {
    /// The index of the atom that a transition starts from.
    pub from: Tensor,
    /// The index of the atom that it leads to; if nothing flows, `from` or one beyond the last atom.
    pub to: Tensor,
    /// The flow of mass past the atom or group; value zero.
    past: Tensor,
    /// The mass of the atom or group.
    mass: Tensor,
}

impl Transitions {
    /// Returns the flow divided by the mass, `[samples, rows..., latents]`: a tensor of value zero.
    pub fn flow_per_mass(&self) -> Tensor {
        &self.past / &self.mass
    }

    /// Returns whether some transition starts from another atom than the sampled one.
    pub fn start_elsewhere(&self, index: &Tensor) -> bool {
        self.from.ne_tensor(index).any().int64_value(&[]) != 0
    }
}

impl Flow {
    pub fn new(expectation: &Expectation<'_>) -> Self {
        let weights = expectation.log_weights().exp();
        let n = expectation.law.len();
        let up_to = weights.cumsum(-1, None);
        let from = weights.flip([-1]).cumsum(-1, None).flip([-1]);
        let above = from.narrow(-1, 1, n - 1).constant_pad_nd([0, 1]);
        // Uses the side with less mass, which has the smaller rounding error; nothing flows past the last atom.
        let lower = up_to.detach().lt(0.5);
        let groups = Groups::new(&weights.detach(), &up_to.detach(), &from.detach());
        Self { past: no_value(&(-up_to).where_self(&lower, &above)), groups }
    }

    /// Returns the transitions of samples at the atoms `index` `[samples, rows..., latents]`.
    pub fn transitions(&self, expectation: &Expectation<'_>, index: &Tensor) -> Transitions {
        let Some(groups) = &self.groups else {
            let mass = gathered(&expectation.log_weights().detach(), index).exp();
            return Transitions { from: index.shallow_clone(), to: index + 1, past: gathered(&self.past, index), mass };
        };
        let of_group = |each: &Tensor| gathered(each, index);
        let past = gathered(&self.past, &of_group(&groups.last));
        Transitions { from: of_group(&groups.first), to: of_group(&groups.next), past, mass: of_group(&groups.mass) }
    }

    /// Spreads counts over the interval from their group to the next, at fractions `u` `[samples, rows..., latents]` in
    /// `[0, 1]`. Returns the distances from the first atom, whose gradient is that at a fixed quantile.
    pub fn spread(&self, expectation: &Expectation<'_>, index: &Tensor, u: &Tensor) -> Tensor {
        let before = |first: &Tensor| gathered(&self.past, &(first - 1).clamp_min(0)).masked_fill(&first.eq(0), 0.0);
        let Transitions { from, to, past, mass, .. } = self.transitions(expectation, index);
        let flow = before(&from) * (1.0 - u) + past * u;
        let width = (to - &from).clamp_min(1);
        (from + u * &width) + flow / mass * width
    }
}

impl Groups {
    /// Groups atoms by their masses `weights`, the masses `up_to` each and `from` each on; `None` if each is its own
    /// group.
    fn new(weights: &Tensor, up_to: &Tensor, from: &Tensor) -> Option<Self> {
        let n = weights.size().last().copied().unwrap_or(1);
        let alone = weights.gt_tensor(&(up_to.minimum(from) * (OWN_GROUP / n as f64)));
        if alone.all().int64_value(&[]) != 0 {
            return None;
        }
        let indices = Tensor::arange(n, (Kind::Int64, weights.device())).expand_as(weights);
        let filled = |index: i64| indices.full_like(index);
        // Atoms before the first group belong to it.
        let earliest = alone.to_kind(Kind::Int64).argmax(-1, true);
        let first = indices.where_self(&alone, &filled(-1)).cummax(-1).0.maximum(&earliest);
        let later = indices.where_self(&alone, &filled(n)).flip([-1]).cummin(-1).0.flip([-1]);
        let after = Tensor::cat(&[later.narrow(-1, 1, n - 1), filled(n).narrow(-1, 0, 1)], -1);
        let next = after.gather(-1, &first, false);
        let last = &next - 1;
        let next = next.where_self(&next.lt(n), &first);
        let mass = weights.zeros_like().scatter_add(-1, &first, weights).gather(-1, &first, false);
        Some(Self { first, next, last, mass })
    }
}
