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
//! The first two look at the words that occur and at one sum for each topic; the softmax of the third costs a pass over
//! the vocabulary. In training, a large vocabulary is represented by the words that occur and a sample of the others
//! (`sampled.rs`); in evaluation, sums are exact.

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

/// The count of a topic at which a document's words are the topic's own, where topics multiply, at the start.
const WHOLE: f64 = 16.0;

/// A count that outweighs all others, where topics multiply: by it, topics of upper layers are read.
const OUTWEIGHING: f64 = 3.0 * WHOLE;

/// Documents with a word by which half of its weights is believed, where topics are read: a word of two documents is in
/// a topic by chance.
const CONVINCING: f64 = 15.0;

/// A sample of a large vocabulary has this part of the words that a whole vocabulary may have, as draws.
const SAMPLED: i64 = 16;

/// Logarithm of the largest factor by which a topic is said to raise a word's rate: sums of them are finite in float32.
const LARGEST_LIFT: f64 = 60.0;

/// Numbers that a sum over the vocabulary keeps at once in evaluation: 64 MB.
const AT_ONCE: i64 = 1 << 24;

/// What a step of training looks at.
#[derive(Debug)]
pub(super) enum StepTables {
    /// All rows.
    Whole(Tables),
    /// The rows of some words.
    Sampled(SampledTables),
}

