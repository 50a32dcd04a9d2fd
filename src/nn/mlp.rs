//! Fully connected layers with PyTorch's names and initialisation.

use super::onednn;
use tch::nn::{Init, Path};
use tch::{Tensor, no_grad_guard};

/// `y = x W^T + b`, initialised as `torch.nn.Linear`: weight and bias uniform within `1 / sqrt(inputs)`.
///
/// (tch's own `nn::linear` starts weights wider by a factor of the square root of six.)
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer whose parameters are called `weight` `[outputs, inputs]` and `bias` `[outputs]` under `path`.
    pub fn new(path: &Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Self { weight: path.var("weight", &[outputs, inputs], init), bias: path.var("bias", &[outputs], init) }
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

    /// As [`forward`](Self::forward), to be differentiated once at most: by oneDNN's products where the input is float32 on a CPU with AVX-512, where they can be
    /// the faster ones. The values differ in the last bits.
    pub fn forward_once(&self, x: &Tensor) -> Tensor {
        let Some(mut h) = onednn::enter(x) else { return self.forward(x) };
        for (i, Linear { weight, bias }) in self.layers.iter().enumerate() {
            h = onednn::linear(&if i == 0 { h } else { h.relu() }, weight, bias);
        }
        onednn::leave(&h)
    }

    /// The number of linear layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The parameters, sharing memory with the layers, named as in `torch.nn.Sequential`: `0.weight`, `0.bias`, `2.weight`, ...
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(i, Linear { weight, bias })| {
                [("weight", weight), ("bias", bias)].map(|(name, t)| (format!("{}.{name}", 2 * i), t.shallow_clone()))
            })
            .collect()
    }

    /// `[..., inputs]` to `[..., outputs]`; no activation after the last layer.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let mut h = x.shallow_clone();
        for (i, layer) in self.layers.iter().enumerate() {
            h = layer.forward(&if i == 0 { h } else { h.relu() });
        }
        h
    }
}
