//! Words given topics by the rows of weights and background that are looked at: all of them, or those of a step of
//! training (`sampled.rs`).

use super::{BagOfWordsBatch, Likelihood};
use tch::{Kind, Tensor};

/// Rows of both tables.
#[derive(Debug)]
pub(super) struct Tables {
    pub likelihood: Likelihood,
    /// `[R, K]`; the logarithm of `W` where it is positive.
    pub weight: Tensor,
    /// `[R]`; the logarithm of `b` where it is positive.
    pub bias: Tensor,
    /// How many words each row stands for in sums over the vocabulary, `[R]`; nothing where these are all rows.
    pub shares: Option<Tensor>,
}

impl Tables {
    /// All rows.
    pub fn whole(likelihood: Likelihood, weight: &Tensor, bias: &Tensor) -> Self {
        let [weight, bias] = [weight, bias].map(Tensor::shallow_clone);
        Self { likelihood, weight, bias, shares: None }
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

    /// How much topics have the same words: the sum over pairs of topics of the squared cosine of their positive
    /// weights, where topics multiply. Of a sample, an estimate.
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

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`, by all rows.
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

    /// The same where topics add up: of the sums of rates over the vocabulary, and of their logarithms over the
    /// documents' words, `[B]`.
    pub fn additive(&self, total: &Tensor, logs: &Tensor, bags: &BagOfWordsBatch) -> Tensor {
        match self.likelihood {
            Likelihood::Poisson => total + bags.per_document(&(&bags.counts + 1.0).lgamma()) - logs,
            _ => total.log() * &bags.lengths - logs,
        }
    }
}