impl StepTables {
    /// The rows that all documents look at.
    pub fn shared(&self) -> &Tables {
        match self {
            Self::Whole(tables) => tables,
            Self::Sampled(sampled) => &sampled.tables,
        }
    }

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`, with a gradient, and rows that are leaves of its
    /// graph in place of the tables.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        match self {
            Self::Whole(tables) => Ok((tables.neg_log_prob(z, bags), Vec::new())),
            Self::Sampled(sampled) => sampled.neg_log_prob(z, bags),
        }
    }
}

/// Weights and background.
#[derive(Debug)]
pub(super) struct Words {
    likelihood: Likelihood,
    /// `[V, K]`; the logarithm of `W` where it is positive.
    weight: Tensor,
    /// `[V]`; the logarithm of `b` where it is positive.
    bias: Tensor,
    /// `[V]`: how far what is known of a word's weights is to be believed, from 0 to 1.
    support: Tensor,
    /// Of both tables in the store.
    names: [String; 2],
    /// Draws of words in a step of training; nothing where all are looked at.
    sample: Option<i64>,
    /// What they are drawn from, made for the first step.
    proposal: OnceCell<Proposal>,
}

impl Words {
    /// The background alone explains the frequencies of words, and topics differ by the words of their documents.
    ///
    /// A step of training looks at all words of a vocabulary that has at most `largest`.
    pub fn new(path: &Path, likelihood: Likelihood, start: &TopicsStart, largest: i64) -> Self {
        let frequencies = start.frequencies.log();
        let believed = &start.documents / (&start.documents + CONVINCING);
        let (weight, bias) = if likelihood == Likelihood::LogLinear {
            ((start.topics.log() - frequencies.unsqueeze(-1)) / WHOLE, frequencies)
        } else {
            // A topic's count adds as many words as there would be in a document of a few topics.
            (start.topics.log() + (start.length / 4.0).ln(), frequencies + (start.length / 2.0).ln())
        };
        let copy = |name: &str, tensor: &Tensor| path.var_copy(name, &tensor.to_kind(Kind::Float));
        let support = path.zeros_no_train("support", &[weight.size()[0]]);
        tch::no_grad(|| support.shallow_clone().copy_(&believed));
        let sample = (weight.size()[0] > largest).then_some((largest / SAMPLED).max(1));
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

    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    /// How many words there are.
    pub fn count(&self) -> i64 {
        self.weight.size()[0]
    }

    /// Of how many documents the numbers of all words are kept at once.
    pub fn documents_at_once(&self) -> i64 {
        (AT_ONCE / self.count().max(1)).max(1)
    }

    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// What other words are drawn from in a step of training, by the documents that each word is in, which `support`
    /// tells.
    fn proposal(&self) -> Result<&Proposal> {
        if let Some(proposal) = self.proposal.get() {
            return Ok(proposal);
        }
        let support = Vec::<f64>::try_from(self.support.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?;
        let documents = |support: f64| {
            let support = support.max(0.0).min(1.0 - f64::from(f32::EPSILON));
            CONVINCING * support / (1.0 - support)
        };
        let documents: Vec<f64> = support.into_iter().map(documents).collect();
        Ok(self.proposal.get_or_init(|| Proposal::new(&documents)))
    }

    /// What a step of training looks at.
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

    /// `-log p(x | z)` in nats, `[B]`, of topics' counts `[B, K]`, exactly, for use without a gradient: in bounded
    /// memory. And that of the tokens of `x` given how many there are, which is another one for the Poisson law alone:
    /// that of the multinomial of the same rates.
    pub fn neg_log_probs(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<[Tensor; 2]> {
        let of_counts = self.neg_log_prob(self.likelihood, z, bags)?;
        let of_tokens = match self.likelihood {
            Likelihood::Poisson => self.neg_log_prob(Likelihood::Multinomial, z, bags)?,
            _ => of_counts.shallow_clone(),
        };
        Ok([of_counts, of_tokens])
    }

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

    /// `log p(w | z)` of each word of the vocabulary, given that there is one: `[..., V]`, of topics' counts
    /// `[..., K]`.
    pub fn log_probs(&self, z: &Tensor) -> Tensor {
        if self.likelihood == Likelihood::LogLinear {
            return (z.matmul(&self.weight.tr()) + &self.bias).log_softmax(-1, None::<Kind>);
        }
        let rates = z.matmul(&self.weight.exp().tr()) + self.bias.exp();
        rates.log() - rates.sum_dim_intlist(-1, true, None::<Kind>).log()
    }

    /// Tokens of each document by the topic that they are attributed to, `[B, K]`, of topics' counts `[B, K]`; the rest
    /// is the background's. Where topics add up, a token belongs to each in proportion to its part of the word's rate.
    /// Where they multiply, it does in proportion to what each alone would add to the rate of the background,
    /// `exp(z_k w_kv) - 1` of it; a topic that lowers the rate has no part.
    pub fn attribute(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Tensor {
        let mut tokens = z.zeros_like();
        let (entries, topics) = (bags.words.size()[0], z.size()[1]);
        let at_once = (AT_ONCE / topics.max(1)).max(1);
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

    /// The words of the lowest topics, `[K, V]`, rows of shares that sum to one. Where topics add up, the probabilities
    /// of words. Where they multiply, what documents say for the word: of the positive weights, the square of `s w`
    /// times the information about the weight, `[K, V]` (see [`Evidence`](super::Evidence)), which is the square of its
    /// Wald statistic. So a topic's words are those whose part in it is both large and beyond doubt, and a word that is
    /// frequent everywhere, whose weights are small, is in none. `s_v = n_v / (n_v + a)` shrinks the weights of words
    /// that few documents have, `n_v` of them. A topic without evidence has the words of its weights alone.
    ///
    /// # Errors
    /// When the information has another shape.
    pub fn lowest(&self, information: &Tensor) -> Result<Tensor> {
        let weight = self.weight.detach().tr();
        if self.likelihood != Likelihood::LogLinear {
            return Ok(weight.softmax(-1, None::<Kind>));
        }
        if information.size() != weight.size() {
            return Err(Error::Shape {
                what: "evidence about the words of topics".into(),
                found: information.size(),
                expected: format!("{:?}, topics and words", weight.size()),
            });
        }
        let statistic = (&weight * &self.support).relu().square().to_kind(Kind::Double) * information;
        let sum = statistic.sum_dim_intlist(-1, true, None::<Kind>);
        let shares = (&statistic / &sum).to_kind(Kind::Float);
        Ok(shares.where_self(&sum.gt(0.0), &weight.softmax(-1, None::<Kind>)))
    }

    /// The words of topics of layer `layer` above the lowest, `[T, V]`, rows of probabilities, each of which is a
    /// mixture of the lowest ones, `[T, K]`. Where topics add up, so do their words. Where they multiply, they are the
    /// words of a document in which the topic's count outweighs all else, `softmax(c s w + b)` with a large `c`: words
    /// that are both frequent and the topic's own. (The order is that of relevance, Sievert and Shirley 2014, at a
    /// count `lambda c` with their `lambda`.) Mixtures have smaller weights, for which `c` grows by half with each
    /// layer.
    pub fn upper(&self, mixture: &Tensor, layer: usize) -> Tensor {
        let weight = self.weight.detach().tr();
        match self.likelihood {
            Likelihood::LogLinear => {
                let outweighing = OUTWEIGHING * 1.5f64.powi(layer as i32);
                (mixture.matmul(&weight) * &self.support * outweighing + self.bias.detach()).softmax(-1, None::<Kind>)
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
