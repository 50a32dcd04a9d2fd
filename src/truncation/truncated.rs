//! The finite law after truncation: atoms and log weights.
//!
//! A distribution in a window `lo..=hi` with merged tails has the log weights `log p(k)` inside. If mass lies below,
//! the first is `log P(X <= lo)`; if mass lies above, the last is `log P(X >= hi)`. All are computed in float64 and in
//! log space, and rounded once at the end to the kind of the parameters. So a last atom of mass `1e-30` keeps its
//! relative accuracy and its gradient.
//!
//! # Source
//! Joo et al., arXiv 2003.01847 (truncation with the tail on the last atom; free logits as *implicit* inference).

mod draws;

use super::bounds::{Origin, TruncationError};
use super::window::{Tail, Truncation, Window, check_mass};
use crate::checks::{LARGEST_ATOM, broadcasts};
use crate::checks::{check_logits, expands, real};
use crate::distributions::{Distribution, window_log_weights};
use crate::error::{Error, Result};
use crate::math::LOG_ZERO;
use crate::platform::limits::check_shape;
use tch::{Device, Kind, Tensor};

/// A batch of laws on the same finitely many atoms.
#[derive(Debug)]
pub struct TruncatedDistribution {
    /// Normalised log weights `[..., n]`.
    log_weights: Tensor,
    /// Atoms `[n]` or `[n, d]`, or `[..., n]` if each row has its own.
    atoms: Tensor,
    /// The events that the atoms stand for. Two laws are on the same atoms if these are equal, so that no tensors are
    /// compared.
    place: Place,
    /// Whether a weight may be zero, so that `0 log 0` must be replaced by zero.
    may_vanish: bool,
    /// Whether the end atoms were moved to their tails' means, away from the integers.
    ends_moved: bool,
    /// The distribution and window of the truncation; `None` for laws that were finite from the start.
    origin: Option<Origin>,
}

/// The events that the atoms stand for. With merged tails, these are `X <= lo` and `X >= hi` at the ends.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Integers { lo: i64, hi: i64 },
    OneHot { n: i64 },
    Counts { total: i64, classes: i64 },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Integers { lo, hi } => write!(f, "integers {lo}..={hi}"),
            Place::OneHot { n } => write!(f, "{n} one-hot vectors"),
            Place::Counts { total, classes } => write!(f, "vectors of {classes} counts that sum to {total}"),
        }
    }
}

impl TruncatedDistribution {
    /// Truncates a distribution (explicit inference).
    ///
    /// # Errors
    /// Fails if the window is empty or outside the support. Also fails if it holds less than half of the mass of some
    /// row, unless [`Truncation::allow_low_mass`] is set.
    pub fn new(distribution: &dyn Distribution, truncation: &Truncation) -> Result<Self> {
        let (lo, hi) = truncation.resolve(distribution)?;
        // A window by tail mass holds enough by construction.
        if !truncation.allow_low_mass && !matches!(truncation.window, Window::TailMass(_)) {
            check_mass(distribution, lo, hi)?;
        }
        let device = distribution.device();
        let weights = [distribution.batch_shape(), vec![hi - lo + 1]].concat();
        check_shape(&format!("log weights of a {}", distribution.name()), &weights, Kind::Double)?;
        let ks = Tensor::f_arange_start(lo, hi + 1, (Kind::Double, device))?;
        let (mass_below, mass_above) = distribution.support().beyond_window(lo, hi);
        let merge = truncation.tail != Tail::Renormalize && lo < hi;
        let (merge_below, merge_above) = (merge && mass_below, merge && mass_above);
        let mut log_weights = window_log_weights(distribution, (lo, hi), (merge_below, merge_above))?;
        if !merge {
            log_weights = normalized_rows(&log_weights, distribution.may_vanish());
        }
        let ends_moved = truncation.tail == Tail::MergeAtMean && (mass_below || mass_above);
        let atoms = if ends_moved {
            atoms_at_tail_means(distribution, &ks, &log_weights, (merge_below, merge_above))?
        } else {
            ks
        };
        if distribution.may_vanish() {
            let vanished = log_weights.le(LOG_ZERO / 2.0);
            log_weights = log_weights.masked_fill(&vanished, f64::NEG_INFINITY);
        }
        let kind = distribution.kind();
        Ok(Self {
            log_weights: log_weights.to_kind(kind),
            atoms: atoms.to_kind(kind),
            place: Place::Integers { lo, hi },
            may_vanish: distribution.may_vanish(),
            ends_moved,
            origin: Some(Origin::new(distribution, lo, hi, truncation.tail)),
        })
    }

