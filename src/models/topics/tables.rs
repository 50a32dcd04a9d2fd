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
use crate::Result;
use crate::nn::{Entries, Rows};
use tch::{Kind, Tensor, no_grad_guard};

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
        entries: &Entries,
        sample: i64,
        names: &[String; 2],
    ) -> Result<(Self, Vec<Rows>)> {
        let (words, device) = (weight.size()[0], weight.device());
        let mut draws = Vec::<i64>::try_from(Tensor::f_randint(words, [sample], (Kind::Int64, device))?)?;
        draws.sort_unstable();
        let each = words as f64 / sample as f64;
        // Both lists ascend, and are merged.
        let others = draws.chunk_by(|a, b| a == b).filter(|draw| entries.distinct.binary_search(&draw[0]).is_err());
        let mut others = others.map(|draw| (draw[0], (draw.len() as f64 * each) as f32)).peekable();
        let (mut indices, mut shares, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for &word in entries.distinct.iter() {
            while let Some((other, share)) = others.next_if(|&(other, _)| other < word) {
                indices.push(other);
                shares.push(share);
            }
            moved.push(indices.len() as i64);
            indices.push(word);
            shares.push(1.0);
        }
        for (other, share) in others {
            indices.push(other);
            shares.push(share);
        }
        let [indices, moved] = [indices, moved].map(|list| Tensor::from_slice(&list).to_device(device));
        let (shares, places) =
            (Tensor::from_slice(&shares).to_device(device), moved.f_index_select(0, &entries.places)?);
        let leaf = |table: &Tensor| -> Result<Tensor> {
            Ok(table.detach().f_index_select(0, &indices)?.set_requires_grad(true))
        };
        let (weight, bias) = (leaf(weight)?, leaf(bias)?);
        let rows = [&weight, &bias].into_iter().zip(names).map(|(values, name)| Rows::new(name, &indices, values));
        let rows = rows.collect();
        Ok((Self { likelihood, weight, bias, places, shares: Some(shares) }, rows))
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
        (cosines.sum(None::<Kind>) - cosines.diagonal(0, 0, 1).sum(None::<Kind>)) / 2.0
    }

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &Bags) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            return match &self.shares {
                Some(shares) => self.log_linear_in_one_pass(z, bags, shares),
                None => self.log_linear(z, bags),
            };
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

    fn log_linear(&self, z: &Tensor, bags: &Bags) -> Tensor {
        let logits = self.bias.addmm(z, &self.weight.tr());
        let at_words = logits.reshape([-1]).index_select(0, &self.flat(bags));
        logits.logsumexp(-1, false) * &bags.lengths - bags.per_document(&(at_words * &bags.counts))
    }

    /// The place of each entry's word in `[B, R]`.
    fn flat(&self, bags: &Bags) -> Tensor {
        &bags.rows * self.weight.size()[0] + &self.places
    }

    /// The same, of rows that stand for `shares` words each. With logits `[z, 1] T'`, the gradient in them is `D = n softmax - x`, and `D T` is the one in
    /// `[z, 1]`: autograd sees that product alone, and no other matrix of `B R` numbers than `D` is made. Once differentiable.
    fn log_linear_in_one_pass(&self, z: &Tensor, bags: &Bags, shares: &Tensor) -> Tensor {
        let inputs = Tensor::cat(&[z, &z.narrow(1, 0, 1).ones_like()], 1);
        let table = Tensor::cat(&[&self.weight, &self.bias.unsqueeze(-1)], 1);
        let no_grad = no_grad_guard();
        // The words of documents stand for themselves alone, so that their logits are what they are.
        let mut logits = (&self.bias + shares.log()).addmm(&z.detach(), &self.weight.tr());
        let flat = self.flat(bags);
        let at_words = logits.reshape([-1]).index_select(0, &flat);
        let most = logits.amax([-1], true);
        let exps = logits.subtract_(&most).exp_();
        let sums = exps.sum_dim_intlist(-1, true, None::<Kind>);
        let logs = (most + sums.log()).squeeze_dim(-1);
        let value = logs * &bags.lengths - bags.per_document(&(at_words * &bags.counts));
        let scales = bags.lengths.unsqueeze(-1) / sums;
        let at_words = &bags.counts / scales.squeeze_dim(-1).index_select(0, &bags.rows);
        let slopes = exps.reshape([-1]).index_add_(0, &flat, &-at_words).reshape_as(&exps);
        let scaled = inputs.detach() * &scales;
        drop(no_grad);
        let products = slopes.matmul(&table);
        let of_inputs = products.detach() * scales * (&inputs - inputs.detach());
        let of_table = scaled * (&products - products.detach());
        value + (of_inputs + of_table).sum_dim_intlist(-1, false, None::<Kind>)
    }
}
