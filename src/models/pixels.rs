//! The likelihood of Bernoulli pixels given their logits: `-log p(x | l) = sum_i log(1 + exp(l_i)) - x_i l_i`, with the
//! derivative `sigmoid(l_i) - x_i`.

use crate::autograd::differentiable_once;
use crate::error::Result;
use crate::math::lanes::softplus;
use crate::platform::device::is_host;
use crate::platform::{slices, threads};
use tch::{Device, Kind, Reduction, Tensor};

/// Computes `-log p(x | logits)` in nats, summed over the pixels: `[..., pixels]` to `[...]`. `x` broadcasts against
/// the leading dimensions of `logits`.
pub(super) fn reconstruction(logits: &Tensor, x: &Tensor) -> Tensor {
    let x = x.expand_as(logits);
    logits.binary_cross_entropy_with_logits(&x, None::<&Tensor>, None::<&Tensor>, Reduction::None).sum_dim_intlist(
        -1,
        false,
        None::<Kind>,
    )
}

/// Computes [`reconstruction`] for a graph that is differentiated once; a second derivative is an error. For dense
/// float32 `[B, pixels]` on the CPU, one pass gives values and derivatives.
pub(super) fn reconstruction_once(logits: &Tensor, x: &Tensor) -> Result<Tensor> {
    let dense = |t: &Tensor| is_host(t.device()) && t.kind() == Kind::Float && t.is_contiguous();
    let fits = logits.dim() == 2 && logits.numel() > 0 && logits.size() == x.size() && dense(logits) && dense(x);
    if !fits || !logits.requires_grad() || x.requires_grad() {
        return Ok(reconstruction(logits, x));
    }
    let (rows, pixels) = (logits.size()[0], logits.size()[1] as usize);
    let (mut values, mut slopes) =
        tch::no_grad(|| (Tensor::zeros([rows], (Kind::Float, Device::Cpu)), logits.zeros_like()));
    let Some((mut to_write, to_read)) = slices::of_all::<f32>(vec![&mut values, &mut slopes], vec![logits, x]) else {
        return Ok(reconstruction(logits, x));
    };
    let ([values_of, slopes_of], [l, x]) = (&mut to_write[..], &to_read[..]) else {
        return Ok(reconstruction(logits, x));
    };
    let outputs = values_of.iter_mut().zip(slopes_of.chunks_exact_mut(pixels));
    let inputs = l.chunks_exact(pixels).zip(x.chunks_exact(pixels));
    threads::run(outputs.zip(inputs).collect(), |_, ((value, slopes), (logits, x))| {
        *value = pulp::Arch::new().dispatch(Row { logits, x, slopes });
    });
    // Builds a graph with the derivatives `slopes`, then overwrites its value.
    let mut sums = (logits * slopes).sum_dim_intlist(-1, false, None::<Kind>);
    tch::no_grad(|| sums.copy_(&values));
    differentiable_once(&sums)
}

/// Computes the sum over a row and its derivatives, with the CPU's widest vectors. (A closure might not be inlined, and
/// would then not be compiled for them.)
struct Row<'a> {
    logits: &'a [f32],
    x: &'a [f32],
    slopes: &'a mut [f32],
}

impl pulp::WithSimd for Row<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f32 {
        let Self { logits, x, slopes } = self;
        let mut sums = [0.0; LANES];
        let whole = logits.len() - logits.len() % LANES;
        let parts = logits.chunks_exact(LANES).zip(x.chunks_exact(LANES)).zip(slopes.chunks_exact_mut(LANES));
        for ((logits, x), slopes) in parts {
            for i in 0..LANES {
                let (term, slope) = pixel(logits[i], x[i]);
                sums[i] += term;
                slopes[i] = slope;
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for i in whole..logits.len() {
            let (term, slope) = pixel(logits[i], x[i]);
            sum += term;
            slopes[i] = slope;
        }
        sum
    }
}

/// The number of pixels that are summed side by side.
const LANES: usize = 16;

/// Computes `log(1 + exp(l)) - x l` and its derivative `sigmoid(l) - x`.
#[inline(always)]
fn pixel(l: f32, x: f32) -> (f32, f32) {
    let (softplus, sigmoid) = softplus(l);
    (softplus - x * l, sigmoid - x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values and gradients of both, for logits from the middle to far in the tails, and a width that is no multiple of
    /// a vector.
    #[test]
    fn one_pass_equals_the_graph() {
        let float = (Kind::Float, Device::Cpu);
        let logits = (Tensor::arange(7 * 37, float) - 129.0).reshape([7, 37]);
        let logits = logits.sign() * (logits.abs() / 25.0).pow_tensor_scalar(3.0);
        let x = Tensor::arange(7 * 37, float).remainder(3.0).reshape([7, 37]) / 2.0;
        let weights = Tensor::arange(7, float) - 2.5;
        let of = |function: fn(&Tensor, &Tensor) -> Tensor, kind: Kind| {
            let leaf = logits.to_kind(kind).set_requires_grad(true);
            let values = function(&leaf, &x.to_kind(kind));
            let gradient = Tensor::run_backward(&[(&values * &weights).sum(kind)], &[&leaf], false, false).remove(0);
            [values.detach(), gradient].map(|t| t.to_kind(Kind::Double))
        };
        let [found, expected] =
            [of(|l, x| reconstruction_once(l, x).unwrap(), Kind::Float), of(reconstruction, Kind::Double)];
        for (found, expected) in found.iter().zip(&expected) {
            let error = ((found - expected).abs() / expected.abs().clamp_min(1.0)).max().double_value(&[]);
            assert!(error < 1e-6, "{error}");
        }
    }
}
