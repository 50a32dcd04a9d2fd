//! Words given topics in a step of training: the rows of weights and background that the step looks at, and how they stand for the vocabulary.
//!
//! All three laws need a sum over the vocabulary, `S = sum_v f_v`, of rates or of exponentials of logits. With a large vocabulary, a step has
//!
//! ```text
//! S' = sum_{v in the batch} f_v + V / m sum_i f_{v_i} [v_i not in the batch],   v_1 .. v_m uniform, with replacement
//! ```
//!
//! and only the rows of these words have a gradient. `E S' = S`: the Poisson law's likelihood and gradient are unbiased. The other two have `log S'`, whose mean
//! is `log S - Var(S' / S) / 2` to the first order. The words of a batch are nearly all of `S`, so that this is small: with a share `r` of `S` outside of the
//! batch, `Var(S' / S) = r^2 (1 + c^2) / m` at most, where `c` is how `f` varies over the other words, in units of its mean.
//!
//! # Source
//! Importance sampling of a softmax's normaliser: Bengio, Senecal, "Quick Training of Probabilistic Neural Nets by Importance Sampling", AISTATS 2003.

use super::{Bags, Likelihood};
use crate::nn::Rows;
use tch::{Kind, Tensor};

/// Rows of both tables.
#[derive(Debug)]
pub(super) struct Tables {
    likelihood: Likelihood,
    /// `[R, K]`; the logarithm of `W` where it is positive.
    weight: Tensor,
    /// `[R]`; the logarithm of `b` where it is positive.
    bias: Tensor,
    /// The row of each entry of the documents, `[N]`.
    places: Tensor,
    /// How many words each row stands for in sums over the vocabulary, `[R]`; nothing where it is one each.
    shares: Option<Tensor>,
}

impl Tables {
    /// All rows.
    pub fn whole(likelihood: Likelihood, weight: &Tensor, bias: &Tensor, bags: &Bags) -> Self {
        let [weight, bias, places] = [weight, bias, &bags.words].map(Tensor::shallow_clone);
        Self { likelihood, weight, bias, places, shares: None }
    }

    /// The rows of the documents' words and of `sample` others, the latter from libtorch's generator; as leaves, which are returned under these names.
    pub fn sampled(
        likelihood: Likelihood,
        weight: &Tensor,
        bias: &Tensor,
        bags: &Bags,
        sample: i64,
        names: &[String; 2],
    ) -> (Self, Vec<Rows>) {
        let words = weight.size()[0];
        let draws = Tensor::randint(words, [sample], (Kind::Int64, weight.device()));
        let (indices, places, _) = Tensor::cat(&[&bags.words, &draws], 0).internal_unique2(true, true, false);
        let entries = bags.words.size()[0];
        let (places, drawn) = (places.narrow(0, 0, entries), places.narrow(0, entries, sample));
        let float = (Kind::Float, weight.device());
        let each = Tensor::full([sample], words as f64 / sample as f64, float);
        let shares = Tensor::zeros(indices.size(), float).index_add(0, &drawn, &each).index_fill(0, &places, 1.0);
        let leaf = |table: &Tensor| table.detach().index_select(0, &indices).set_requires_grad(true);
        let (weight, bias) = (leaf(weight), leaf(bias));
        let rows = [&weight, &bias].into_iter().zip(names).map(|(values, name)| Rows {
            name: name.clone(),
            indices: indices.shallow_clone(),
            values: values.shallow_clone(),
        });
        let rows = rows.collect();
        (Self { likelihood, weight, bias, places, shares: Some(shares) }, rows)
    }

    /// The sum over the vocabulary of what belongs to rows, `[R, ...]`.
    fn sum(&self, of_rows: &Tensor) -> Tensor {
        match &self.shares {
            Some(shares) => shares.matmul(of_rows),
            None => of_rows.sum_dim_intlist(0, false, None::<Kind>),
        }
    }

    /// The sum of the squares of the weights, where topics multiply.
    pub fn penalty(&self) -> Tensor {
        match self.likelihood {
            Likelihood::LogLinear => self.sum(&self.weight.square()).sum(None::<Kind>),
            _ => Tensor::zeros([], (Kind::Float, self.weight.device())),
        }
    }

    /// How much topics have the same words: the sum over pairs of topics of the squared cosine of their positive weights, where topics multiply. Of a sample, an
    /// estimate.
    pub fn overlap(&self) -> Tensor {
        if self.likelihood != Likelihood::LogLinear {
            return Tensor::zeros([], (Kind::Float, self.weight.device()));
        }
        let positive = self.weight.relu();
        let positive = match &self.shares {
            Some(shares) => positive * shares.sqrt().unsqueeze(-1),
            None => positive,
        };
        let products = positive.tr().matmul(&positive);
        let squares = products.diagonal(0, 0, 1).clamp_min(1e-12);
        let cosines = products.square() / (squares.unsqueeze(0) * squares.unsqueeze(1));
        // Row by row: a sum of all at once depends on the number of threads.
        let total = cosines.sum_dim_intlist(-1, false, None::<Kind>).sum(None::<Kind>);
        (total - cosines.diagonal(0, 0, 1).sum(None::<Kind>)) / 2.0
    }

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &Bags) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            let bias = match &self.shares {
                Some(shares) => &self.bias + shares.log(),
                None => self.bias.shallow_clone(),
            };
            // The words of documents stand for themselves alone, so that their logits are what they are.
            let logits = bias.addmm(z, &self.weight.tr());
            let places = &bags.rows * self.weight.size()[0] + &self.places;
            let at_words = logits.reshape([-1]).index_select(0, &places);
            return logits.logsumexp(-1, false) * &bags.lengths - bags.per_document(&(at_words * &bags.counts));
        }
        let (weight, background) = (self.weight.exp(), self.bias.exp());
        let total = z.matmul(&self.sum(&weight)) + self.sum(&background);
        let of_topics = z.index_select(0, &bags.rows) * weight.index_select(0, &self.places);
        let rates = of_topics.sum_dim_intlist(-1, false, None::<Kind>) + background.index_select(0, &self.places);
        let logs = bags.per_document(&(rates.log() * &bags.counts));
        match self.likelihood {
            Likelihood::Poisson => total + bags.per_document(&(&bags.counts + 1.0).lgamma()) - logs,
            _ => total.log() * &bags.lengths - logs,
        }
    }
}
