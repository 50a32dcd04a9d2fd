//! The lowest level of the topic model: words given the counts of the lowest topics.
//!
//! Three likelihoods of a document's word counts `x` given `z = z_1`:
//!
//! ```text
//! poisson      x_v ~ Poisson(r_v),                   r = z W + b,  W > 0, b > 0
//! multinomial  x   ~ Multinomial(sum x, r / sum r),  the same r
//! log-linear   x   ~ Multinomial(sum x, softmax(z W + b))
//! ```
//!
//! The first two, called additive, need the words that occur and one sum per topic; the softmax of the third needs a
//! pass over the vocabulary. In training, a sample represents a large vocabulary (`sampled.rs`); in evaluation, sums
//! are exact.

use super::config::TopicsStart;
use super::proposal::Proposal;
use super::sampled::SampledTables;
use super::tables::Tables;
use super::{BagOfWordsBatch, Likelihood};
use crate::error::{Error, Result};
use crate::nn::Rows;
use std::cell::OnceCell;
use tch::nn::Path;
use tch::{Device, Kind, Tensor};

/// The count at which a log-linear topic initially has its own word distribution.
const OWN_WORDS_COUNT: f64 = 16.0;

/// A count that dominates all others in log-linear topics, from which the words of upper topics are computed.
const DOMINANT_COUNT: f64 = 3.0 * OWN_WORDS_COUNT;

/// The number of documents with a word at which its weights are trusted by half when topics are displayed: a word of
/// two documents is in a topic by chance.
const HALF_TRUST_DOCUMENTS: f64 = 15.0;

/// The number of draws is `vocabulary_sample` over this number.
const WORDS_PER_DRAW: i64 = 16;

/// The logarithm of the largest factor by which a topic raises a word's rate in attributions, so that sums stay finite
/// in float32.
const LARGEST_LIFT: f64 = 60.0;

/// The number of float32 values that a sum over the vocabulary keeps at once in evaluation: 64 MB.
const VALUES_AT_ONCE: i64 = 1 << 24;

/// The table rows that a training step uses.
#[derive(Debug)]
pub(super) enum StepTables {
    /// All rows.
    Whole(Tables),
    /// The rows of some words.
    Sampled(SampledTables),
}

impl StepTables {
    /// Returns the rows that all documents use.
    pub fn shared(&self) -> &Tables {
        match self {
            Self::Whole(tables) => tables,
            Self::Sampled(sampled) => &sampled.tables,
        }
    }

    /// Computes `-log p(x | z)` in nats, `[B]`, from topics' counts `[B, K]`, with a gradient. Also returns the rows
    /// that are leaves of its graph in place of the tables.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        match self {
            Self::Whole(tables) => Ok((tables.neg_log_prob(z, bags), Vec::new())),
            Self::Sampled(sampled) => sampled.neg_log_prob(z, bags),
        }
    }
}

/// The weights of topics and the background of words.
#[derive(Debug)]
pub(super) struct Words {
    likelihood: Likelihood,
    /// The weights `[V, K]`; for additive topics, their logarithms.
    weight: Tensor,
    /// The background `[V]`; for additive topics, its logarithm.
    bias: Tensor,
    /// How far each word's weights are trusted, from 0 to 1, `[V]`: `n / (n + HALF_TRUST_DOCUMENTS)` for a word
    /// of `n` documents.
    support: Tensor,
    /// The names of both tables in the store.
    names: [String; 2],
    /// The number of words drawn in a training step; `None` if a step uses all words.
    sample: Option<i64>,
    /// The proposal of these draws, made at the first step.
    proposal: OnceCell<Proposal>,
}

impl Words {
    /// Makes the tables so that the background alone explains the frequencies of words, and topics differ by the words
    /// of their documents. Training steps use all words of a vocabulary of at most `largest` words.
    pub fn new(path: &Path, likelihood: Likelihood, start: &TopicsStart, largest: i64) -> Self {
        let frequencies = start.frequencies.log();
        let trust = &start.documents / (&start.documents + HALF_TRUST_DOCUMENTS);
        let (weight, bias) = if likelihood == Likelihood::LogLinear {
            ((start.topics.log() - frequencies.unsqueeze(-1)) / OWN_WORDS_COUNT, frequencies)
        } else {
            // One count of a topic adds a quarter of a mean document; the background has half of it.
            (start.topics.log() + (start.length / 4.0).ln(), frequencies + (start.length / 2.0).ln())
        };
        let copy = |name: &str, tensor: &Tensor| path.var_copy(name, &tensor.to_kind(Kind::Float));
        let support = path.zeros_no_train("support", &[weight.size()[0]]);
        tch::no_grad(|| support.shallow_clone().copy_(&trust));
        let sample = (weight.size()[0] > largest).then_some((largest / WORDS_PER_DRAW).max(1));
        let names = ["weight", "bias"].map(|name| path.path(name));
        Self {
            likelihood,
            weight: copy("weight", &weight),
            bias: copy("bias", &bias),
            support,
            names,
            sample,
            proposal: OnceCell::new(),
        }
    }

