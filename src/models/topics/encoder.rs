//! The encoder: from a document's words to the posteriors of its topics' counts.
//!
//! ```text
//! w_v = log(1 + x_v),   h_1 = relu(A_1 relu(sum_v w_v E_v + a) + a_1),   h_l = relu(A_l h_{l-1} + a_l)
//! s   = sum_v w_v D_v / |w idf|                                     similarity to the topics' directions
//! g   = n / (n + exp(a)),   n = sum_v x_v                            weight of the document, by its length
//! o_l = batch_norm(B_l dropout(h_l)) + g batch_norm(s_l)             logit offset of each topic's count
//! e_l = C_l dropout(h_l)                                            further inputs of the posterior, zero at the start
//! ```
//!
//! `E_v` and `D_v` are rows of one table, so that the cost of the first layer depends on the document's words and not
//! on the vocabulary. `D` starts as the directions of groups of documents, so that each topic has its own documents
//! from the first step on; training changes them. Without batch normalisation, topics that start weak are never used.
//! Without `g`, a document of five words would have as certain topics as one of five hundred.

use super::{BagOfWordsBatch, TopicsConfig, TopicsStart};
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, EmbeddingBag, Linear, Rows, SparseIndex};
use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad_guard};

/// The initial standard deviation of `E`. A document has dozens of distinct words, so its sum starts with entries of
/// about one.
const EMBEDDING_DEVIATION: f64 = 0.1;

/// The initial scale of the hidden layers' part of the logit offsets, which is small beside the directions' part.
const HIDDEN_GAIN: f64 = 0.1;

/// The initial number of tokens at which `g` is a half.
const HALF_WEIGHT_LENGTH: f64 = 30.0;

/// The encoder's parameters and settings.
#[derive(Debug)]
pub(super) struct Encoder {
    table: EmbeddingBag,
    /// Inverse document frequencies, `[words]`, which weigh the words in `|w idf|`.
    idf: Tensor,
    bias: Tensor,
    /// The logarithm of the number of tokens at which `g` is a half, `[1]`.
    gate: Tensor,
    hidden: i64,
    layers: Vec<Head>,
    dropout: f64,
    word_dropout: f64,
}

/// The parameters of one layer of topics.
#[derive(Debug)]
struct Head {
    hidden: Linear,
    output: Linear,
    norm: BatchNorm,
    direction_norm: BatchNorm,
    extra: Option<Linear>,
    topics: i64,
}

/// The encoder's output for one layer of topics.
#[derive(Debug)]
pub(super) struct Output {
    /// The logit offset of each count, `[B, topics]`; zero stands for the initial mean.
    pub logit_offset: Tensor,
    /// The further inputs of the posterior, `[B, n]`; `None` if the family needs none.
    pub extra: Option<Tensor>,
    /// The weight `g` of each document by its length, from 0 to 1, `[B, 1]`.
    pub length_gate: Tensor,
}

impl Encoder {
    /// Makes an encoder. `extra` is the number of inputs that each layer's posterior needs beside the logit offsets.
    pub fn new(path: &Path, config: &TopicsConfig, start: &TopicsStart, extra: &[i64]) -> Result<Self> {
        let hidden = config.hidden;
        let topics: i64 = config.topics.iter().sum();
        let directions = Tensor::cat(&start.directions, -1);
        if directions.size() != [config.words, topics] || start.idf.size() != [config.words] {
            return Err(Error::Shape {
                what: "directions of topics".into(),
                found: directions.size(),
                expected: format!("[{}, {topics}]: words and topics of all layers", config.words),
            });
        }
        let table = EmbeddingBag::new(&(path / "embedding"), config.words, hidden + topics, EMBEDDING_DEVIATION);
        table.set_columns(hidden, &(directions * start.idf.unsqueeze(-1)));
        let idf = path.zeros_no_train("idf", &[config.words]);
        tch::no_grad(|| idf.shallow_clone().copy_(&start.idf));
        let head = |(l, (&topics, &extra)): (usize, (&i64, &i64))| {
            let path = path / l;
            Head {
                hidden: Linear::new(&(&path / "hidden"), hidden, hidden),
                output: Linear::new(&(&path / "output"), hidden, topics),
                norm: BatchNorm::new(&(&path / "norm"), topics, HIDDEN_GAIN),
                direction_norm: BatchNorm::new(&(&path / "direction_norm"), topics, config.gain),
                extra: (extra > 0).then(|| {
                    let linear = Linear::new(&(&path / "extra"), hidden, extra);
                    linear.clear();
                    linear
                }),
                topics,
            }
        };
        Ok(Self {
            table,
            idf,
            bias: path.var("bias", &[hidden], Init::Const(0.0)),
            gate: path.var("gate", &[1], Init::Const(HALF_WEIGHT_LENGTH.ln())),
            hidden,
            layers: config.topics.iter().zip(extra).enumerate().map(head).collect(),
            dropout: config.dropout,
            word_dropout: config.word_dropout,
        })
    }

