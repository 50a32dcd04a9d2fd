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

use super::Bags;
use serde::{Deserialize, Serialize};
use tch::nn::{Init, Path};
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

/// Standard deviation of the log-linear weights at the start.
const SPREAD: f64 = 0.1;

/// Standard deviation of the logarithms of additive weights at the start: topics must differ, or they stay alike.
const LOG_SPREAD: f64 = 1.0;

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
    /// Starts from the frequencies of words `[V]`, which sum to one, and the mean length of a document: the background alone explains them.
    pub fn new(path: &Path, likelihood: Likelihood, topics: i64, frequencies: &Tensor, length: f64) -> Self {
        let words = frequencies.size()[0];
        let log_frequencies = frequencies.log().to_kind(Kind::Float);
        let spread = |stdev| path.var("weight", &[words, topics], Init::Randn { mean: 0.0, stdev });
        let (weight, bias) = if likelihood == Likelihood::LogLinear {
            (spread(SPREAD), log_frequencies)
        } else {
            let weight = spread(LOG_SPREAD);
            // A topic's count adds as many words as there would be in a document of a few topics.
            tch::no_grad(|| {
                let _ = weight.shallow_clone().g_add_(&(log_frequencies.unsqueeze(-1) + (length / 4.0).ln()));
            });
            (weight, log_frequencies + (length / 2.0).ln())
        };
        Self { likelihood, weight, bias: path.var_copy("bias", &bias) }
    }

    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &Bags) -> Tensor {
        let per_document = |of_entries: &Tensor| {
            let zeros = Tensor::zeros([bags.len()], (Kind::Float, z.device()));
            zeros.index_add(0, &bags.rows, of_entries)
        };
        if self.likelihood == Likelihood::LogLinear {
            let logits = z.matmul(&self.weight.tr()) + &self.bias;
            let places = &bags.rows * self.weight.size()[0] + &bags.words;
            let at_words = logits.reshape([-1]).index_select(0, &places);
            return logits.logsumexp(-1, false) * &bags.lengths - per_document(&(at_words * &bags.counts));
        }
        let weight = self.weight.exp();
        let background = self.bias.exp();
        let total = z.matmul(&weight.sum_dim_intlist(0, false, None::<Kind>)) + background.sum(None::<Kind>);
        let of_topics = z.index_select(0, &bags.rows) * weight.index_select(0, &bags.words);
        let rates = of_topics.sum_dim_intlist(-1, false, None::<Kind>) + background.index_select(0, &bags.words);
        let logs = per_document(&(rates.log() * &bags.counts));
        match self.likelihood {
            Likelihood::Poisson => total + per_document(&(&bags.counts + 1.0).lgamma()) - logs,
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

    /// The words of each topic by themselves, `[K, V]`, rows of probabilities, where topics add up; nothing where they multiply.
    pub fn topics(&self) -> Option<Tensor> {
        if self.likelihood == Likelihood::LogLinear {
            return None;
        }
        Some(self.weight.detach().tr().softmax(-1, None::<Kind>))
    }
}