    /// Returns the likelihood of words given topics.
    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    /// Returns the number of words.
    pub fn count(&self) -> i64 {
        self.weight.size()[0]
    }

    /// Returns how many documents fit in [`VALUES_AT_ONCE`] values, with one value per word.
    pub fn documents_at_once(&self) -> i64 {
        (VALUES_AT_ONCE / self.count().max(1)).max(1)
    }

    /// Returns the device of the tables.
    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// Returns the proposal of words for training steps, from the number of documents with each word, which follows
    /// from `support`.
    fn proposal(&self) -> Result<&Proposal> {
        if let Some(proposal) = self.proposal.get() {
            return Ok(proposal);
        }
        let support = Vec::<f64>::try_from(self.support.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?;
        let documents = |support: f64| {
            let support = support.max(0.0).min(1.0 - f64::from(f32::EPSILON));
            HALF_TRUST_DOCUMENTS * support / (1.0 - support)
        };
        let documents: Vec<f64> = support.into_iter().map(documents).collect();
        Ok(self.proposal.get_or_init(|| Proposal::new(&documents)))
    }

    /// Returns the table rows for a training step.
    pub fn in_training(&self, bags: &BagOfWordsBatch) -> Result<StepTables> {
        let Self { likelihood, weight, bias, names, sample, .. } = self;
        match *sample {
            Some(sample) => {
                let draws = (self.proposal()?, sample);
                SampledTables::new(*likelihood, [weight, bias], bags, draws, names).map(StepTables::Sampled)
            }
            None => Ok(StepTables::Whole(Tables::whole(*likelihood, weight, bias))),
        }
    }

    /// Computes `-log p(x | z)` in nats, `[B]`, from topics' counts `[B, K]`, exactly and in bounded memory, for use
    /// without gradient. Also computes it for the tokens of `x` given their number: for the Poisson likelihood, that of
    /// the multinomial with the same rates; otherwise the same values.
    pub fn neg_log_probs(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<[Tensor; 2]> {
        let of_counts = self.neg_log_prob(self.likelihood, z, bags)?;
        let of_tokens = match self.likelihood {
            Likelihood::Poisson => self.neg_log_prob(Likelihood::Multinomial, z, bags)?,
            _ => of_counts.shallow_clone(),
        };
        Ok([of_counts, of_tokens])
    }

    /// Computes `-log p(x | z)` in nats, `[B]`, for one likelihood, in parts that bound the memory.
    fn neg_log_prob(&self, likelihood: Likelihood, z: &Tensor, bags: &BagOfWordsBatch) -> Result<Tensor> {
        let size = match likelihood {
            Likelihood::LogLinear => self.documents_at_once(),
            _ => bags.len(),
        };
        let of_part = |(first, part): (i64, BagOfWordsBatch)| {
            let tables = Tables::whole(likelihood, &self.weight, &self.bias);
            tables.neg_log_prob(&z.narrow(0, first, part.len()), &part)
        };
        let parts: Vec<Tensor> = bags.parts(size)?.into_iter().map(of_part).collect();
        Ok(Tensor::cat(&parts, 0))
    }

    /// Computes `log p(w | z)` of one token for each word of the vocabulary, `[..., V]`, from topics' counts
    /// `[..., K]`.
    pub fn log_probs(&self, z: &Tensor) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            return (z.matmul(&self.weight.tr()) + &self.bias).log_softmax(-1, None::<Kind>);
        }
        let rates = z.matmul(&self.weight.exp().tr()) + self.bias.exp();
        rates.log() - rates.sum_dim_intlist(-1, true, None::<Kind>).log()
    }

