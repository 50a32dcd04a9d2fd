//! From gradients in log weights to gradients in parameters.
//!
//! The law and its scores are computed once; the rows of a batch are copies of its log weights, and what an estimator
//! gives in them is carried on by the chain rule. So a million rows cost no more special functions than one.

use crate::autograd;
use crate::error::Result;
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// Derivatives of log weights `[atoms]` in scalar parameters, `[atoms, parameters]`, without graph.
///
/// The gradient of `sum_k v_k log pi_k` is linear in `v`, and its derivative in `v` is what is asked for: two backward
/// passes a parameter, however many atoms.
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

/// Rows of a batch as leaves of a graph: log weights `[rows, latents, atoms]`, and parameters `[rows, latents]` for
/// estimators that look at them instead.
#[derive(Debug)]
pub(super) struct Leaves {
    pub law: TruncatedDistribution,
    pub parameters: Vec<Tensor>,
}

impl Leaves {
    /// `[rows, latents]` copies of a law's log weights.
    pub fn new(law: &TruncatedDistribution, shape: [i64; 2], parameters: Vec<Tensor>) -> Self {
        let copies = law.log_weights().detach().expand([shape.as_slice(), &[law.len()]].concat(), false).copy();
        Self { law: law.with_log_weights(copies.set_requires_grad(true)), parameters }
    }

    /// The gradient of each row's surrogate in the parameters behind the scores `[atoms, parameters]`:
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
