//! The same draws by libtorch, in parts of bounded memory: for other devices, other families, and windows too wide for
//! lane blocks.
//!
//! Each part of the batch goes through the tensor graph with parameters cut off from the network, leaves its values and
//! the derivatives of each latent in its own parameters, and is forgotten: nothing with an atom dimension outlives it.
//! A batch that is one part has nothing to save, and keeps its graph.

use super::{Backend, OnePassDraw};
use crate::autograd::{differentiable_once, gradients};
use crate::distributions::Parameter;
use crate::error::{Error, Result};
use crate::random::NoiseKey;
use crate::random::counter_tensors::{gumbel_on, uniform_on};
use crate::relaxation::{FiniteOrder, Pathwise, Relaxation};
use crate::truncation::TruncatedDistribution;
use tch::{Kind, Tensor};

/// Atoms of a part: tensors of 32 MB in float64.
const A_PART: i64 = 1 << 22;

/// What is drawn.
pub(super) struct Blocks<'a, F> {
    pub how: Pathwise,
    pub key: NoiseKey,
    /// The parameters of the law, of the batch shape and dimensions of their own.
    pub parameters: &'a [Parameter],
    pub shape: &'a [i64],
    /// First atom and number of atoms.
    pub window: (i64, i64),
    pub prior: Option<&'a TruncatedDistribution>,
    /// From parameters of any batch shape to the law in the window.
    pub law: F,
}

impl<F: Fn(Vec<Tensor>) -> Result<TruncatedDistribution>> Blocks<'_, F> {
    /// Draws as one graph where the batch fits in one part, else part by part; `part` overrules its size.
    pub fn draw(&self, part: Option<i64>) -> Result<OnePassDraw> {
        let count: i64 = self.shape.iter().product();
        let latents = (part.unwrap_or(A_PART) / self.window.1).max(1);
        if count == 0 || part.is_none() && count <= latents {
            let values = self.parameters.iter().map(|p| p.value.shallow_clone()).collect();
            let (z, kl) = self.relax(values, self.shape, 0)?;
            return Ok(OnePassDraw { z, kl, drawn_by: Backend::TensorGraph });
        }
        let flat: Vec<Tensor> = self.parameters.iter().map(|p| p.value.detach().flatten_batch(self.shape)).collect();
        let mut columns: Vec<Vec<Tensor>> = Vec::new();
        for start in (0..count).step_by(latents as usize) {
            let length = latents.min(count - start);
            let cut = flat.iter().map(|value| value.narrow(0, start, length).detach());
            let parts = self.part(cut.collect(), length, start)?;
            columns.resize_with(parts.len(), Vec::new);
            columns.iter_mut().zip(parts).for_each(|(column, part)| column.push(part));
        }
        let mut columns = columns.into_iter().map(|parts| Tensor::cat(&parts, 0));
        let kinds = if self.prior.is_some() { 2 } else { 1 };
        let mut values: Vec<Tensor> = columns.by_ref().take(kinds).map(|value| value.reshape(self.shape)).collect();
        let slopes: Vec<Tensor> = columns.collect();
        for (value, slopes) in values.iter_mut().zip(slopes.chunks(self.parameters.len())) {
            let slopes = self.parameters.iter().zip(slopes).map(|(p, slopes)| (p, slopes.reshape(p.value.size())));
            *value = attach(value, slopes)?;
        }
        let kl = (kinds == 2).then(|| values.swap_remove(1));
        Ok(OnePassDraw { z: values.swap_remove(0), kl, drawn_by: Backend::Blocks })
    }

    /// `z`, the KL, and the derivatives of `z` and then of the KL in every parameter, of one part of the batch.
    fn part(&self, leaves: Vec<Tensor>, length: i64, start: i64) -> Result<Vec<Tensor>> {
        tch::with_grad(|| {
            let leaves: Vec<Tensor> = leaves.into_iter().map(|leaf| leaf.set_requires_grad(true)).collect();
            let values = leaves.iter().map(Tensor::shallow_clone).collect();
            let (z, kl) = self.relax(values, &[length], start)?;
            let outputs: Vec<Tensor> = [Some(z), kl].into_iter().flatten().collect();
            let mut parts: Vec<Tensor> = outputs.iter().map(Tensor::detach).collect();
            for output in &outputs {
                // Latents are independent: the gradient of their sum is each one's own derivative.
                let sum = output.sum(Kind::Double);
                let slopes = gradients(&sum, &leaves, true, false)?;
                let kind = output.kind();
                parts.extend(slopes.into_iter().zip(&leaves).map(|(slope, leaf)| {
                    let slope = if slope.defined() { slope } else { leaf.zeros_like() };
                    slope.detach().to_kind(kind)
                }));
            }
            Ok(parts)
        })
    }

    /// `z` and the KL of laws with these parameters, whose first latent is number `start` of the batch.
    fn relax(&self, values: Vec<Tensor>, shape: &[i64], start: i64) -> Result<(Tensor, Option<Tensor>)> {
        let (lo, n) = self.window;
        let place = (start, shape.iter().product());
        let latents = self.shape.last().copied().unwrap_or(1).max(1);
        // The integers are those of the law in float64, as the one-pass sampler draws them.
        let drawn_from = match self.how {
            Pathwise::Relaxed { .. } => None,
            Pathwise::FiniteOrder(_) => {
                let values = values.iter().map(|value| value.detach().to_kind(Kind::Double)).collect();
                Some(tch::no_grad(|| (self.law)(values))?)
            }
        };
        let q = (self.law)(values)?;
        let z = match (self.how, drawn_from) {
            (Pathwise::Relaxed { temperature, forward }, _) => {
                let noise = gumbel_on(&self.key, place, latents, (lo, n), q.kind(), q.device())?;
                let noise = noise.reshape([shape, &[n]].concat());
                Relaxation::new(&q, temperature)?.forward(forward).rsample_with_noise(&noise)?
            }
            (Pathwise::FiniteOrder(order), law) => {
                let uniform = uniform_on(&self.key, place, latents, q.device())?.reshape(shape);
                let index = law.as_ref().unwrap_or(&q).index_of_uniform(&uniform);
                FiniteOrder::new(&q, order)?.at(&index)?
            }
        };
        let kl = self.prior.map(|prior| Ok::<_, Error>(q.kl(prior)?.to_kind(q.kind()))).transpose()?;
        Ok((z, kl))
    }
}

