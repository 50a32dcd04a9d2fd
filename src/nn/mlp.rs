//! Fully connected layers with PyTorch's names and initialisation.

use super::{SparseProduct, onednn};
use tch::nn::{Init, Path};
use tch::{Tensor, no_grad_guard};

/// `y = x W^T + b`, initialised as `torch.nn.Linear`: weight and bias uniform within `1 / sqrt(inputs)`.
///
/// (tch's own `nn::linear` starts weights wider by a factor of the square root of six.)
#[derive(Debug)]
pub struct Linear {
    /// The weight's name in its store.
    name: String,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer whose parameters are called `weight` `[outputs, inputs]` and `bias` `[outputs]` under `path`.
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

    /// `[..., inputs]` to `[..., outputs]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}

/// Linear layers with a rectifier between them, numbered as in `torch.nn.Sequential(Linear, ReLU, Linear, ...)`.
#[derive(Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers of these widths, inputs first; `widths` needs at least two numbers to hold a layer.
    pub fn new(path: &Path, widths: &[i64]) -> Self {
        let layers =
            widths.windows(2).enumerate().map(|(i, pair)| Linear::new(&(path / (2 * i)), pair[0], pair[1])).collect();
        Self { layers }
    }

    /// As [`forward`](Self::forward), to be differentiated once at most: by oneDNN's products where the input is
    /// float32 on a CPU with AVX-512, where they can be the faster ones. The values differ in the last bits.
    pub fn forward_once(&self, x: &Tensor) -> Tensor {
        through_once(&self.layers, x)
    }

    /// As [`forward_once`](Self::forward_once). Where the input is float32 on the CPU, mostly zeros, and without a
    /// gradient, the first layer costs what is not zero, and its weight is not in the graph: its gradient goes by the
    /// product that is returned, for [`Adam::minimize_products`](super::Adam::minimize_products).
    pub fn forward_sparse(&self, x: &Tensor) -> (Tensor, Option<SparseProduct>) {
        let product = self.layers.first().and_then(|first| SparseProduct::new(&first.name, x, &first.weight));
        let (Some(product), Some((first, rest))) = (product, self.layers.split_first()) else {
            return (self.forward_once(x), None);
        };
        let h = &product.leaf + &first.bias;
        let y = if rest.is_empty() { h } else { through_once(rest, &h.relu()) };
        (y, Some(product))
    }

    /// The number of linear layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The parameters, sharing memory with the layers, named as in `torch.nn.Sequential`: `0.weight`, `0.bias`,
    /// `2.weight`, ...
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(i, Linear { weight, bias, .. })| {
                [("weight", weight), ("bias", bias)].map(|(name, t)| (format!("{}.{name}", 2 * i), t.shallow_clone()))
            })
            .collect()
    }

    /// `[..., inputs]` to `[..., outputs]`; no activation after the last layer.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        through(&self.layers, x)
    }
}

/// Through layers with a rectifier between them.
fn through(layers: &[Linear], x: &Tensor) -> Tensor {
    let mut h = x.shallow_clone();
    for (i, layer) in layers.iter().enumerate() {
        h = layer.forward(&if i == 0 { h } else { h.relu() });
    }
    h
}

/// The same, by oneDNN's products where they can be the faster.
fn through_once(layers: &[Linear], x: &Tensor) -> Tensor {
    let Some(mut h) = onednn::enter(x) else { return through(layers, x) };
    for (i, Linear { weight, bias, .. }) in layers.iter().enumerate() {
        h = onednn::linear(&if i == 0 { h } else { h.relu() }, weight, bias);
    }
    onednn::leave(&h)
}
