//! The finite law after truncation: atoms and log weights.
//!
//! Window `lo..=hi` of a distribution with merged tails: interior atoms weigh `log p(k)`; the first, if mass lies below
//! it, `log P(X <= lo)`; the last, if mass lies above, `log P(X >= hi)`. Everything is formed in float64 and in log space,
//! and rounded once, at the end, to the kind of the parameters: a last atom of `1e-30` keeps its digits and its gradient.
//!
//! # Source
//! Joo et al., arXiv 2003.01847 (truncation with the tail on the last atom; free logits as *implicit* inference).

use crate::distributions::{Distribution, Support};
use crate::relaxation::noise::gumbel;
use crate::truncation::{Tail, Truncation};
use crate::{Error, Result};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// A batch of laws on the same finitely many atoms.
#[derive(Debug)]
pub struct TruncatedDistribution {
    /// Normalised log weights `[..., n]`.
    log_weights: Tensor,
    /// Atoms `[n]` or `[n, d]`.
    atoms: Tensor,
    /// Names the atoms, so that two laws on the same ones recognise each other without comparing tensors.
    place: Place,
    /// Whether a weight may be zero, so that `0 log 0` needs care; laws on the integers have none.
    may_vanish: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    Integers { lo: i64, hi: i64 },
    OneHot { n: i64 },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Integers { lo, hi } => write!(f, "integers {lo}..={hi}"),
            Place::OneHot { n } => write!(f, "{n} one-hot vectors"),
        }
    }
}

