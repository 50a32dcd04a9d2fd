//! The choice of window: which atoms of a distribution are kept, and what becomes of the rest.

use crate::distributions::{Distribution, Support};
use crate::{Error, Result};
use tch::{Tensor, no_grad_guard};

/// Which atoms are kept; one window for the whole batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// The first `n` atoms of the support (fewer if the support has fewer).
    Right(i64),
    /// The atoms from the first to the second number, inclusive.
    Between(i64, i64),
    /// The smallest window that leaves at most this mass outside, in the worst row of the batch; half of it on each side
    /// where there are two. Found by bisection on the tails, which reads them back from their device.
    TailMass(f64),
}

/// What becomes of the mass outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// It joins the atom at the window's end (the paper's choice).
    #[default]
    Merge,
    /// It is dropped, and what remains is scaled to one.
    Renormalize,
}

/// A window, what happens to the tail, and whether the window may miss the distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    pub(crate) window: Window,
    pub(crate) tail: Tail,
    pub(crate) any_mass: bool,
}

impl Truncation {
    /// Keep the first `n` atoms of the support.
    pub fn right(n: i64) -> Self {
        Window::Right(n).into()
    }

    /// Keep the atoms from `lo` to `hi`, inclusive.
    pub fn between(lo: i64, hi: i64) -> Self {
        Window::Between(lo, hi).into()
    }

    /// Keep as many atoms as leave at most `mass` outside, in the worst row of the batch.
    pub fn tail_mass(mass: f64) -> Self {
        Window::TailMass(mass).into()
    }

    /// Drop the tail instead of merging it into the last atom.
    #[must_use]
    pub fn renormalize(self) -> Self {
        Self { tail: Tail::Renormalize, ..self }
    }

    /// Accept a window with less than half of the mass, without looking: for training steps, where looking would read the
    /// parameters back from their device.
    #[must_use]
    pub fn any_mass(self) -> Self {
        Self { any_mass: true, ..self }
    }

    /// The number of atoms, where it was given as one.
    pub fn atoms(&self) -> Option<i64> {
        match self.window {
            Window::Right(n) => Some(n),
            _ => None,
        }
    }

    /// The window's first and last atom for this distribution.
    ///
    /// # Errors
    /// When the window is empty, lies outside the support, or cannot be found.
    pub fn resolve(&self, distribution: &dyn Distribution) -> Result<(i64, i64)> {
        let Support { lowest, highest } = distribution.support();
        let within = |hi: i64| highest.map_or(hi, |highest| hi.min(highest));
        match self.window {
            Window::Right(n) if n < 1 => Err(Error::parameter("number of atoms of a truncation", n, "at least 1")),
            Window::Right(n) => Ok((lowest, within(lowest.saturating_add(n - 1)))),
            Window::Between(lo, hi) => {
                if lo > hi || lo < lowest || highest.is_some_and(|highest| hi > highest) {
                    let end = highest.map_or("without end".to_string(), |highest| format!("to {highest}"));
                    return Err(Error::parameter(
                        "window of a truncation",
                        format!("{lo}..={hi}"),
                        format!("an interval within the support, from {lowest} {end}"),
                    ));
                }
                Ok((lo, hi))
            }
            Window::TailMass(mass) => find_window(distribution, mass),
        }
    }
}

impl From<Window> for Truncation {
    fn from(window: Window) -> Self {
        Self { window, tail: Tail::default(), any_mass: false }
    }
}

/// The largest window that a search may return: 2^24 atoms, beyond which float32 cannot count.
const LARGEST_ATOM: i64 = 1 << 24;

fn find_window(distribution: &dyn Distribution, mass: f64) -> Result<(i64, i64)> {
    if !(mass > 0.0 && mass < 1.0) {
        return Err(Error::parameter("tail mass of a truncation", mass, "inside (0, 1)"));
    }
    let _guard = no_grad_guard();
    let Support { lowest, highest } = distribution.support();
    if distribution.mean().numel() == 0 {
        return Err(Error::parameter("batch of a distribution truncated by tail mass", "empty", "at least one row"));
    }
    let worst = |log_mass: Tensor| log_mass.max().double_value(&[]);
    let half = (mass / 2.0).ln();

    // Below: the largest lo with P(X < lo) <= mass / 2. Kept at the support's start when nothing can be dropped.
    let droppable = |lo: i64| worst(distribution.log_tails(lo).0) <= half;
    let mut lo = lowest;
    if droppable(lowest + 1) {
        let last = highest.unwrap_or(LARGEST_ATOM);
        lo = bisect(lowest + 1, last, |k| !droppable(k)).unwrap_or(last + 1) - 1;
    }
    // Above: the smallest hi with P(X > hi) within what is left of the budget.
    let below = if lo == lowest { 0.0 } else { mass / 2.0 };
    let budget = (mass - below).ln();
    let fits = |hi: i64| worst(distribution.log_tails(hi + 1).1) <= budget;
    let hi = match highest {
        Some(highest) => bisect(lo, highest, fits).unwrap_or(highest),
        None => bisect(lo, LARGEST_ATOM, fits).ok_or_else(|| {
            Error::parameter(
                format!("window of a {} for a tail mass of {mass:e}", distribution.name()),
                format!("beyond atom {LARGEST_ATOM}"),
                "reached by a larger tail mass or a smaller mean",
            )
        })?,
    };
    Ok((lo, hi))
}

/// The smallest `k` in `first..=last` for which the monotone `holds` is true, by doubling steps and bisection.
fn bisect(first: i64, last: i64, holds: impl Fn(i64) -> bool) -> Option<i64> {
    let mut fails_below = first;
    let mut step = 1;
    let mut candidate = first;
    while !holds(candidate) {
        if candidate >= last {
            return None;
        }
        fails_below = candidate + 1;
        candidate = (candidate + step).min(last);
        step *= 2;
    }
    let mut holds_at = candidate;
    while fails_below < holds_at {
        let middle = fails_below + (holds_at - fails_below) / 2;
        if holds(middle) {
            holds_at = middle;
        } else {
            fails_below = middle + 1;
        }
    }
    Some(holds_at)
}
