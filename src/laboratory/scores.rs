//! Conversion of gradients in log weights into gradients in parameters.
//!
//! The law and its scores are computed once. The rows of a batch are copies of its log weights, and the chain rule
//! converts an estimator's gradient in them. So a million rows need no more special functions than one.

use crate::autograd;
use crate::error::Result;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// Computes the derivatives of log weights `[atoms]` in scalar parameters: `[atoms, parameters]`, without gradient.
///
/// The gradient of `sum_k v_k log pi_k` is linear in `v`; its derivative in `v` is the result. This needs two backward
/// passes per parameter, for any number of atoms.
pub(super) fn scores(law: &TruncatedDistribution, parameters: &[Tensor]) -> Result<Tensor> {
    let log_weights = law.log_weights();
    let v = log_weights.ones_like().detach().set_requires_grad(true);
    let weighted = (log_weights * &v).sum(Kind::Double);
    let gradients = autograd::gradients(&weighted, parameters, true, true)?;
    let columns = gradients.iter().map(|gradient| {
        // A parameter that no log weight depends on has no gradient.
        if gradient.defined() && gradient.requires_grad() {
            let column = autograd::gradients(gradient, &[&v], true, false)?.remove(0);
            if column.defined() {
                return Ok(column);
            }
        }
        Ok(v.detach().zeros_like())
    });
    Ok(Tensor::stack(&columns.collect::<Result<Vec<_>>>()?, -1))
}

/// The rows of a batch as leaves of a graph: log weights `[rows, latents, atoms]`, and parameters `[rows, latents]` for
/// estimators that use these in place of log weights.
#[derive(Debug)]
pub(super) struct Leaves {
    pub law: TruncatedDistribution,
    pub parameters: Vec<Tensor>,
}

impl Leaves {
    /// Makes `[rows, latents]` copies of a law's log weights.
    pub fn new(law: &TruncatedDistribution, shape: [i64; 2], parameters: Vec<Tensor>) -> Self {
        let copies = law.log_weights().detach().expand([shape.as_slice(), &[law.len()]].concat(), false).copy();
        Self { law: law.with_log_weights(copies.set_requires_grad(true)), parameters }
    }

    /// Returns the gradient of each row's surrogate in the parameters of the scores `[atoms, parameters]`:
    /// `[rows, latents, parameters]`, float64.
    pub fn gradients(&self, surrogate: &Tensor, scores: &Tensor) -> Result<Tensor> {
        let inputs: Vec<&Tensor> = std::iter::once(self.law.log_weights()).chain(&self.parameters).collect();
        let mut through = autograd::gradients(&surrogate.sum(None::<Kind>), &inputs, false, false)?;
        let in_parameters = through.split_off(1);
        let leaf = self.law.log_weights();
        let mut gradients = match &through[0] {
            gradient if gradient.defined() => gradient.matmul(scores),
            _ => leaf.detach().narrow(-1, 0, 1).zeros_like().repeat([1, 1, scores.size()[1]]),
        };
        if in_parameters.iter().any(Tensor::defined) {
            gradients += Tensor::stack(&in_parameters, -1);
        }
        Ok(gradients.to_kind(Kind::Double))
    }
}
