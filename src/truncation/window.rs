//! The window of a truncation: which atoms of a distribution are kept, and how the mass outside is treated.

use crate::checks::{LARGEST_ATOM, is_unchecked};
use crate::distributions::{Distribution, find_window};
use crate::error::{Error, Result};
use tch::{Tensor, no_grad_guard};

/// The atoms that are kept; one window for the whole batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// The first `n` atoms of the support (fewer if the support has fewer).
    Right(i64),
    /// The atoms from the first to the second number, inclusive.
    Between(i64, i64),
    /// The smallest window with at most this mass outside in every row: at most half of it below, if there are atoms
    /// below. The window has at least two atoms if the support has, since a single atom would have weight one and no
    /// gradient. Found by bisection on the tails, outwards from the mean, which copies them from the device.
    TailMass(f64),
}

/// The treatment of the mass outside the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// The mass is added to the atom at the window's end (the paper's choice).
    #[default]
    Merge,
    /// The mass is added to the atom at the window's end, and that atom moves to `E[k | tail]`, the mean of all its
    /// mass. The truncated law has the mean of the distribution, and the derivatives of the mean. The moved atoms are
    /// not integers, and differ between rows.
    MergeAtMean,
    /// The mass is dropped, and the rest is scaled to one. A row without any mass becomes uniform.
    Renormalize,
}

/// A window, the treatment of the tails, and whether the window may hold little of the mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    pub(crate) window: Window,
    pub(crate) tail: Tail,
    pub(crate) allow_low_mass: bool,
}

impl Truncation {
    /// Keeps the first `n` atoms of the support.
    pub fn right(n: i64) -> Self {
        Window::Right(n).into()
    }

    /// Keeps the atoms from `lo` to `hi`, inclusive.
    pub fn between(lo: i64, hi: i64) -> Self {
        Window::Between(lo, hi).into()
    }

    /// Keeps the smallest window with at most `mass` outside in every row of the batch.
    pub fn tail_mass(mass: f64) -> Self {
        Window::TailMass(mass).into()
    }

    /// Drops the tails and scales the rest to one, in place of merging them; see [`Tail::Renormalize`].
    #[must_use]
    pub fn renormalize(self) -> Self {
        Self { tail: Tail::Renormalize, ..self }
    }

    /// Merges the tails into the end atoms, and moves these to the tails' means; see [`Tail::MergeAtMean`].
    #[must_use]
    pub fn merge_at_mean(self) -> Self {
        Self { tail: Tail::MergeAtMean, ..self }
    }

    /// Accepts windows with less than half of the mass, without checking. For training steps: the check copies the
    /// tails from the device.
    #[must_use]
    pub fn allow_low_mass(self) -> Self {
        Self { allow_low_mass: true, ..self }
    }

    /// Returns the treatment of the mass outside the window.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// Returns the number of atoms of a [`Window::Right`]; `None` for other windows.
    pub fn atoms(&self) -> Option<i64> {
        match self.window {
            Window::Right(n) => Some(n),
            _ => None,
        }
    }

    /// Returns the window's first and last atom for a distribution.
    ///
    /// # Errors
    /// Fails if the window is empty, lies outside the support, or cannot be found.
    pub fn resolve(&self, distribution: &dyn Distribution) -> Result<(i64, i64)> {
        let support = distribution.support();
        let (lo, hi) = match self.window {
            Window::Right(n) if n < 1 => {
                return Err(Error::parameter("number of atoms of a truncation", n, "at least 1"));
            }
            Window::Right(n) => {
                let lowest = support.lowest.ok_or_else(|| {
                    let window = format!("window of a {}, whose support has no first atom,", distribution.name());
                    Error::parameter(window, format!("the first {n} atoms"), "an interval or a tail mass")
                })?;
                (lowest, support.nearest(lowest.saturating_add(n - 1)))
            }
            Window::Between(lo, hi) => {
                if lo > hi || support.nearest(lo) != lo || support.nearest(hi) != hi {
                    return Err(Error::parameter(
                        "window of a truncation",
                        format!("{lo}..={hi}"),
                        format!("an interval inside the support, which goes {support}"),
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

/// Checks that every row has at least half of its mass in `lo..=hi`.
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

/// Returns whether mean and variance prove that every row has half of its mass in the window, which is cheaper than the
/// tails. By Cantelli's inequality, at most `v / (v + d^2)` of the mass lies `d` or more beyond the mean on one side.
fn holds_half_by_moments(distribution: &dyn Distribution, lo: i64, hi: i64) -> bool {
    let (mean, variance) = (distribution.mean(), distribution.variance());
    let (mass_below, mass_above) = distribution.support().beyond_window(lo, hi);
    let beyond = |distance: Tensor| &variance / (&variance + distance.clamp_min(0.0).square());
    let none = || mean.zeros_like();
    let below = if mass_below { beyond(&mean - (lo - 1) as f64) } else { none() };
    let above = if mass_above { beyond(mean.neg() + (hi + 1) as f64) } else { none() };
    (below + above).le(0.5).all().int64_value(&[]) == 1
}
