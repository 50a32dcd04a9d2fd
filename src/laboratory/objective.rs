//! Functions of a row of latents whose expectation's gradient is to be estimated.

use crate::choice::choices;
use crate::estimators::FunctionNeeds;
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use tch::{Kind, Tensor};

choices! {
    "objective";
    /// A function of a row of latents.
    pub enum ObjectiveKind {
        /// Sum of (z - target)^2
        Quadratic = "quadratic",
        /// Sum of sigmoid(z - target)
        Sigmoid = "sigmoid",
        /// A fixed random network of all latents
        Network = "network",
        /// Sum of 1[z >= target]
        Step = "step",
        /// Sum of floor(z / 2)
        Floor = "floor",
        /// 1, whatever the latents are
        Constant = "constant",
    }
}

impl ObjectiveKind {
    /// The degree of the polynomial that it is in each latent by itself, if it is one.
    pub fn degree(self) -> Option<i64> {
        match self {
            Self::Constant => Some(0),
            Self::Quadratic => Some(2),
            Self::Sigmoid | Self::Network | Self::Step | Self::Floor => None,
        }
    }

    /// Whether it has what an estimator asks for. The slopes of steps are zero everywhere, and say nothing of their
    /// rises.
    pub fn gives(self, needed: FunctionNeeds) -> bool {
        match self {
            Self::Quadratic | Self::Sigmoid | Self::Network | Self::Constant => true,
            Self::Step | Self::Floor => matches!(needed, FunctionNeeds::Atoms | FunctionNeeds::Between),
        }
    }
}

/// A function of values `[samples, rows..., latents]` (`+ [d]`).
#[derive(Debug)]
pub struct TestFunction {
    kind: ObjectiveKind,
    target: f64,
    /// Weights of the network's three layers, inputs last.
    layers: Vec<Tensor>,
}

/// Units of the network's two hidden layers.
const HIDDEN: i64 = 16;

/// What the latents are divided by before they enter the network, so that it bends over a few integers.
const SPAN: f64 = 3.0;

impl TestFunction {
    /// For rows of so many numbers; the network's weights are standard normal over the square root of their number, the
    /// same for the same number of inputs on every machine.
    pub fn new(kind: ObjectiveKind, target: f64, width: i64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(0);
        // Twelve uniform numbers less six: as good as normal here, and the same everywhere, to the bit.
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let mut layer = |outputs: i64, inputs: i64| {
            let weights: Vec<f64> = (0..outputs * inputs).map(|_| normal() / (inputs as f64).sqrt()).collect();
            Tensor::from_slice(&weights).reshape([outputs, inputs])
        };
        let layers = match kind {
            ObjectiveKind::Network => vec![layer(HIDDEN, width), layer(HIDDEN, HIDDEN), layer(1, HIDDEN)],
            _ => Vec::new(),
        };
        Self { kind, target, layers }
    }

    /// One number for each sample of each row; `own_dims` trailing dimensions belong to a row.
    pub fn value(&self, z: &Tensor, own_dims: usize) -> Tensor {
        let summed = |values: Tensor| {
            let own: Vec<i64> = (1..=own_dims as i64).map(|dim| -dim).collect();
            values.sum_dim_intlist(own.as_slice(), false, None::<Kind>)
        };
        match self.kind {
            ObjectiveKind::Quadratic => summed((z - self.target).square()),
            ObjectiveKind::Sigmoid => summed((z - self.target).sigmoid()),
            ObjectiveKind::Step => summed(z.ge(self.target).to_kind(z.kind())),
            ObjectiveKind::Floor => summed((z / 2.0).floor()),
            ObjectiveKind::Constant => {
                let rows = &z.size()[..z.dim() - own_dims];
                Tensor::ones(rows, (z.kind(), z.device()))
            }
            ObjectiveKind::Network => {
                let weights = |i: usize| self.layers[i].to_device(z.device()).to_kind(z.kind());
                let input = z.flatten(-(own_dims as i64), -1) / SPAN;
                let hidden = input.linear(&weights(0), None::<&Tensor>).tanh();
                let hidden = hidden.linear(&weights(1), None::<&Tensor>).tanh();
                hidden.linear(&weights(2), None::<&Tensor>).squeeze_dim(-1)
            }
        }
    }
}