/// Returns the value with the gradient of `sum J theta`, for derivatives `J` in parameters that may have dimensions of
/// their own. The gradient can be taken once: the graph does not know how `J` depends on the parameters.
pub(super) fn attach<'p>(value: &Tensor, slopes: impl Iterator<Item = (&'p Parameter, Tensor)>) -> Result<Tensor> {
    let mut attached: Option<Tensor> = None;
    for (parameter, slopes) in slopes.filter(|(parameter, _)| parameter.value.requires_grad()) {
        let product = parameter.value.to_kind(value.kind()) * slopes;
        let own: Vec<i64> = (1..=parameter.own_dims as i64).map(|dim| -dim).collect();
        let product = if own.is_empty() { product } else { product.sum_dim_intlist(own, false, None::<Kind>) };
        attached = Some(match attached {
            Some(sum) => sum + product,
            None => product,
        });
    }
    let Some(mut attached) = attached.filter(Tensor::requires_grad) else { return Ok(value.shallow_clone()) };
    // Only the gradient of the products is wanted.
    tch::no_grad(|| attached.copy_(value));
    differentiable_once(&attached)
}

trait FlattenBatch {
    /// The batch dimensions as one.
    fn flatten_batch(&self, shape: &[i64]) -> Tensor;
}

impl FlattenBatch for Tensor {
    fn flatten_batch(&self, shape: &[i64]) -> Tensor {
        let own = &self.size()[shape.len()..];
        self.reshape([&[shape.iter().product()], own].concat())
    }
}