    /// Makes a law from free logits `[..., n]` on the integers `lowest, lowest + 1, ...` (implicit inference); minus
    /// infinity excludes an atom.
    ///
    /// # Errors
    /// Fails if there is no atom dimension, the tensor is not floating-point, an integer is beyond [`LARGEST_ATOM`] on
    /// either side, a logit is NaN or plus infinity, or a row has no finite logit. The check copies the values from
    /// their device.
    pub fn from_logits(logits: &Tensor, lowest: i64) -> Result<Self> {
        let (log_weights, n) = normalized(logits)?;
        let window = lowest.checked_add(n - 1).map(|highest| (lowest, highest));
        let Some((lowest, highest)) = window.filter(|(lo, hi)| *lo >= -LARGEST_ATOM && *hi <= LARGEST_ATOM) else {
            let allowed = format!("an integer such that all {n} atoms lie within -{LARGEST_ATOM}..={LARGEST_ATOM}");
            return Err(Error::parameter("lowest atom of logits", lowest, allowed));
        };
        check_logits("a truncated distribution", logits)?;
        let atoms = Tensor::arange_start(lowest, highest + 1, (log_weights.kind(), log_weights.device()));
        Ok(Self::finite(log_weights, atoms, Place::Integers { lo: lowest, hi: highest }))
    }

    /// Makes a law from free logits `[..., n]` on the `n` one-hot vectors, the usual categorical latent; a sample has
    /// shape `[..., n]`.
    ///
    /// # Errors
    /// Fails as [`from_logits`](Self::from_logits) does.
    pub fn one_hot(logits: &Tensor) -> Result<Self> {
        let (log_weights, n) = normalized(logits)?;
        check_shape("one-hot atoms", &[n, n], log_weights.kind())?;
        check_logits("a truncated distribution", logits)?;
        let atoms = Tensor::eye(n, (log_weights.kind(), log_weights.device()));
        Ok(Self::finite(log_weights, atoms, Place::OneHot { n }))
    }

    /// Makes a law from normalised log weights `[n]`, float64, of the integers from `lowest` on.
    pub(crate) fn on_integers(log_weights: Tensor, lowest: i64) -> Self {
        let n = log_weights.size().last().copied().unwrap_or(1);
        let atoms = Tensor::arange_start(lowest, lowest + n, (log_weights.kind(), log_weights.device()));
        Self::finite(log_weights, atoms, Place::Integers { lo: lowest, hi: lowest + n - 1 })
    }

    /// Makes the law of a vector of counts from its outcomes `[n, classes]` and their log weights `[..., n]`.
    pub(crate) fn counts(log_weights: Tensor, outcomes: Tensor, total: i64) -> Self {
        let classes = outcomes.size()[1];
        Self::finite(log_weights, outcomes, Place::Counts { total, classes })
    }

    fn finite(log_weights: Tensor, atoms: Tensor, place: Place) -> Self {
        Self { log_weights, atoms, place, may_vanish: true, ends_moved: false, origin: None }
    }

    /// Returns upper bounds of the truncation's error; zeros for laws from logits, which were finite from the start.
    ///
    /// # Errors
    /// Fails if a tail has too many terms to be summed.
    pub fn truncation_error(&self) -> Result<TruncationError> {
        match &self.origin {
            Some(origin) => TruncationError::of(origin),
            None => Ok(TruncationError::none(&self.log_weights.select(-1, 0))),
        }
    }

    /// Returns the normalised log weights `[..., n]`, in the parameters' kind.
    pub fn log_weights(&self) -> &Tensor {
        &self.log_weights
    }

    /// Returns the atoms, `[n]` or `[n, d]`; `[..., n]` if tails were merged at their means, which differ between rows.
    pub fn atoms(&self) -> &Tensor {
        &self.atoms
    }

    /// Returns the number of atoms.
    pub fn len(&self) -> i64 {
        self.log_weights.size().last().copied().unwrap_or(1)
    }

    /// Returns `false`: a truncated distribution has at least one atom.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the shape of the batch, without the atom dimension.
    pub fn batch_shape(&self) -> Vec<i64> {
        let mut shape = self.log_weights.size();
        shape.pop();
        shape
    }

    /// Returns the kind of the log weights and of samples.
    pub fn kind(&self) -> Kind {
        self.log_weights.kind()
    }

    /// Returns the device of the log weights.
    pub fn device(&self) -> Device {
        self.log_weights.device()
    }

