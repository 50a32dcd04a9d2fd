//! Hard samples of a truncated distribution, and their log weights.

use super::{Place, TruncatedDistribution};
use crate::checks::broadcasts;
use crate::checks::real;
use crate::error::{Error, Result};
use crate::platform::limits::check_shape;
use crate::random::counter_tensors::gumbel_on;
use crate::random::{NoiseKey, gumbel};
use tch::{Kind, Tensor, no_grad_guard};

impl TruncatedDistribution {
    /// Fresh Gumbel noise for draws, `sample_shape + batch_shape + [n]`.
    pub(crate) fn noise(&self, sample_shape: &[i64]) -> Result<Tensor> {
        gumbel(&[sample_shape, &self.log_weights.size()].concat(), self.kind(), self.device())
    }

    /// Hard samples: exact draws of shape `sample_shape + batch_shape` (`+ [d]`), without gradient.
    ///
    /// # Errors
    /// When libtorch refuses the shape.
    pub fn sample(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        Ok(self.select(self.sample_index(sample_shape)?))
    }

    /// Indices of exact draws among the atoms, `sample_shape + batch_shape`.
    pub(crate) fn sample_index(&self, sample_shape: &[i64]) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let noise = self.noise(sample_shape)?;
        Ok((&self.log_weights + noise).argmax(-1, false))
    }

    /// Indices of exact draws by the inverse of the distribution function: the first atom up to which more than
    /// `uniform` lies, float64 of the batch shape.
    pub(crate) fn index_of_uniform(&self, uniform: &Tensor) -> Tensor {
        let _guard = no_grad_guard();
        let below = self.log_weights.to_kind(Kind::Double).exp().cumsum(-1, Kind::Double);
        let index = below.le_tensor(&uniform.unsqueeze(-1)).sum_dim_intlist(-1, false, Kind::Int64);
        index.clamp_max(self.len() - 1)
    }

    /// Hard samples of scalar atoms, `batch_shape` = `[..., latents]`, whose noise is a function of the key and of
    /// their places: rows are numbered through the leading dimensions.
    ///
    /// # Errors
    /// When there is no dimension of latents, or the noise would be too large.
    pub(crate) fn sample_by(&self, key: &NoiseKey) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let shape = self.log_weights.size();
        let &[ref rows @ .., latents, atoms] = shape.as_slice() else {
            let expected = "[..., latents, atoms]".into();
            return Err(Error::Shape { what: "noise by counter".into(), found: shape, expected });
        };
        check_shape("noise by counter", &shape, self.kind())?;
        let place = (0, rows.iter().product::<i64>() * latents);
        let noise = gumbel_on(key, place, latents, (0, atoms), self.kind(), self.device())?;
        Ok(self.select((&self.log_weights + noise.reshape(&shape)).argmax(-1, false)))
    }

    /// The log weight of hard samples, of the shape to which the value and the batch shape broadcast; minus infinity
    /// where the value is no atom.
    ///
    /// # Shapes
    /// `value` broadcasts against `batch_shape`, and has the atoms' own dimension after that where they are vectors.
    ///
    /// # Errors
    /// When it does not, or a vector of counts does not have the law's sum.
    pub fn log_prob(&self, value: &Tensor) -> Result<Tensor> {
        let value = real(value, "value of log_prob", Kind::Double, self.device())?;
        let mut rows = value.size();
        let own = &self.atoms.size()[1..];
        let vectors = matches!(self.place, Place::OneHot { .. } | Place::Counts { .. });
        if vectors && rows.pop() != own.first().copied() || !broadcasts(&rows, &self.batch_shape()) {
            return Err(Error::Shape {
                what: "log_prob of a value".into(),
                found: value.size(),
                expected: format!(
                    "the batch shape {:?}{}",
                    self.batch_shape(),
                    if vectors { format!(" + {own:?}") } else { String::new() }
                ),
            });
        }
        let (index, is_atom) = match self.place {
            Place::Integers { lo, hi } => {
                let index = (&value - lo as f64).round().clamp(0.0, (hi - lo) as f64).nan_to_num(0.0, None, None);
                let index = index.to_kind(Kind::Int64);
                let is_atom = self.atoms_at(&index).to_kind(Kind::Double).eq_tensor(&value);
                (index, is_atom)
            }
            Place::OneHot { .. } => {
                let ones = value.eq(1.0).sum_dim_intlist(-1, false, Kind::Int64).eq(1);
                (
                    value.argmax(-1, false),
                    ones.logical_and(&value.eq(1.0).logical_or(&value.eq(0.0)).all_dim(-1, false)),
                )
            }
            Place::Counts { .. } => {
                let same = value.unsqueeze(-2).f_eq_tensor(&self.atoms)?.all_dim(-1, false);
                let is_atom = same.any_dim(-1, false);
                if is_atom.all().int64_value(&[]) == 0 {
                    return Err(Error::Shape {
                        what: "log_prob of a value that is no outcome".into(),
                        found: value.size(),
                        expected: self.place.to_string(),
                    });
                }
                (same.to_kind(Kind::Int8).argmax(-1, false), is_atom)
            }
        };
        let mut shape = Tensor::f_broadcast_tensors(&[&index, &self.log_weights.select(-1, 0)])?.remove(0).size();
        let (index, is_atom) = (index.f_expand(&shape, false)?, is_atom.f_expand(&shape, false)?);
        shape.push(self.len());
        let at = self.log_weights.f_expand(&shape, false)?.f_gather(-1, &index.unsqueeze(-1), false)?.squeeze_dim(-1);
        Ok(at.where_self(&is_atom, &at.full_like(f64::NEG_INFINITY)))
    }

    /// The atoms at indices that broadcast against the batch shape, of scalar atoms.
    fn atoms_at(&self, index: &Tensor) -> Tensor {
        if !self.has_own_atoms() {
            return self.atoms.index_select(0, &index.reshape([-1])).reshape(index.size());
        }
        let first = self.atoms.select(-1, 0);
        let index = Tensor::broadcast_tensors(&[index, &first]).remove(0).to_kind(Kind::Int64);
        let rows = [index.size().as_slice(), &[self.len()]].concat();
        self.atoms.expand(&rows, false).gather(-1, &index.unsqueeze(-1), false).squeeze_dim(-1)
    }

    /// The atoms at these indices, `sample_shape + batch_shape`.
    pub(crate) fn select(&self, index: Tensor) -> Tensor {
        if self.has_own_atoms() {
            let rows = [index.size().as_slice(), &[self.len()]].concat();
            return self.atoms.expand(&rows, false).gather(-1, &index.unsqueeze(-1), false).squeeze_dim(-1);
        }
        let mut shape = index.size();
        shape.extend(&self.atoms.size()[1..]);
        self.atoms.index_select(0, &index.reshape([-1])).reshape(shape)
    }
}