    /// Attributes the tokens of each document to topics, `[B, K]`, given topics' counts `[B, K]`; the rest is the
    /// background's.
    ///
    /// Additive topics share a token in proportion to their parts of the word's rate. Log-linear topics share it in
    /// proportion to what each alone would add to the background's rate, `exp(z_k w_kv) - 1` of it; a topic that lowers
    /// the rate has no part.
    pub fn attribute(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Tensor {
        let mut tokens = z.zeros_like();
        let (entries, topics) = (bags.words.size()[0], z.size()[1]);
        let at_once = (VALUES_AT_ONCE / topics.max(1)).max(1);
        for start in (0..entries).step_by(at_once as usize) {
            let part = |of_entries: &Tensor| of_entries.narrow(0, start, at_once.min(entries - start));
            let (words, rows, counts) = (part(&bags.words), part(&bags.rows), part(&bags.counts).unsqueeze(-1));
            let (weight, z) = (self.weight.detach().index_select(0, &words), z.index_select(0, &rows));
            let (rates, background) = if self.likelihood == Likelihood::LogLinear {
                ((weight.relu() * z).clamp_max(LARGEST_LIFT).expm1(), Tensor::ones_like(&counts))
            } else {
                (weight.exp() * z, self.bias.detach().index_select(0, &words).exp().unsqueeze(-1))
            };
            let shares = &rates / (rates.sum_dim_intlist(-1, true, None::<Kind>) + background);
            tokens = tokens.index_add(0, &rows, &(shares * counts));
        }
        tokens
    }

    /// Returns the words of the lowest topics, `[K, V]`: rows of shares that sum to one.
    ///
    /// Additive topics return the probabilities of words. For log-linear topics, a word's share is that of its squared
    /// Wald statistic: for positive weights, the square of `s w` times the `information` about the weight, `[K, V]`
    /// (see [`Evidence`](super::Evidence)). So the words of a topic have weights that are both large and certain; words
    /// that are frequent everywhere have small weights and are left out. `s_v = n_v / (n_v + a)` shrinks the weights of
    /// words in few documents, `n_v`. A topic without evidence returns the softmax of its weights.
    ///
    /// # Errors
    /// Fails if the information has another shape.
    pub fn lowest(&self, information: &Tensor) -> Result<Tensor> {
        let weight = self.weight.detach().tr();
        if self.likelihood != Likelihood::LogLinear {
            return Ok(weight.softmax(-1, None::<Kind>));
        }
        if information.size() != weight.size() {
            return Err(Error::Shape {
                what: "evidence about the words of topics".into(),
                found: information.size(),
                expected: format!("{:?}: topics and words", weight.size()),
            });
        }
        let statistic = (&weight * &self.support).relu().square().to_kind(Kind::Double) * information;
        let sum = statistic.sum_dim_intlist(-1, true, None::<Kind>);
        let shares = (&statistic / &sum).to_kind(Kind::Float);
        Ok(shares.where_self(&sum.gt(0.0), &weight.softmax(-1, None::<Kind>)))
    }

    /// Returns the words of topics of layer `layer` above the lowest, `[T, V]`: rows of probabilities. Each topic is a
    /// mixture of the lowest topics, `mixture` `[T, K]`.
    ///
    /// Additive topics mix their word probabilities. Log-linear topics return the word probabilities of a document in
    /// which the topic's count dominates, `softmax(c s w + b)` with a large `c`: words that are both frequent and
    /// specific to the topic. (The order is that of relevance, Sievert and Shirley 2014, at a count `lambda c` with
    /// their `lambda`.) Mixtures have smaller weights, so `c` grows by half per layer.
    pub fn upper(&self, mixture: &Tensor, layer: usize) -> Tensor {
        let weight = self.weight.detach().tr();
        match self.likelihood {
            Likelihood::LogLinear => {
                let dominant_count = DOMINANT_COUNT * 1.5f64.powi(layer as i32);
                (mixture.matmul(&weight) * &self.support * dominant_count + self.bias.detach())
                    .softmax(-1, None::<Kind>)
            }
            _ => mixture.matmul(&weight.softmax(-1, None::<Kind>)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(likelihood: Likelihood) -> Words {
        let matrix = |x: &[f32]| Tensor::from_slice(x).reshape([3, 3]);
        Words {
            likelihood,
            weight: matrix(&[2.0, 1.0, -1.0, -1.0, 0.5, -2.0, 1.0, -3.0, -0.5]),
            bias: Tensor::from_slice(&[0.0f32, 1.0, -1.0]),
            support: Tensor::from_slice(&[1.0f32, 0.5, 0.25]),
            names: ["weight", "bias"].map(String::from),
            proposal: OnceCell::new(),
            sample: None,
        }
    }

    /// By hand: of the first document, two tokens of word 0, whose rate topic 0 alone would multiply by `e`, and topic
    /// 1 by `exp(.25)`, and one of word 1, which only topic 1 raises.
    #[test]
    fn tokens_belong_to_the_topics_that_raise_their_rates() {
        let z = Tensor::from_slice(&[0.5f32, 0.25, 3.0, 0.0, 0.0, 0.0]).reshape([2, 3]);
        let bags = BagOfWordsBatch::from_documents(&[vec![(0, 2), (1, 1)], vec![(2, 4)]], Device::Cpu);
        let found = |likelihood| {
            Vec::<Vec<f64>>::try_from(&words(likelihood).attribute(&z, &bags).to_kind(Kind::Double)).unwrap()
        };
        let [first, second, other] = [1f64, 0.25, 0.125].map(f64::exp_m1);
        let all = 1.0 + first + second;
        let expected = [[2.0 * first / all, 2.0 * second / all + other / (1.0 + other), 0.0], [0.0; 3]];
        for (found, expected) in found(Likelihood::LogLinear).iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        let rates = [0.5 * 2f64.exp(), 0.25 * 1f64.exp(), 3.0 * (-1f64).exp()];
        let others = [0.5 * (-1f64).exp(), 0.25 * 0.5f64.exp(), 3.0 * (-2f64).exp()];
        let (rate, other) = (rates.iter().sum::<f64>() + 1.0, others.iter().sum::<f64>() + 1f64.exp());
        for (topic, found) in found(Likelihood::Poisson)[0].iter().enumerate() {
            let expected = 2.0 * rates[topic] / rate + others[topic] / other;
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    /// By hand: of the first topic, `(2 * 1)^2 * 3` and `(1 * 0.25)^2 * 16`; of the second, `1^2 * 1` and
    /// `(0.5 * 0.5)^2 * 48`; the third has no positive weight.
    #[test]
    fn words_of_lowest_topics_are_squares_of_wald_statistics() {
        let information = Tensor::from_slice(&[3.0f64, 5.0, 16.0, 1.0, 48.0, 9.0, 1.0, 1.0, 1.0]).reshape([3, 3]);
        let found = Vec::<Vec<f64>>::try_from(&words(Likelihood::LogLinear).lowest(&information).unwrap()).unwrap();
        let total: f64 = [-1.0f64, -2.0, -0.5].map(f64::exp).iter().sum();
        let expected = [
            [12.0 / 13.0, 0.0, 1.0 / 13.0],
            [0.25, 0.75, 0.0],
            [-1.0f64, -2.0, -0.5].map(|weight| weight.exp() / total),
        ];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        let other = Tensor::zeros([2, 3], (Kind::Double, Device::Cpu));
        assert!(words(Likelihood::LogLinear).lowest(&other).unwrap_err().to_string().contains("[2, 3]"));
        // Where topics add up, they have probabilities of their own.
        let rows = words(Likelihood::Poisson).lowest(&information).unwrap().sum_dim_intlist(-1, false, None::<Kind>);
        assert!((rows - 1.0).abs().max().double_value(&[]) < 1e-6);
    }

    /// Of three tokens of two words: the Poisson law's own is that of the tokens, of their number, and of their three
    /// orders.
    #[test]
    fn counts_are_tokens_and_their_number() {
        let z = Tensor::from_slice(&[1.0f32, 0.0, 2.0]).reshape([1, 3]);
        let bags = BagOfWordsBatch::from_documents(&[vec![(0, 2), (1, 1)]], Device::Cpu);
        let found = |likelihood| {
            words(likelihood).neg_log_probs(&z, &bags).unwrap().map(|of| of.to_kind(Kind::Double).double_value(&[0]))
        };
        let rates = [[2.0f64, -1.0], [-1.0, -2.0], [1.0, -0.5]].map(|[one, other]| one.exp() + 2.0 * other.exp());
        let rates: Vec<f64> = rates.iter().zip([0.0f64, 1.0, -1.0]).map(|(rate, bias)| rate + bias.exp()).collect();
        let total: f64 = rates.iter().sum();
        let tokens = -2.0 * (rates[0] / total).ln() - (rates[1] / total).ln();
        let number = total - 3.0 * total.ln() + 6f64.ln();
        let [counts, of_tokens] = found(Likelihood::Poisson);
        assert!((of_tokens - tokens).abs() < 1e-5 && (counts - (tokens + number - 3f64.ln())).abs() < 1e-5);
        for likelihood in [Likelihood::Multinomial, Likelihood::LogLinear] {
            let [counts, of_tokens] = found(likelihood);
            assert_eq!(counts, of_tokens);
            assert!(likelihood == Likelihood::LogLinear || (counts - tokens).abs() < 1e-5);
        }
    }
}
