//! Perturbed log weights, and the same again given which of them is the largest.
//!
//! With `x_k = log pi_k + g_k` and standard Gumbel noise `g`, the largest is `x_b` with probability `pi_b`, and is
//! itself standard Gumbel, moved by `log sum pi`, whichever it is. Given `b`, the others are
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

/// Fresh perturbed log weights whose largest are those at `index` `[samples, rows..., latents]`; without graph.
pub(super) fn given(of: &Expectation<'_>, index: &Tensor) -> Result<Tensor> {
    let _guard = no_grad_guard();
    let log_weights = of.log_weights();
    let like = (log_weights.kind(), log_weights.device());
    let top = gumbel(&[index.size().as_slice(), &[1]].concat(), like.0, like.1)? + log_weights.logsumexp(-1, true);
    let others = -(-of.perturbed()?).logaddexp(&-&top);
    Ok(others.scatter(-1, &index.unsqueeze(-1), &top))
}

/// Zero in value; in the log weights, the derivative of perturbed log weights `x` at fixed noise, less the derivative
/// of the same numbers as a draw given their largest, at fixed noise of that draw: with `r_k = exp(x_k - x_b)`, the
/// first is `d log pi_k` and the second `(1 - r_k) d log pi_k + r_k d log sum pi`.
///
/// The two draws of a control variate then share their value, and what remains of their slopes is only what differs.
pub(super) fn slope_beyond_given(of: &Expectation<'_>, x: &Tensor, index: &Tensor) -> Tensor {
    let x = x.detach();
    let ratio = (&x - x.gather(-1, &index.unsqueeze(-1), false)).exp();
    let log_weights = of.log_weights();
    ratio * no_value(&(&log_weights - log_weights.logsumexp(-1, true)))
}

/// One at the atoms of `index`, zero elsewhere: `[samples, rows..., latents, atoms]`, the derivative of the
/// log-probability.
pub(super) fn one_hot(index: &Tensor, atoms: i64, kind: Kind) -> Tensor {
    let zeros = Tensor::zeros([index.size().as_slice(), &[atoms]].concat(), (kind, index.device()));
    zeros.scatter_value(-1, &index.unsqueeze(-1), 1.0)
}

/// The derivative in the natural parameter that tilts a law towards its larger atoms, `pi_k` to `pi_k exp(t c_k)`, from
/// that in the log weights, `g` `[rows..., latents, atoms]`: for Poisson, geometric, negative binomial and binomial
/// latents that of their own natural parameter, for one-hot latents those of the logits.
pub(super) fn tilted(g: &Tensor, of: &Expectation<'_>) -> Tensor {
    let mean = of.law.mean().detach();
    let total = g.sum_dim_intlist(-1, false, None::<Kind>);
    let vectors = mean.dim() == g.dim();
    of.weigh(g) - if vectors { total.unsqueeze(-1) * mean } else { total * mean }
}
