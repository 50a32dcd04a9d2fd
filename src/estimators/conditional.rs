//! Gumbel-perturbed log weights, and their distribution given the index of the largest.
//!
//! With `x_k = log pi_k + g_k` and standard Gumbel noise `g`, the largest is `x_b` with probability `pi_b`. Its value
//! is standard Gumbel, shifted by `log sum pi`, and independent of `b`. Given `b`, the others are
//!
//! ```text
//! x_k = -log(exp(-(log pi_k + g_k)) + exp(-x_b)),      g_k standard Gumbel
//! ```
//!
//! # Source
//! Maddison, Tarlow, Minka, "A* Sampling", arXiv 1411.0030; as a control variate's second sample: Tucker et al.,
//! "REBAR", arXiv 1703.07370, appendix.

use super::expectation::Expectation;
use super::tensors::no_value;
use crate::error::Result;
use crate::random::gumbel;
use tch::{Kind, Tensor, no_grad_guard};

/// Draws perturbed log weights `[samples, rows..., latents, atoms]` given that the largest is at `index`
/// `[samples, rows..., latents]`. The result has no gradient.
pub(super) fn given(expectation: &Expectation<'_>, index: &Tensor) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let log_weights = expectation.log_weights();
    let (kind, device) = (log_weights.kind(), log_weights.device());
    let top = gumbel(&[index.size().as_slice(), &[1]].concat(), kind, device)? + log_weights.logsumexp(-1, true);
    let others = -(-expectation.perturbed()?).logaddexp(&-&top);
    Ok(others.scatter(-1, &index.unsqueeze(-1), &top))
}

/// Returns a tensor of value zero whose gradient is that of an unconditional draw `x` minus that of a draw given its
/// largest, `[samples, rows..., latents, atoms]`.
///
/// With `r_k = exp(x_k - x_b)` and fixed noise, an unconditional draw has `d x_k = d log pi_k`, and a conditional one
/// `(1 - r_k) d log pi_k + r_k d log sum pi`; the difference is `r_k (d log pi_k - d log sum pi)`. Adding it to one
/// draw lets that draw serve as both samples of REBAR.
pub(super) fn unconditional_minus_conditional_gradient(
    expectation: &Expectation<'_>,
    x: &Tensor,
    index: &Tensor,
) -> Tensor {
    let x = x.detach();
    let ratio = (&x - x.gather(-1, &index.unsqueeze(-1), false)).exp();
    let log_weights = expectation.log_weights();
    ratio * no_value(&(&log_weights - log_weights.logsumexp(-1, true)))
}

/// Returns one at the atoms of `index` `[samples, rows..., latents]` and zero elsewhere,
/// `[samples, rows..., latents, atoms]`: the derivative of the sample's log probability in normalised log weights.
pub(super) fn one_hot(index: &Tensor, atoms: i64, kind: Kind) -> Tensor {
    let zeros = Tensor::zeros([index.size().as_slice(), &[atoms]].concat(), (kind, index.device()));
    zeros.scatter_value(-1, &index.unsqueeze(-1), 1.0)
}

/// Converts the gradient `g` `[rows..., latents, atoms]` in the log weights into `sum_k g_k (c_k - E z)`,
/// `[rows..., latents]` (`+ [d]` for vectors): the gradient in `t` of the law `pi_k exp(t c_k)`.
///
/// `t` is the natural parameter of Poisson, geometric, negative binomial and binomial latents, and the logits of
/// one-hot latents.
pub(super) fn gradient_in_natural_parameter(g: &Tensor, expectation: &Expectation<'_>) -> Tensor {
    let mean = expectation.law.mean().detach();
    let total = g.sum_dim_intlist(-1, false, None::<Kind>);
    let vectors = mean.dim() == g.dim();
    expectation.weigh(g) - if vectors { total.unsqueeze(-1) * mean } else { total * mean }
}
