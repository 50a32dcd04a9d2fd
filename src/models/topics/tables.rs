//! The likelihood of words given topics, from rows of weights and background: all rows, or those of a training step
//! (`sampled.rs`).
//!
//! Topics are *additive* if word rates are sums over topics (Poisson and multinomial likelihood), and *log-linear* if
//! logits are.

use super::{BagOfWordsBatch, Likelihood};
use tch::{Kind, Tensor};

/// `R` rows of the weights and of the background.
#[derive(Debug)]
pub(super) struct Tables {
    pub likelihood: Likelihood,
    /// The weights `[R, K]`; for additive topics, their logarithms.
    pub weight: Tensor,
    /// The background `[R]`; for additive topics, its logarithm.
    pub bias: Tensor,
    /// How many words each row represents in sums over the vocabulary, `[R]`; `None` if these are all rows.
    pub shares: Option<Tensor>,
}

impl Tables {
    /// Makes the tables of all rows.
    pub fn whole(likelihood: Likelihood, weight: &Tensor, bias: &Tensor) -> Self {
        let [weight, bias] = [weight, bias].map(Tensor::shallow_clone);
        Self { likelihood, weight, bias, shares: None }
    }

    /// Sums values of rows, `[R, ...]`, over the vocabulary.
    fn sum(&self, row_values: &Tensor) -> Tensor {
        match &self.shares {
            Some(shares) => shares.matmul(row_values),
            None => row_values.sum_dim_intlist(0, false, None::<Kind>),
        }
    }

    /// Returns the sum of the squared weights, `[]`; zero for additive topics.
    pub fn penalty(&self) -> Tensor {
        match self.likelihood {
            Likelihood::LogLinear => self.sum(&self.weight.square()).sum(None::<Kind>),
            _ => Tensor::zeros([], (Kind::Float, self.weight.device())),
        }
    }

    /// Returns how far topics share their words, `[]`: the sum over pairs of topics of the squared cosine of their
    /// positive weights; zero for additive topics. Sampled rows give an estimate.
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
        // Sums each row first: the rounding of one sum over all depends on the number of threads.
        let total = cosines.sum_dim_intlist(-1, false, None::<Kind>).sum(None::<Kind>);
        (total - cosines.diagonal(0, 0, 1).sum(None::<Kind>)) / 2.0
    }

    /// Computes `-log p(x | z)` in nats, `[B]`, from topics' counts `[B, K]`, with the exact sum over all rows.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            let logits = self.bias.addmm(z, &self.weight.tr());
            let places = &bags.rows * self.weight.size()[0] + &bags.words;
            let at_words = logits.reshape([-1]).index_select(0, &places);
            return logits.logsumexp(-1, false) * &bags.lengths - bags.per_document(&(at_words * &bags.counts));
        }
        let (weight, background) = (self.weight.exp(), self.bias.exp());
        let total = z.matmul(&self.sum(&weight)) + self.sum(&background);
        let of_topics = z.index_select(0, &bags.rows) * weight.index_select(0, &bags.words);
        let rates = of_topics.sum_dim_intlist(-1, false, None::<Kind>) + background.index_select(0, &bags.words);
        self.additive(&total, &bags.per_document(&(rates.log() * &bags.counts)), bags)
    }

    /// Computes `-log p(x | z)` of additive topics, `[B]`, from the sums of rates over the vocabulary, `total` `[B]`,
    /// and the sums of log rates over the documents' words, `logs` `[B]`.
    pub fn additive(&self, total: &Tensor, logs: &Tensor, bags: &BagOfWordsBatch) -> Tensor {
        match self.likelihood {
            Likelihood::Poisson => total + bags.per_document(&(&bags.counts + 1.0).lgamma()) - logs,
            _ => total.log() * &bags.lengths - logs,
        }
    }
}