    /// Computes the outputs of each layer from the lowest for training: with dropout, the batch's statistics, and a
    /// gradient. Also returns the table's rows for the optimiser.
    pub fn train(&self, bags: &BagOfWordsBatch) -> Result<(Vec<Output>, Rows)> {
        let seen = self.seen(bags);
        let weights = bags.counts.log1p() * &seen;
        let tokens = bags.per_document(&(&bags.counts * &seen));
        let lengths = self.lengths(bags, &weights);
        // Rows of dropped words are neither read nor updated.
        let each = bags.per_document(&seen).to_kind(Kind::Int64);
        let seen = seen.to_kind(Kind::Bool);
        let [words, rows, weights] = [&bags.words, &bags.rows, &weights].map(|entries| entries.masked_select(&seen));
        let entries = SparseIndex::new(&words, &rows, &(each.cumsum(0, Kind::Int64) - each))?;
        let (sums, rows) = self.table.forward(&entries, &weights)?;
        Ok((self.outputs(&sums, &lengths, &tokens, true), rows))
    }

    /// Computes the outputs of each layer from the lowest for evaluation, without gradient.
    pub fn infer(&self, bags: &BagOfWordsBatch) -> Result<Vec<Output>> {
        let _guard = no_grad_guard();
        let weights = bags.counts.log1p();
        let sums = self.table.sums(&bags.words, &weights, &bags.offsets)?;
        Ok(self.outputs(&sums, &self.lengths(bags, &weights), &bags.lengths, false))
    }

    /// Draws which entries the encoder sees, one or zero each, `[N]`. Each document has its own random share, so that
    /// the encoder learns short documents and halves of documents too.
    fn seen(&self, bags: &BagOfWordsBatch) -> Tensor {
        let float = (Kind::Float, bags.counts.device());
        let hidden = Tensor::rand([bags.len()], float) * (2.0 * self.word_dropout).min(1.0);
        Tensor::rand([bags.counts.size()[0]], float).ge_tensor(&hidden.index_select(0, &bags.rows)).to_kind(Kind::Float)
    }

    /// Computes `|w idf|` of each document, `[B, 1]`.
    fn lengths(&self, bags: &BagOfWordsBatch, weights: &Tensor) -> Tensor {
        let squares = (weights * self.idf.index_select(0, &bags.words)).square();
        bags.per_document(&squares).clamp_min(1e-6).sqrt().unsqueeze(-1)
    }

    /// Computes the outputs from the sums of table rows `[B, hidden + topics]`, `|w idf|` `[B, 1]` and the tokens `[B]`
    /// of each document.
    fn outputs(&self, sums: &Tensor, lengths: &Tensor, tokens: &Tensor, train: bool) -> Vec<Output> {
        let normalise = |norm: &BatchNorm, x: &Tensor| if train { norm.train(x) } else { norm.infer(x) };
        let directions = sums.narrow(-1, self.hidden, sums.size()[1] - self.hidden) / lengths;
        let length_gate = (tokens / (tokens + self.gate.exp())).unsqueeze(-1);
        let mut h = (sums.narrow(-1, 0, self.hidden) + &self.bias).relu();
        let mut from = 0;
        let mut outputs = Vec::new();
        for head in &self.layers {
            h = head.hidden.forward(&h).relu();
            let seen = h.dropout(self.dropout, train);
            let direction = normalise(&head.direction_norm, &directions.narrow(-1, from, head.topics));
            from += head.topics;
            outputs.push(Output {
                logit_offset: normalise(&head.norm, &head.output.forward(&seen)) + direction * &length_gate,
                length_gate: length_gate.shallow_clone(),
                extra: head.extra.as_ref().map(|extra| extra.forward(&seen)),
            });
        }
        outputs
    }
}
