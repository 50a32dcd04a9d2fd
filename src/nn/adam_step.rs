//! One update of Adam: in place for dense float32 on the CPU, otherwise as tensor operations.

use super::Rows;
use super::dense::{BETA1, BETA2, EPS, PART_LENGTH, Part, RowGradient, RowsPart, StepScale};
use super::embedding::Terms;
use crate::error::Result;
use crate::platform::{slices, threads};
use tch::Tensor;

/// A parameter and its moving averages.
#[derive(Debug)]
pub(super) struct ParamState {
    pub name: String,
    pub parameter: Tensor,
    pub exp_avg: Tensor,
    pub exp_avg_sq: Tensor,
}

/// One update of Adam, with the bias corrections for averages that started at zero.
pub(super) struct AdamStep {
    /// The learning rate over `1 - BETA1^t`.
    pub learning_rate: f64,
    /// `1 / sqrt(1 - BETA2^t)`.
    pub correction: f64,
    /// On a device: whether everything is finite. If not, nothing changes.
    pub finite: Option<Tensor>,
}

impl AdamStep {
    /// Updates parameters from their gradients; an undefined gradient leaves its parameter unchanged.
    pub fn update<'a>(&self, slots: impl Iterator<Item = (&'a mut ParamState, &'a Tensor)>) {
        let mut plain = Vec::new();
        for (slot, gradient) in slots.filter(|(_, gradient)| gradient.defined()) {
            if Part::fits([&slot.parameter, &slot.exp_avg, &slot.exp_avg_sq, gradient]) {
                plain.push((slot, gradient));
            } else {
                self.apply(slot, gradient);
            }
        }
        if !self.in_place(&mut plain) {
            // Some tensors share memory: copies the gradients before a parameter changes.
            let copies: Vec<Tensor> = plain.iter().map(|(_, gradient)| gradient.copy()).collect();
            plain.iter_mut().zip(&copies).for_each(|((slot, _), gradient)| self.apply(slot, gradient));
        }
    }

    /// Updates dense tensors in one pass; returns false, and changes nothing, if some of them share memory.
    fn in_place(&self, plain: &mut [(&mut ParamState, &Tensor)]) -> bool {
        let (mut written, mut seen) = (Vec::new(), Vec::new());
        for (slot, gradient) in plain {
            let ParamState { parameter, exp_avg, exp_avg_sq, .. } = &mut **slot;
            written.extend([parameter, exp_avg, exp_avg_sq]);
            seen.push(*gradient);
        }
        let Some((written, seen)) = slices::of_all(written, seen) else { return false };
        let mut written = written.into_iter();
        let mut parts = Vec::new();
        for gradient in seen {
            let (Some(p), Some(m), Some(v)) = (written.next(), written.next(), written.next()) else { break };
            parts.extend(Part::split([p, m, v], gradient));
        }
        let scale = self.scale();
        if parts.iter().map(|part| part.gradient.len()).sum::<usize>() < PART_LENGTH {
            parts.into_iter().for_each(|part| part.update(scale));
        } else {
            threads::run(parts, |_, part| part.update(scale));
        }
        true
    }

    /// Returns the factors of the update in float32.
    fn scale(&self) -> StepScale {
        StepScale { learning_rate: self.learning_rate as f32, correction: self.correction as f32 }
    }

    /// Updates the given rows of a table from the gradient in their leaf.
    pub fn update_rows(&self, slot: &mut ParamState, rows: &Rows, leaf_gradient: &Tensor) -> Result<()> {
        if self.finite.is_none() && self.update_rows_in_place(slot, rows, leaf_gradient)? {
            return Ok(());
        }
        let (indices, gradient) = (&rows.indices, rows.gradient(leaf_gradient)?);
        let select = |tensor: &Tensor| tensor.detach().f_index_select(0, indices);
        let mut rows = ParamState {
            name: String::new(),
            parameter: select(&slot.parameter)?,
            exp_avg: select(&slot.exp_avg)?,
            exp_avg_sq: select(&slot.exp_avg_sq)?,
        };
        self.update(std::iter::once((&mut rows, &gradient)));
        let _ = slot.parameter.f_index_copy_(0, indices, &rows.parameter)?;
        let _ = slot.exp_avg.f_index_copy_(0, indices, &rows.exp_avg)?;
        let _ = slot.exp_avg_sq.f_index_copy_(0, indices, &rows.exp_avg_sq)?;
        Ok(())
    }

    /// Updates the given rows in one pass; returns false, and changes nothing, if tables or gradient are not dense
    /// float32 on the CPU.
    fn update_rows_in_place(&self, slot: &mut ParamState, rows: &Rows, leaf_gradient: &Tensor) -> Result<bool> {
        let ParamState { parameter, exp_avg, exp_avg_sq, .. } = slot;
        let leaf_gradient = leaf_gradient.f_contiguous()?;
        let indices = Vec::<i64>::try_from(&rows.indices)?;
        let mut ordered = Vec::new();
        let derivatives = rows.terms.as_ref().and_then(|terms| terms.derivatives.as_ref());
        let derivatives = derivatives.map(|derivatives| derivatives.f_contiguous()).transpose()?;
        let total = parameter.size().first().map_or(0, |&rows| rows as usize);
        let seen = std::iter::once(&leaf_gradient).chain(&derivatives).collect();
        let Some((written, seen)) = slices::of_all(vec![parameter, exp_avg, exp_avg_sq], seen) else {
            return Ok(false);
        };
        let (Ok(tables), Some(&leaf_gradient)) = (<[&mut [f32]; 3]>::try_from(written), seen.first()) else {
            return Ok(false);
        };
        let gradient = match &rows.terms {
            Some(Terms { entries, weights, .. }) => {
                ordered.extend(entries.by_row(weights)?);
                let (starts, derivatives) = (entries.starts(), seen.get(1).copied());
                RowGradient::Sums { sums: leaf_gradient, terms: &ordered, starts, derivatives }
            }
            None => RowGradient::Rows(leaf_gradient),
        };
        let Some(parts) = RowsPart::split(tables, total, &indices, gradient, self.scale()) else {
            return Ok(false);
        };
        threads::run(parts, |_, part| part.update());
        Ok(true)
    }

    /// Updates a parameter by tensor operations.
    pub fn apply(&self, slot: &mut ParamState, gradient: &Tensor) {
        if let Some(finite) = &self.finite {
            return self.apply_where(finite, slot, gradient);
        }
        let gradient = &gradient.to_kind(slot.exp_avg.kind());
        let _ = slot.exp_avg.lerp_(gradient, 1.0 - BETA1);
        let _ = slot.exp_avg_sq.g_mul_scalar_(BETA2);
        let _ = slot.exp_avg_sq.addcmul_(&(gradient * (1.0 - BETA2)), gradient);
        let denominator = (slot.exp_avg_sq.sqrt() * self.correction).g_add_scalar_(EPS);
        let _ = slot.parameter.addcdiv_(&(&slot.exp_avg * -self.learning_rate), &denominator);
    }

    /// Updates a parameter by tensor operations if the flag `finite` on the device is true. If it is false, every
    /// number is multiplied by 1 or gains 0. A gradient that is not finite is replaced first, since 0 times infinity is
    /// NaN.
    fn apply_where(&self, finite: &Tensor, slot: &mut ParamState, gradient: &Tensor) {
        let gradient = gradient.where_self(finite, &gradient.zeros_like()).to_kind(slot.exp_avg.kind());
        let share = finite.to_kind(slot.exp_avg.kind());
        let _ = slot.exp_avg.lerp_tensor_(&gradient, &(&share * (1.0 - BETA1)));
        let kept: Tensor = 1.0 - &share * (1.0 - BETA2);
        let _ = slot.exp_avg_sq.g_mul_(&kept);
        let _ = slot.exp_avg_sq.addcmul_(&(&gradient * (1.0 - BETA2)), &gradient);
        let denominator = (slot.exp_avg_sq.sqrt() * self.correction).g_add_scalar_(EPS);
        let _ = slot.parameter.addcdiv_(&(&slot.exp_avg * (&share * -self.learning_rate)), &denominator);
    }
}
