//! A window for a single latent.

use super::recurrence::{PmfRecurrence, Step};
use crate::checks::LARGEST_ATOM;

/// Returns a window around the mean with at least two atoms and at most half of `tail_mass` beyond each end; `None` if
/// it has more than `widest` atoms. Steps outwards from the mean until a geometric series bounds the rest, so that the
/// cost depends on the window and not on the mean.
pub(crate) fn own_window(law: &impl PmfRecurrence, tail_mass: f64, widest: i64) -> Option<(i64, i64)> {
    let mean = law.mean();
    if !(mean >= 0.0 && mean <= LARGEST_ATOM as f64) {
        return None;
    }
    let highest = law.highest().unwrap_or(i64::MAX);
    let middle = (mean.floor() as i64).min(highest);
    let (start, mass_beyond_end) = (law.atom(middle as f64).log_weight.exp(), tail_mass / 2.0);
    // The mass beyond an atom of mass p is at most the geometric series p (r + r^2 + ...).
    let fits = |p: f64, ratio: f64| ratio < 1.0 && p * ratio <= mass_beyond_end * (1.0 - ratio);

    let (mut hi, mut p) = (middle, start);
    while hi < highest {
        let ratio = law.ratio(Step::from(hi as f64));
        if fits(p, ratio.max(law.ratio_limit())) {
            break;
        }
        p *= ratio;
        hi += 1;
        if hi - middle > widest {
            return None;
        }
    }
    let (mut lo, mut p) = (middle, start);
    while lo > 0 {
        let ratio = 1.0 / law.ratio(Step::from(lo as f64 - 1.0));
        if fits(p, ratio) {
            break;
        }
        p *= ratio;
        lo -= 1;
        if hi - lo >= widest {
            return None;
        }
    }
    if lo < hi {
        return Some((lo, hi));
    }
    let above = if hi < highest { law.ratio(Step::from(hi as f64)) } else { 0.0 };
    let below = if lo > 0 { 1.0 / law.ratio(Step::from(lo as f64 - 1.0)) } else { 0.0 };
    if above.max(below) == 0.0 {
        return Some((lo, hi));
    }
    Some(if above >= below && hi < highest { (lo, hi + 1) } else { ((lo - 1).max(0), hi) })
}
