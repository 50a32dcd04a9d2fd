//! From a document's words to the posteriors of its topics' counts.
//!
//! ```text
//! w_v = log(1 + x_v),   h_1 = relu(A_1 relu(sum_v w_v E_v + a) + a_1),   h_l = relu(A_l h_{l-1} + a_l)
//! s   = sum_v w_v D_v / |w idf|                                     how the document lies to the topics' directions
//! g   = n / (n + exp(a)),   n = sum_v x_v                            how much a document of this length says
//! o_l = batch_norm(B_l dropout(h_l)) + g batch_norm(s_l)             the logit offset of each topic's count
//! e_l = C_l dropout(h_l)                                            what else the posterior needs, zero at the start
//! ```
//!
//! `E_v` and `D_v` are rows of one table, so that the first layer costs what the words of a document cost. `D` starts
//! as the directions of groups of documents: from the first step on, each topic has documents of its own, and the
//! network bends from there. Without the batch normalisation, topics that start out weak are never used; without `g`, a
//! document of five words is thought to be as surely about something as one of five hundred.

use super::{BagOfWordsBatch, TopicsConfig, TopicsStart};
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, EmbeddingBag, Linear, Rows, SparseIndex};
use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad_guard};

/// Standard deviation of `E` at the start: a document has some dozens of different words, and its sum starts out with
/// entries of about one.
const SPREAD: f64 = 0.1;

/// Scale of what the hidden layers add to the logit offset at the start, beside the directions.
const HIDDEN_GAIN: f64 = 0.1;

/// Tokens of a document that says half of what a long one does, at the start.
const TELLING_LENGTH: f64 = 30.0;

/// The network.
#[derive(Debug)]
pub(super) struct Encoder {
    table: EmbeddingBag,
    /// `[words]`, by which a document's length in the space of directions is measured.
    idf: Tensor,
    bias: Tensor,
    /// A number, the logarithm of the tokens at which a document says half of what a long one does.
    gate: Tensor,
    hidden: i64,
    layers: Vec<Head>,
    dropout: f64,
    word_dropout: f64,
}

/// What belongs to one layer of topics.
#[derive(Debug)]
struct Head {
    hidden: Linear,
    output: Linear,
    norm: BatchNorm,
    direction_norm: BatchNorm,
    extra: Option<Linear>,
    topics: i64,
}

/// What a network says of a layer's counts.
#[derive(Debug)]
pub(super) struct Output {
    /// `[B, topics]`; at zero, a count is as it is at the start.
    pub logit_offset: Tensor,
    /// What else the posterior needs, if anything.
    pub extra: Option<Tensor>,
    /// How much a document of its length says, from 0 to 1, `[B, 1]`.
    pub length_gate: Tensor,
}

impl Encoder {
    /// `extra` is how many numbers beside the tilts each layer's posterior needs.
    pub fn new(path: &Path, config: &TopicsConfig, start: &TopicsStart, extra: &[i64]) -> Result<Self> {
        let hidden = config.hidden;
        let topics: i64 = config.topics.iter().sum();
        let directions = Tensor::cat(&start.directions, -1);
        if directions.size() != [config.words, topics] || start.idf.size() != [config.words] {
            return Err(Error::Shape {
                what: "directions of topics".into(),
                found: directions.size(),
                expected: format!("[{}, {topics}], words and topics of all layers", config.words),
            });
        }
        let table = EmbeddingBag::new(&(path / "embedding"), config.words, hidden + topics, SPREAD);
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
            gate: path.var("gate", &[1], Init::Const(TELLING_LENGTH.ln())),
            hidden,
            layers: config.topics.iter().zip(extra).enumerate().map(head).collect(),
            dropout: config.dropout,
            word_dropout: config.word_dropout,
        })
    }

    /// Outputs of each layer from the lowest, as in training: with dropout, statistics of the batch, and a gradient.
    pub fn train(&self, bags: &BagOfWordsBatch) -> Result<(Vec<Output>, Rows)> {
        let seen = self.seen(bags);
        let weights = bags.counts.log1p() * &seen;
        let tokens = bags.per_document(&(&bags.counts * &seen));
        let lengths = self.lengths(bags, &weights);
        // Of the words that are not seen, no row is read, nor moved.
        let each = bags.per_document(&seen).to_kind(Kind::Int64);
        let seen = seen.to_kind(Kind::Bool);
        let [words, rows, weights] = [&bags.words, &bags.rows, &weights].map(|entries| entries.masked_select(&seen));
        let entries = SparseIndex::new(&words, &rows, &(each.cumsum(0, Kind::Int64) - each))?;
        let (sums, rows) = self.table.forward(&entries, &weights)?;
        Ok((self.outputs(&sums, &lengths, &tokens, true), rows))
    }

    /// The same as in use, without a gradient.
    pub fn infer(&self, bags: &BagOfWordsBatch) -> Result<Vec<Output>> {
        let _guard = no_grad_guard();
        let weights = bags.counts.log1p();
        let sums = self.table.sums(&bags.words, &weights, &bags.offsets)?;
        Ok(self.outputs(&sums, &self.lengths(bags, &weights), &bags.lengths, false))
    }

    /// Which entries the encoder sees: of each document a share of its own, so that short documents and halves are
    /// nothing new to it.
    fn seen(&self, bags: &BagOfWordsBatch) -> Tensor {
        let float = (Kind::Float, bags.counts.device());
        let hidden = Tensor::rand([bags.len()], float) * (2.0 * self.word_dropout).min(1.0);
        Tensor::rand([bags.counts.size()[0]], float).ge_tensor(&hidden.index_select(0, &bags.rows)).to_kind(Kind::Float)
    }

    /// `|w idf|` of each document, `[B, 1]`.
    fn lengths(&self, bags: &BagOfWordsBatch, weights: &Tensor) -> Tensor {
        let squares = (weights * self.idf.index_select(0, &bags.words)).square();
        bags.per_document(&squares).clamp_min(1e-6).sqrt().unsqueeze(-1)
    }

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
