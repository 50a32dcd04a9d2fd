//! A search for mass beyond the end of a sum: for further modes that the ratio test misses.
//!
//! A sum of a pmf ends when its terms have become negligible. The law may have another mode farther out, and the total
//! of an unnormalised law does not show it. So the integers beyond the end are evaluated: one by one at first, then in
//! steps of the square root of their distance, which do not skip a mode as wide as that of a count.

use crate::checks::LARGEST_ATOM;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The most log-pmf values that are evaluated at successive integers, over all rows of the batch.
const SUCCESSIVE_VALUES: i64 = 1 << 20;

/// The bounds of the number of successive integers evaluated per row.
const FEWEST_SUCCESSIVE: i64 = 1 << 12;
const MOST_SUCCESSIVE: i64 = 1 << 17;

/// The most log-pmf values in one tensor, which bounds its memory.
const VALUES_PER_CALL: i64 = 1 << 21;

/// Returns the integer farthest from `start`, in the direction of `sign` (1 or -1), at which the log-pmf of some row
/// exceeds `negligible` `[rows...]`; `None` if there is none. The search begins `beyond` steps from `start` and ends at
/// the largest distance of a window.
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
    let successive = (SUCCESSIVE_VALUES / rows).clamp(FEWEST_SUCCESSIVE, MOST_SUCCESSIVE);
    let mut offsets = Vec::new();
    let mut offset = beyond;
    while offset <= 2 * LARGEST_ATOM {
        offsets.push(offset);
        offset += if offset < successive { 1 } else { (offset as f64).sqrt() as i64 };
    }
    let bound = negligible.unsqueeze(-1);
    let mut found = None;
    for part in offsets.chunks((VALUES_PER_CALL / rows).max(1) as usize) {
        let ks = Tensor::from_slice(part).to_kind(Kind::Double).to_device(device) * sign + start;
        let heavy = log_pmf(&ks).gt_tensor(&bound).reshape([-1, part.len() as i64]).any_dim(0, false);
        let last = Vec::<bool>::try_from(heavy).ok().and_then(|heavy| heavy.iter().rposition(|&heavy| heavy));
        found = last.map(|last| start + sign * part[last]).or(found);
    }
    found
}
