//! Fully connected layers with PyTorch's names and initialisation.

use super::{SparseProduct, onednn};
use tch::nn::{Init, Path};
use tch::{Tensor, no_grad_guard};

/// A layer `y = x W^T + b`, initialised as `torch.nn.Linear`: weight and bias uniform within `1 / sqrt(inputs)`.
///
/// (tch's `nn::linear` starts with weights wider by a factor of `sqrt(6)`.)
#[derive(Debug)]
pub struct Linear {
    /// The weight's name in its store.
    name: String,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Makes a layer with the parameters `weight` `[outputs, inputs]` and `bias` `[outputs]` under `path`.
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Self {
            name: path.path("weight"),
            weight: path.var("weight", &[outputs, inputs], init),
            bias: path.var("bias", &[outputs], init),
        }
    }

    /// Sets weight and bias to zero.
    pub(crate) fn clear(&self) {
        let _guard = no_grad_guard();
        for parameter in [&self.weight, &self.bias] {
            let _ = parameter.shallow_clone().zero_();
        }
    }

    /// Maps `[..., inputs]` to `[..., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}

/// Linear layers with ReLUs between them, numbered as in `torch.nn.Sequential(Linear, ReLU, Linear, ...)`.
#[derive(Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Makes layers of the given widths, inputs first; at least two widths make a layer.
    pub fn new(path: &Path, widths: &[i64]) -> Self {
        let layers =
            widths.windows(2).enumerate().map(|(i, pair)| Linear::new(&(path / (2 * i)), pair[0], pair[1])).collect();
        Self { layers }
    }

    /// Computes [`forward`](Self::forward) for a graph that is differentiated at most once. Uses oneDNN's products for
    /// float32 on a CPU with AVX-512, where they can be faster; the values differ in the last bits.
    pub fn forward_once(&self, x: &Tensor) -> Tensor {
        through_once(&self.layers, x)
    }

    /// Computes [`forward_once`](Self::forward_once) with a cheaper first layer for sparse inputs.
    ///
    /// If the input is float32 on the CPU, mostly zeros, and without gradient, the first layer's cost is proportional
    /// to the nonzero inputs. Its weight is then not in the graph, and a product is returned, from which
    /// [`Adam::minimize_products`](super::Adam::minimize_products) computes its gradient; otherwise `None`.
    pub fn forward_sparse(&self, x: &Tensor) -> (Tensor, Option<SparseProduct>) {
        let product = self.layers.first().and_then(|first| SparseProduct::new(&first.name, x, &first.weight));
        let (Some(product), Some((first, rest))) = (product, self.layers.split_first()) else {
            return (self.forward_once(x), None);
        };
        let h = &product.leaf + &first.bias;
        let y = if rest.is_empty() { h } else { through_once(rest, &h.relu()) };
        (y, Some(product))
    }

    /// Returns the number of linear layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Returns the parameters, which share memory with the layers, named as in `torch.nn.Sequential`: `0.weight`,
    /// `0.bias`, `2.weight`, ...
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(i, Linear { weight, bias, .. })| {
                [("weight", weight), ("bias", bias)].map(|(name, t)| (format!("{}.{name}", 2 * i), t.shallow_clone()))
            })
            .collect()
    }

    /// Maps `[..., inputs]` to `[..., outputs]`, without activation after the last layer.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        through(&self.layers, x)
    }
}

/// Applies layers with ReLUs between them.
fn through(layers: &[Linear], x: &Tensor) -> Tensor {
    let mut h = x.shallow_clone();
    for (i, layer) in layers.iter().enumerate() {
        h = layer.forward(&if i == 0 { h } else { h.relu() });
    }
    h
}

/// Applies layers with ReLUs between them, by oneDNN's products if they can be faster.
fn through_once(layers: &[Linear], x: &Tensor) -> Tensor {
    let Some(mut h) = onednn::enter(x) else { return through(layers, x) };
    for (i, Linear { weight, bias, .. }) in layers.iter().enumerate() {
        h = onednn::linear(&if i == 0 { h } else { h.relu() }, weight, bias);
    }
    onednn::leave(&h)
}