impl TruncatedDistribution {
    /// Truncates a distribution (explicit inference).
    ///
    /// # Errors
    /// When the window is empty or outside the support, or holds less than half of the mass of some row and
    /// [`Truncation::any_mass`] was not asked for.
    pub fn new(distribution: &dyn Distribution, truncation: &Truncation) -> Result<Self> {
        let (lo, hi) = truncation.resolve(distribution)?;
        if !truncation.any_mass {
            check_mass(distribution, lo, hi)?;
        }
        let device = distribution.device();
        let ks = Tensor::f_arange_start(lo, hi + 1, (Kind::Double, device))?;
        let Support { lowest, highest } = distribution.support();
        let merge = truncation.tail == Tail::Merge && lo < hi;
        let (mass_below, mass_above) = (lo > lowest, highest.is_none_or(|highest| hi < highest));
        let interior_lo = lo + i64::from(merge && mass_below);
        let interior_hi = hi - i64::from(merge && mass_above);

        let mut parts = Vec::with_capacity(3);
        if interior_lo > lo {
            parts.push(distribution.log_tails(lo + 1).0.unsqueeze(-1));
        }
        if interior_lo <= interior_hi {
            let interior = ks.narrow(0, interior_lo - lo, interior_hi - interior_lo + 1);
            parts.push(distribution.unsqueeze().log_pmf(&interior));
        }
        if interior_hi < hi {
            parts.push(distribution.log_tails(hi).1.unsqueeze(-1));
        }
        let mut log_weights = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, -1) };
        if truncation.tail == Tail::Renormalize || lo == hi {
            log_weights = log_weights.log_softmax(-1, Kind::Double);
        }
        let kind = distribution.kind();
        Ok(Self {
            log_weights: log_weights.to_kind(kind),
            atoms: ks.to_kind(kind),
            place: Place::Integers { lo, hi },
            // Half precision ends at -65,504, below which log weights round to minus infinity.
            may_vanish: distribution.may_vanish() || kind == Kind::Half,
        })
    }

    /// From free logits `[..., n]` on the integers `lowest, lowest + 1, ...` (implicit inference).
    ///
    /// # Errors
    /// When there is no atom dimension, or the tensor is not floating-point.
    pub fn from_logits(logits: &Tensor, lowest: i64) -> Result<Self> {
        let (log_weights, n) = normalized(logits)?;
        let atoms = Tensor::arange_start(lowest, lowest + n, (log_weights.kind(), log_weights.device()));
        Ok(Self { log_weights, atoms, place: Place::Integers { lo: lowest, hi: lowest + n - 1 }, may_vanish: true })
    }

    /// From free logits `[..., n]` on the `n` one-hot vectors, the usual categorical latent; a draw has shape `[..., n]`.
    ///
    /// # Errors
    /// As [`from_logits`](Self::from_logits).
    pub fn one_hot(logits: &Tensor) -> Result<Self> {
        let (log_weights, n) = normalized(logits)?;
        let atoms = Tensor::eye(n, (log_weights.kind(), log_weights.device()));
        Ok(Self { log_weights, atoms, place: Place::OneHot { n }, may_vanish: true })
    }

    /// Normalised log weights `[..., n]`, in the parameters' kind.
    pub fn log_weights(&self) -> &Tensor {
        &self.log_weights
    }

    /// Atoms, `[n]` or `[n, d]`.
    pub fn atoms(&self) -> &Tensor {
        &self.atoms
    }

    /// The number of atoms.
    pub fn len(&self) -> i64 {
        self.atoms.size()[0]
    }

    /// Never: a truncated distribution has at least one atom.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The shape of the batch, without the atom dimension.
    pub fn batch_shape(&self) -> Vec<i64> {
        let mut shape = self.log_weights.size();
        shape.pop();
        shape
    }

    /// The kind of the log weights and of draws.
    pub fn kind(&self) -> Kind {
        self.log_weights.kind()
    }

    /// The device of the log weights.
    pub fn device(&self) -> Device {
        self.log_weights.device()
    }

    /// `E[Z]`, of shape `batch_shape` (`+ [d]`).
    pub fn mean(&self) -> Tensor {
        self.log_weights.exp().matmul(&self.atoms)
    }

    /// `Var[Z]`, of shape `batch_shape` (`+ [d]`, coordinate by coordinate).
    pub fn variance(&self) -> Tensor {
        let weights = self.log_weights.exp();
        match self.place {
            Place::Integers { .. } => {
                let deviation = &self.atoms - weights.matmul(&self.atoms).unsqueeze(-1);
                (weights * &deviation * &deviation).sum_dim_intlist(-1, false, None::<Kind>)
            }
            Place::OneHot { .. } => &weights * (1.0 - &weights),
        }
    }

    /// `E[f(Z)]` by enumeration: the exact expectation, with an exact gradient in the log weights and in `f`.
    ///
    /// # Shapes
    /// `f` maps the atoms `[n]` or `[n, d]` to `[n]`; the result has shape `batch_shape`.
    pub fn expectation(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        self.log_weights.exp().matmul(&f(&self.atoms))
    }

    /// The entropy in nats, of shape `batch_shape`.
    pub fn entropy(&self) -> Tensor {
        let (weights, log_weights, _) = self.without_zeros();
        -(weights * log_weights).sum_dim_intlist(-1, false, None::<Kind>)
    }

    /// `KL(self || other)` in nats, the exact sum over the atoms, of the broadcast batch shape.
    ///
    /// # Errors
    /// When the two do not live on the same atoms, or their batch shapes do not broadcast.
    pub fn kl(&self, other: &TruncatedDistribution) -> Result<Tensor> {
        if self.place != other.place {
            return Err(Error::DifferentAtoms { left: self.place.to_string(), right: other.place.to_string() });
        }
        if !self.may_vanish {
            let difference = self.log_weights.f_sub(&other.log_weights)?;
            return Ok((self.log_weights.exp() * difference).sum_dim_intlist(-1, false, None::<Kind>));
        }
        let (weights, log_weights, zero) = self.without_zeros();
        let other_log_weights = other.log_weights.f_where_scalarother(&zero.logical_not(), 0.0)?;
        Ok((weights * (log_weights - other_log_weights)).sum_dim_intlist(-1, false, None::<Kind>))
    }

    /// Weights, log weights with zero in place of minus infinity, and where that was done: `0 log 0 = 0`, in the gradient too.
    fn without_zeros(&self) -> (Tensor, Tensor, Tensor) {
        let zero = self.log_weights.eq(f64::NEG_INFINITY);
        let log_weights = self.log_weights.masked_fill(&zero, 0.0);
        (log_weights.exp().masked_fill(&zero, 0.0), log_weights, zero)
    }

    /// Hard samples: exact draws of shape `sample_shape + batch_shape` (`+ [d]`), without gradient.
    ///
    /// # Errors
    /// When libtorch refuses the shape.
    pub fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let shape = [sample_shape, &self.log_weights.size()].concat();
        let noise = gumbel(&shape, self.kind(), self.device())?;
        Ok(self.select((&self.log_weights + noise).argmax(-1, false)))
    }

    /// The log weight of hard samples, of shape `sample_shape + batch_shape`.
    ///
    /// # Errors
    /// When a value is not a hard sample of this law's shape.
    pub fn log_prob(&self, value: &Tensor) -> Result<Tensor> {
        let index = match self.place {
            Place::Integers { lo, .. } => value - lo as f64,
            Place::OneHot { .. } => value.argmax(-1, false),
        };
        let rows = [index.size().as_slice(), &[self.len()]].concat();
        let log_weights = self.log_weights.f_expand(&rows, false)?;
        Ok(log_weights.f_gather(-1, &index.to_kind(Kind::Int64).unsqueeze(-1), false)?.squeeze_dim(-1))
    }

    /// The atoms at these indices.
    pub(crate) fn select(&self, index: Tensor) -> Tensor {
        let mut shape = index.size();
        shape.extend(&self.atoms.size()[1..]);
        self.atoms.index_select(0, &index.reshape([-1])).reshape(shape)
    }
}

fn normalized(logits: &Tensor) -> Result<(Tensor, i64)> {
    let n = logits.size().last().copied().unwrap_or(0);
    if n < 1 || !logits.is_floating_point() {
        return Err(Error::Shape {
            what: format!("logits of kind {:?}", logits.kind()),
            found: logits.size(),
            expected: "a floating-point tensor [..., n] with at least one atom".into(),
        });
    }
    Ok((logits.log_softmax(-1, None::<Kind>), n))
}

/// Fails when some row has less than half of its mass in `lo..=hi`.
fn check_mass(distribution: &dyn Distribution, lo: i64, hi: i64) -> Result<()> {
    let _guard = no_grad_guard();
    let inside: Tensor = 1.0 - distribution.log_tails(lo).0.exp() - distribution.log_tails(hi + 1).1.exp();
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
