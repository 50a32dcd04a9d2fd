//! The lowest floor of the topic model: words given the counts of the lowest topics.
//!
//! Three laws of a document's word counts `x` given `z = z_1`:
//!
//! ```text
//! poisson      x_v ~ Poisson(r_v),                   r = z W + b,  W > 0, b > 0
//! multinomial  x   ~ Multinomial(sum x, r / sum r),  the same r
//! log-linear   x   ~ Multinomial(sum x, softmax(z W + b))
//! ```
//!
//! The first two look at the words that occur and at one sum for each topic; the softmax of the third costs a pass over the vocabulary.

use super::{Bags, TopicsStart};
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor};

/// The law of words given topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Likelihood {
    /// Independent Poisson counts, whose rates are sums over topics.
    Poisson,
    /// Given the length: a multinomial whose probabilities are sums over topics.
    Multinomial,
    /// Given the length: a multinomial whose logits are sums over topics.
    LogLinear,
}

/// The count of a topic at which a document's words are the topic's own, where topics multiply, at the start.
const WHOLE: f64 = 10.0;

/// A count that outweighs all others, where topics multiply: five times one that few documents reach.
const OUTWEIGHING: f64 = 30.0;

/// Weights and background.
#[derive(Debug)]
pub(super) struct Words {
    likelihood: Likelihood,
    /// `[V, K]`; the logarithm of `W` where it is positive.
    weight: Tensor,
    /// `[V]`; the logarithm of `b` where it is positive.
    bias: Tensor,
}

impl Words {
    /// The background alone explains the frequencies of words, and topics differ by the words of their documents.
    pub fn new(path: &Path, likelihood: Likelihood, start: &TopicsStart) -> Self {
        let frequencies = start.frequencies.log();
        let (weight, bias) = if likelihood == Likelihood::LogLinear {
            ((start.topics.log() - frequencies.unsqueeze(-1)) / WHOLE, frequencies)
        } else {
            // A topic's count adds as many words as there would be in a document of a few topics.
            (start.topics.log() + (start.length / 4.0).ln(), frequencies + (start.length / 2.0).ln())
        };
        let copy = |name: &str, tensor: &Tensor| path.var_copy(name, &tensor.to_kind(Kind::Float));
        Self { likelihood, weight: copy("weight", &weight), bias: copy("bias", &bias) }
    }

    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    /// The sum of the squares of the weights, where topics multiply.
    pub fn penalty(&self) -> Tensor {
        match self.likelihood {
            Likelihood::LogLinear => self.weight.square().sum(None::<Kind>),
            _ => Tensor::zeros([], (Kind::Float, self.weight.device())),
        }
    }

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &Bags) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            let logits = z.matmul(&self.weight.tr()) + &self.bias;
            let places = &bags.rows * self.weight.size()[0] + &bags.words;
            let at_words = logits.reshape([-1]).index_select(0, &places);
            return logits.logsumexp(-1, false) * &bags.lengths - bags.per_document(&(at_words * &bags.counts));
        }
        let weight = self.weight.exp();
        let background = self.bias.exp();
        let total = z.matmul(&weight.sum_dim_intlist(0, false, None::<Kind>)) + background.sum(None::<Kind>);
        let of_topics = z.index_select(0, &bags.rows) * weight.index_select(0, &bags.words);
        let rates = of_topics.sum_dim_intlist(-1, false, None::<Kind>) + background.index_select(0, &bags.words);
        let logs = bags.per_document(&(rates.log() * &bags.counts));
        match self.likelihood {
            Likelihood::Poisson => total + bags.per_document(&(&bags.counts + 1.0).lgamma()) - logs,
            _ => total.log() * &bags.lengths - logs,
        }
    }

    /// `log p(w | z)` of each word of the vocabulary, given that there is one: `[..., V]`, of topics' counts `[..., K]`.
    pub fn log_probs(&self, z: &Tensor) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            return (z.matmul(&self.weight.tr()) + &self.bias).log_softmax(-1, None::<Kind>);
        }
        let rates = z.matmul(&self.weight.exp().tr()) + self.bias.exp();
        rates.log() - rates.sum_dim_intlist(-1, true, None::<Kind>).log()
    }

    /// The words of each topic, `[K, V]`, rows of probabilities. Where topics add up, these are its own words. Where they multiply, they are the words of a
    /// document in which the topic's count outweighs all else, `softmax(c w_k + b)` with a large `c`: words that are both frequent and the topic's own. (The
    /// order is that of relevance, Sievert and Shirley 2014, at a count `lambda c` with their `lambda`.)
    pub fn topics(&self) -> Tensor {
        let weight = self.weight.detach().tr();
        match self.likelihood {
            Likelihood::LogLinear => (weight * OUTWEIGHING + self.bias.detach()).softmax(-1, None::<Kind>),
            _ => weight.softmax(-1, None::<Kind>),
        }
    }
}
