//! The choice of window: which atoms of a distribution are kept, and what becomes of the rest.

use crate::checks::{LARGEST_ATOM, is_unchecked};
use crate::distributions::{Distribution, find_window};
use crate::error::{Error, Result};
use tch::{Tensor, no_grad_guard};

/// Which atoms are kept; one window for the whole batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// The first `n` atoms of the support (fewer if the support has fewer).
    Right(i64),
    /// The atoms from the first to the second number, inclusive.
    Between(i64, i64),
    /// The smallest window that leaves at most half of this mass outside on each side, in the worst row of the batch
    /// where there are two. Of two atoms or more, where the support has them: a single atom would weigh one, without a
    /// gradient. Found from the mean outwards by bisection on the tails, which reads them back from their device.
    TailMass(f64),
}

/// What becomes of the mass outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// It joins the atom at the window's end (the paper's choice).
    #[default]
    Merge,
    /// It joins the atom at the window's end, and that atom moves to the mean of all it stands for, `E[k | tail]`: the
    /// truncated law has the mean of the distribution, and its derivative. That atom is not an integer, and differs
    /// from row to row.
    MergeAtMean,
    /// It is dropped, and what remains is scaled to one; where nothing remains at all, to a uniform law.
    Renormalize,
}

/// A window, what happens to the tail, and whether the window may miss the distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    pub(crate) window: Window,
    pub(crate) tail: Tail,
    pub(crate) allow_low_mass: bool,
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

    /// Merge the tail into the last atom, and move that atom to the tail's mean; see [`Tail::MergeAtMean`].
    #[must_use]
    pub fn merge_at_mean(self) -> Self {
        Self { tail: Tail::MergeAtMean, ..self }
    }

    /// Accept a window with less than half of the mass, without looking: for training steps, where looking would read
    /// the parameters back from their device.
    #[must_use]
    pub fn allow_low_mass(self) -> Self {
        Self { allow_low_mass: true, ..self }
    }

    /// What becomes of the mass outside the window.
    pub fn tail(&self) -> Tail {
        self.tail
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
        let support = distribution.support();
        let (lo, hi) = match self.window {
            Window::Right(n) if n < 1 => {
                return Err(Error::parameter("number of atoms of a truncation", n, "at least 1"));
            }
            Window::Right(n) => {
                let lowest = support.lowest.ok_or_else(|| {
                    let window = format!("window of the first {n} atoms");
                    let family = format!("a {}, whose support has no first atom", distribution.name());
                    Error::parameter(window, family, "given as an interval or a tail mass")
                })?;
                (lowest, support.nearest(lowest.saturating_add(n - 1)))
            }
            Window::Between(lo, hi) => {
                if lo > hi || support.nearest(lo) != lo || support.nearest(hi) != hi {
                    return Err(Error::parameter(
                        "window of a truncation",
                        format!("{lo}..={hi}"),
                        format!("an interval within the support, {support}"),
                    ));
                }
                (lo, hi)
            }
            Window::TailMass(mass) => find_window(distribution, mass)?,
        };
        if lo < -LARGEST_ATOM || hi > LARGEST_ATOM {
            let allowed = format!("within -{LARGEST_ATOM}..={LARGEST_ATOM}, the integers that float32 holds");
            return Err(Error::parameter("window of a truncation", format!("{lo}..={hi}"), allowed));
        }
        Ok((lo, hi))
    }
}

impl From<Window> for Truncation {
    fn from(window: Window) -> Self {
        Self { window, tail: Tail::default(), allow_low_mass: false }
    }
}

/// Fails when some row has less than half of its mass in `lo..=hi`.
pub(crate) fn check_mass(distribution: &dyn Distribution, lo: i64, hi: i64) -> Result<()> {
    if is_unchecked() {
        return Ok(());
    }
    let _guard = no_grad_guard();
    if distribution.is_smooth() && !distribution.has_closed_tails() && holds_half_by_moments(distribution, lo, hi) {
        return Ok(());
    }
    let inside: Tensor = 1.0 - distribution.log_tails(lo)?.0.exp() - distribution.log_tails(hi + 1)?.1.exp();
    let missed = inside.ge(0.5).logical_not();
    if missed.any().int64_value(&[]) == 0 {
        return Ok(());
    }
    let mean = distribution.mean().masked_select(&missed);
    let mass = inside.masked_select(&missed);
    let worst = mass.argmin(None, false).int64_value(&[]);
    Err(Error::WindowMissesMass {
        family: distribution.name().into(),
        lo,
        hi,
        mass: mass.double_value(&[worst]).max(0.0),
        mean: mean.double_value(&[worst]),
    })
}

/// Whether mean and variance alone show that every row has half of its mass in a window, which costs less than tails
/// do: by Cantelli's inequality, at most `v / (v + d^2)` of the mass lies `d` or more beyond the mean on one side.
fn holds_half_by_moments(distribution: &dyn Distribution, lo: i64, hi: i64) -> bool {
    let (mean, variance) = (distribution.mean(), distribution.variance());
    let (mass_below, mass_above) = distribution.support().beyond_window(lo, hi);
    let beyond = |distance: Tensor| &variance / (&variance + distance.clamp_min(0.0).square());
    let none = || mean.zeros_like();
    let below = if mass_below { beyond(&mean - (lo - 1) as f64) } else { none() };
    let above = if mass_above { beyond(mean.neg() + (hi + 1) as f64) } else { none() };
    (below + above).le(0.5).all().int64_value(&[]) == 1
}