    /// Returns `E[Z]`, of shape `batch_shape` (`+ [d]`).
    pub fn mean(&self) -> Tensor {
        let weights = self.log_weights.exp();
        if !matches!(self.place, Place::Integers { .. }) {
            return self.weigh(&weights, &self.atoms);
        }
        // The weights' sum has a rounding error, which large atoms would magnify: weighs the distances from the first
        // atom.
        let first = self.atoms.narrow(-1, 0, 1).detach();
        first.squeeze_dim(-1) + self.weigh(&weights, &(&self.atoms - &first))
    }

    /// Returns `Var[Z]` per coordinate, of shape `batch_shape` (`+ [d]`).
    pub fn variance(&self) -> Tensor {
        let weights = self.log_weights.exp();
        match self.place {
            Place::Integers { .. } => {
                let deviation = &self.atoms - self.mean().unsqueeze(-1);
                (weights * &deviation * &deviation).sum_dim_intlist(-1, false, None::<Kind>)
            }
            Place::OneHot { .. } => &weights * (1.0 - &weights),
            Place::Counts { .. } => weights.matmul(&self.atoms.square()) - weights.matmul(&self.atoms).square(),
        }
    }

    /// Computes `E[f(Z)]` by enumeration: the exact expectation, with an exact gradient in the log weights and in `f`.
    /// `f` must be finite at atoms of weight zero, too.
    ///
    /// # Shapes
    /// `f` maps the [`atoms`](Self::atoms) `[n]`, `[n, d]` or `[..., n]` to `[n]` or `[..., n]`; the result has shape
    /// `batch_shape`.
    ///
    /// # Errors
    /// Fails if `f` returns another shape, or a kind that is not real.
    pub fn expectation(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Result<Tensor> {
        let values = f(&self.atoms);
        let rows = self.log_weights.size();
        if !values.defined() || !expands(&values.size(), &rows) || values.size().last() != rows.last() {
            return Err(Error::Shape {
                what: "f of the atoms".into(),
                found: if values.defined() { values.size() } else { Vec::new() },
                expected: format!("[{}] or {rows:?}: one number per atom", self.len()),
            });
        }
        let values = real(&values, "f of the atoms", self.kind(), self.device())?;
        Ok((self.log_weights.exp() * values).sum_dim_intlist(-1, false, None::<Kind>))
    }

    /// Computes the sum over the atoms of weights `[..., n]` times values `[n]`, `[n, d]` or `[..., n]`: `[...]`
    /// (`+ [d]`).
    pub(crate) fn weigh(&self, weights: &Tensor, values: &Tensor) -> Tensor {
        if self.has_own_atoms() {
            (weights * values).sum_dim_intlist(-1, false, None::<Kind>)
        } else {
            weights.matmul(values)
        }
    }

    /// Makes a law on the same atoms with other normalised log weights `[..., n]`. Their batch shape is free unless
    /// each row has its own atoms.
    pub(crate) fn with_log_weights(&self, log_weights: Tensor) -> Self {
        let (atoms, may_vanish) = (self.atoms.to_kind(log_weights.kind()), self.may_vanish);
        Self { log_weights, atoms, place: self.place.clone(), may_vanish, ends_moved: self.ends_moved, origin: None }
    }

    /// Returns the first and last integer that the atoms stand for; `None` for vectors.
    pub(crate) fn window(&self) -> Option<(i64, i64)> {
        match self.place {
            Place::Integers { lo, hi } => Some((lo, hi)),
            Place::OneHot { .. } | Place::Counts { .. } => None,
        }
    }

    /// Returns whether the atoms are successive integers.
    pub(crate) fn is_on_integers(&self) -> bool {
        matches!(self.place, Place::Integers { .. }) && !self.ends_moved
    }

    /// Checks that the other law is on the same atoms.
    pub(crate) fn check_same_atoms(&self, other: &Self) -> Result<()> {
        if self.place == other.place {
            return Ok(());
        }
        Err(Error::DifferentAtoms { left: self.place.to_string(), right: other.place.to_string() })
    }

    /// Checks that the law is on the integers `lo..=hi`.
    pub(crate) fn check_window(&self, lo: i64, hi: i64) -> Result<()> {
        let window = Place::Integers { lo, hi };
        if self.place == window {
            return Ok(());
        }
        Err(Error::DifferentAtoms { left: window.to_string(), right: self.place.to_string() })
    }

    /// Returns whether each row has its own atoms.
    fn has_own_atoms(&self) -> bool {
        self.ends_moved && self.atoms.dim() > 1
    }

    /// Returns the entropy in nats, of shape `batch_shape`.
    pub fn entropy(&self) -> Tensor {
        let (weights, log_weights, _) = self.without_zeros();
        -(weights * log_weights).sum_dim_intlist(-1, false, None::<Kind>)
    }

    /// Computes `KL(self || other)` in nats as the exact sum over the atoms, of the broadcast batch shape. An end atom
    /// stands for its tail, so laws with and without moved end atoms can be compared.
    ///
    /// # Errors
    /// Fails if the two are not on the same atoms, or if their batch shapes do not broadcast.
    pub fn kl(&self, other: &TruncatedDistribution) -> Result<Tensor> {
        self.check_same_atoms(other)?;
        if !broadcasts(&self.batch_shape(), &other.batch_shape()) {
            return Err(Error::Shape {
                what: "the other law of a KL".into(),
                found: other.batch_shape(),
                expected: format!("a shape that broadcasts against {:?}", self.batch_shape()),
            });
        }
        if !self.may_vanish && !other.may_vanish {
            let difference = self.log_weights.f_sub(&other.log_weights)?;
            return Ok((self.log_weights.exp() * difference).sum_dim_intlist(-1, false, None::<Kind>));
        }
        let (weights, log_weights, zero) = self.without_zeros();
        let others = Tensor::broadcast_tensors(&[&other.log_weights, &zero]).remove(0);
        let difference = log_weights.f_sub(&others.f_masked_fill(&zero, 0.0)?)?;
        Ok((weights * difference).sum_dim_intlist(-1, false, None::<Kind>))
    }

    /// Returns `(weights, log weights, zero)`: `zero` marks atoms of weight zero, whose log weights are replaced by
    /// zero. So `0 log 0 = 0`, in the gradient too.
    fn without_zeros(&self) -> (Tensor, Tensor, Tensor) {
        let zero = self.log_weights.detach().exp().eq(0.0);
        let log_weights = self.log_weights.masked_fill(&zero, 0.0);
        (log_weights.exp().masked_fill(&zero, 0.0), log_weights, zero)
    }
}

/// Scales each row `[..., n]` to a total of one; a row without any mass becomes uniform.
fn normalized_rows(log_weights: &Tensor, may_vanish: bool) -> Tensor {
    if !may_vanish {
        return log_weights.log_softmax(-1, Kind::Double);
    }
    let normalized = log_weights.clamp_min(LOG_ZERO).log_softmax(-1, Kind::Double);
    let vanished = normalized.le(LOG_ZERO / 2.0);
    normalized.masked_fill(&vanished, f64::NEG_INFINITY)
}

/// Returns the window's integers as `[..., n]`, with an end that has a tail moved to the mean of its mass.
fn atoms_at_tail_means(
    distribution: &dyn Distribution,
    ks: &Tensor,
    log_weights: &Tensor,
    (merge_below, merge_above): (bool, bool),
) -> Result<Tensor> {
    let n = ks.size()[0];
    let all = ks.expand_as(log_weights);
    if n == 1 {
        return Ok(distribution.mean().unsqueeze(-1));
    }
    let (lo, hi) = (ks.double_value(&[0]), ks.double_value(&[n - 1]));
    let interior = all.narrow(-1, i64::from(merge_below), n - i64::from(merge_below) - i64::from(merge_above));
    let mut parts = vec![interior];
    if merge_below {
        let beyond = distribution.log_partial_expectations(lo as i64)?.0.unsqueeze(-1) - log_weights.narrow(-1, 0, 1);
        parts.insert(0, -beyond.exp() + lo);
    }
    if merge_above {
        let beyond =
            distribution.log_partial_expectations(hi as i64)?.1.unsqueeze(-1) - log_weights.narrow(-1, n - 1, 1);
        parts.push(beyond.exp() + hi);
    }
    Ok(Tensor::cat(&parts, -1))
}

/// Normalises logits in float32, or in float64 for float64 logits; also returns the number of atoms.
fn normalized(logits: &Tensor) -> Result<(Tensor, i64)> {
    if !logits.defined() {
        return Err(Error::parameter("logits", "undefined", "a tensor with values"));
    }
    let n = logits.size().last().copied().unwrap_or(0);
    if n < 1 || !logits.is_floating_point() {
        return Err(Error::Shape {
            what: format!("logits of kind {:?}", logits.kind()),
            found: logits.size(),
            expected: "a floating-point tensor [..., n] with at least one atom".into(),
        });
    }
    let kind = if logits.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    check_shape("logits", &logits.size(), Kind::Double)?;
    Ok((logits.log_softmax(-1, kind), n))
}
