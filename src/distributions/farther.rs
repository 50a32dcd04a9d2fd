//! Mass beyond the end of a sum: a search for modes that the ratio test does not see.
//!
//! A sum of a pmf ends where its terms have fallen off. A law may have another mode beyond, and for an unnormalised law
//! no total tells. So integers beyond the end are looked at: one by one at first, then in steps of the square root of
//! their distance, which a mode as wide as that of a count cannot slip through.

use crate::checks::LARGEST_ATOM;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Numbers that are looked at one by one, over all rows of the batch.
const ONE_BY_ONE: i64 = 1 << 20;

/// The fewest and the most integers that are looked at one by one in each row.
const FEWEST: i64 = 1 << 12;
const MOST: i64 = 1 << 17;

/// Numbers in one tensor.
const AT_ONCE: i64 = 1 << 21;

/// The integer farthest from `start` in the direction of `sign` at which some row has more than `negligible`, a log
/// mass `[rows...]`; from `beyond` steps away on, as far as a window may reach.
///
/// # Shapes
/// `log_pmf` maps integers `[n]` to `[rows..., n]`.
pub(super) fn farther_mass(
    log_pmf: impl Fn(&Tensor) -> Tensor,
    (start, sign, beyond): (i64, i64, i64),
    negligible: &Tensor,
    device: Device,
) -> Option<i64> {
    let _guard = no_grad_guard();
    let rows = negligible.numel().max(1) as i64;
    let one_by_one = (ONE_BY_ONE / rows).clamp(FEWEST, MOST);
    let mut offsets = Vec::new();
    let mut offset = beyond;
    while offset <= 2 * LARGEST_ATOM {
        offsets.push(offset);
        offset += if offset < one_by_one { 1 } else { (offset as f64).sqrt() as i64 };
    }
    let bound = negligible.unsqueeze(-1);
    let mut found = None;
    for part in offsets.chunks((AT_ONCE / rows).max(1) as usize) {
        let ks = Tensor::from_slice(part).to_kind(Kind::Double).to_device(device) * sign + start;
        let heavy = log_pmf(&ks).gt_tensor(&bound).reshape([-1, part.len() as i64]).any_dim(0, false);
        let last = Vec::<bool>::try_from(heavy).ok().and_then(|heavy| heavy.iter().rposition(|&heavy| heavy));
        found = last.map(|last| start + sign * part[last]).or(found);
    }
    found
}
