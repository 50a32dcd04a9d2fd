//! From a document's words to the posteriors of its topics' counts.
//!
//! ```text
//! h_1 = relu(A_1 relu(sum_v log(1 + x_v) E_v + a) + a_1),   h_l = relu(A_l h_{l-1} + a_l)
//! o_l = batch_norm(B_l dropout(h_l))
//! ```
//!
//! `E_v` are embeddings of words, so that the first layer costs what the words of a document cost. Without the batch normalisation, topics that start
//! out weak are never used.

use super::layer::Output;
use super::{Bags, TopicsConfig};
use crate::nn::{EmbeddingBag, Linear, Rows};
use tch::nn::{BatchNorm, BatchNormConfig, Init, ModuleT, Path, batch_norm1d};
use tch::{Kind, Tensor, no_grad_guard};

/// The network.
#[derive(Debug)]
pub(super) struct Encoder {
    embedding: EmbeddingBag,
    bias: Tensor,
    /// For each layer of topics, from the lowest: its hidden layer, its output, the normalisation of that.
    layers: Vec<(Linear, Linear, BatchNorm)>,
    dropout: f64,
    word_dropout: f64,
}

impl Encoder {
    /// `outputs` are the numbers that each layer's posterior needs.
    pub fn new(path: &Path, config: &TopicsConfig, outputs: &[Vec<Output>]) -> Self {
        let hidden = config.hidden;
        // A document has some dozens of different words; its sum starts out with entries of about one.
        let embedding = EmbeddingBag::new(&(path / "embedding"), config.words, hidden, 0.1);
        let layers = outputs.iter().enumerate().map(|(i, outputs)| {
            let (path, width) = (path / i, outputs.len() as i64);
            let norm = batch_norm1d(&path / "norm", width, BatchNormConfig::default());
            let start = |parameter: &Option<Tensor>, value: &dyn Fn(&Output) -> f64| {
                let values: Vec<f64> = outputs.iter().map(value).collect();
                if let Some(parameter) = parameter {
                    tch::no_grad(|| parameter.shallow_clone().copy_(&Tensor::from_slice(&values)));
                }
            };
            start(&norm.ws, &|output| output.scale * config.gain);
            start(&norm.bs, &|output| output.start);
            (Linear::new(&(&path / "hidden"), hidden, hidden), Linear::new(&(&path / "output"), hidden, width), norm)
        });
        Self {
            embedding,
            bias: path.var("bias", &[hidden], Init::Const(0.0)),
            layers: layers.collect(),
            dropout: config.dropout,
            word_dropout: config.word_dropout,
        }
    }

    /// Outputs of each layer from the lowest, `[B, width]`, as in training: with dropout, statistics of the batch, and a gradient.
    pub fn train(&self, bags: &Bags) -> (Vec<Tensor>, Rows) {
        let weights = bags.counts.log1p().dropout(self.word_dropout, true);
        let (sums, rows) = self.embedding.forward(&bags.words, &weights, &bags.offsets);
        (self.outputs(&sums, true), rows)
    }

    /// The same as in use, without a gradient.
    pub fn infer(&self, bags: &Bags) -> Vec<Tensor> {
        let _guard = no_grad_guard();
        let sums = self.embedding.sums(&bags.words, &bags.counts.log1p(), &bags.offsets);
        self.outputs(&sums, false)
    }

    fn outputs(&self, sums: &Tensor, train: bool) -> Vec<Tensor> {
        let mut h = (sums + &self.bias).relu();
        let mut outputs = Vec::new();
        for (hidden, output, norm) in &self.layers {
            h = hidden.forward(&h).relu();
            let o = output.forward(&h.dropout(self.dropout, train)).to_kind(Kind::Float);
            outputs.push(norm.forward_t(&o, train));
        }
        outputs
    }
}
