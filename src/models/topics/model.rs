//! The topic model: its layers, its bounds, and the words of its topics.

use super::config::{TopicsConfig, TopicsStart};
use super::encoder::{Encoder, Output};
use super::layer::{Layer, Posterior};
use super::words::Words;
use super::{BagOfWordsBatch, Evidence, Likelihood};
use crate::checks::real;
use crate::error::{Error, Result};
use crate::nn::Rows;
use crate::platform::limits::{check_shape, of_step, rows_at_once};
use crate::relaxation::{Forward, Pathwise};
use crate::sampler::NoiseKey;
use tch::nn::Path;
use tch::{Kind, Tensor, no_grad_guard};

/// A negative ELBO in nats, with the other terms of a training step.
#[derive(Debug)]
pub struct TopicsElbo {
    /// `-log p(x | z_1)`, `[B]`. For a large vocabulary, an estimate: unbiased for the Poisson likelihood. For the
    /// others it is too small by half the variance of the relative error of a sum over the vocabulary, per token and to
    /// first order.
    pub reconstruction: Tensor,
    /// The KL of each layer from the lowest, given a sample of the layer above, `[B]` each.
    pub kl: Vec<Tensor>,
    /// The sum of the squared weights of words, or an unbiased estimate of it, `[]`; zero for additive topics, whose
    /// weights are probabilities.
    pub weight_penalty: Tensor,
    /// The sum over pairs of topics of the squared cosine of their positive weights of words, or an estimate of it,
    /// `[]`; zero for additive topics.
    pub overlap: Tensor,
    /// The table rows that the graph holds in place of the tables, for
    /// [`Adam::minimize_rows`](crate::nn::Adam::minimize_rows). A table may have several lists of rows, without a
    /// common row.
    pub rows: Vec<Rows>,
}

/// The model.
#[derive(Debug)]
pub struct TopicModel {
    pub(super) encoder: Encoder,
    /// From the lowest.
    pub(super) layers: Vec<Layer>,
    pub(super) words: Words,
}

impl TopicModel {
    /// Makes a model with parameters under `path`.
    ///
    /// # Errors
    /// Fails if a size is out of range, if the start does not have the model's sizes, or if the family has bounded
    /// counts.
    pub fn new(path: &Path, config: &TopicsConfig, start: &TopicsStart) -> Result<Self> {
        config.check()?;
        let kind = (config.family, config.inference);
        let layers = config.topics.iter().enumerate().map(|(l, &topics)| {
            Layer::new(&(path / "topics" / l), kind, topics, start.groups.get(l), config.atoms, config.prior)
        });
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let extra: Vec<_> = layers.iter().map(Layer::extra).collect();
        let encoder = Encoder::new(&(path / "encoder"), config, start, &extra)?;
        let words = Words::new(&(path / "words"), config.likelihood, start, config.vocabulary_sample);
        Ok(Self { encoder, layers, words })
    }

    /// Returns the likelihood of words given topics.
    pub fn likelihood(&self) -> Likelihood {
        self.words.likelihood()
    }

    /// Returns evidence about the words of the lowest topics, without documents so far.
    pub fn evidence(&self) -> Evidence {
        let topics = self.sizes().first().copied().unwrap_or(0);
        Evidence::new(self.words(), topics, self.words.device())
    }

    /// Returns the number of topics of each layer, from the lowest.
    pub fn sizes(&self) -> Vec<i64> {
        self.layers.iter().map(Layer::topics).collect()
    }

    /// Returns the number of words of the vocabulary.
    pub fn words(&self) -> i64 {
        self.words.count()
    }

    /// Returns how many documents' word probabilities fit in 64 MB.
    pub fn documents_at_once(&self) -> i64 {
        self.words.documents_at_once()
    }

    /// Computes the negative ELBO with one relaxed sample per document, as [`pathwise_elbo`](Self::pathwise_elbo).
    ///
    /// # Errors
    /// Fails if the batch does not fit the model, or if the temperature is not allowed.
    pub fn relaxed_elbo(
        &self,
        bags: &BagOfWordsBatch,
        temperature: f64,
        forward: Forward,
        key: NoiseKey,
    ) -> Result<TopicsElbo> {
        self.pathwise_elbo(bags, Pathwise::Relaxed { temperature, forward }, key)
    }

    /// The negative ELBO with one sample a document that carries a gradient: what is trained. What of a large
    /// vocabulary it looks at comes from libtorch's generator.
    ///
    /// # Errors
    /// When the temperature is not allowed.
    pub fn pathwise_elbo(&self, bags: &BagOfWordsBatch, how: Pathwise, key: NoiseKey) -> Result<TopicsElbo> {
        bags.check(self.words(), self.words.device())?;
        let (outputs, rows) = self.encoder.train(bags)?;
        let draw = |l: usize, posterior: &Posterior| posterior.rsample(how, layer_key(key, l));
        let (posteriors, draws) = self.descend(&outputs, draw)?;
        let tables = self.words.in_training(bags)?;
        let (reconstruction, mut of_words) = tables.neg_log_prob(&draws[0], bags)?;
        of_words.push(rows);
        Ok(TopicsElbo {
            reconstruction,
            kl: self.kl(&posteriors, &draws)?,
            weight_penalty: tables.shared().penalty(),
            overlap: tables.shared().overlap(),
            rows: of_words,
        })
    }

    /// The posterior of each layer from the lowest, and a draw of it, which `draw` makes: from the top down, since a
    /// posterior looks at the draw above.
    pub(super) fn descend(
        &self,
        outputs: &[Output],
        draw: impl Fn(usize, &Posterior) -> Result<Tensor>,
    ) -> Result<(Vec<Posterior>, Vec<Tensor>)> {
        let (mut posteriors, mut draws) = (Vec::new(), Vec::new());
        for (l, (layer, output)) in self.layers.iter().zip(outputs).enumerate().rev() {
            let posterior = layer.posterior(output, draws.last())?;
            draws.push(draw(l, &posterior)?);
            posteriors.push(posterior);
        }
        posteriors.reverse();
        draws.reverse();
        Ok((posteriors, draws))
    }

    /// The KL of each layer given a draw of the layer above.
    pub(super) fn kl(&self, posteriors: &[Posterior], draws: &[Tensor]) -> Result<Vec<Tensor>> {
        let layers = self.layers.iter().zip(posteriors).enumerate();
        layers.map(|(l, (layer, posterior))| posterior.kl(&layer.prior(draws.get(l + 1))?)).collect()
    }

    /// Returns the posterior means of the counts of each layer from the lowest, `[B, topics]`, given the means above,
    /// without gradient.
    ///
    /// # Errors
    /// Fails if the batch does not fit the model, or if a tensor would be too large.
    pub fn infer(&self, bags: &BagOfWordsBatch) -> Result<Vec<Tensor>> {
        bags.check(self.words(), self.words.device())?;
        let mean = |_, posterior: &Posterior| Ok(posterior.truncated.mean());
        let parts = self.passes(bags)?.into_iter();
        let parts = parts.map(|(_, part)| Ok(self.descend(&self.encoder.infer(&part)?, mean)?.1));
        joined(&parts.collect::<Result<Vec<_>>>()?)
    }

    /// Documents in parts of which a pass without a gradient keeps all atoms of a layer at once, each with the number
    /// of its first document.
    pub(super) fn passes(&self, bags: &BagOfWordsBatch) -> Result<Vec<(i64, BagOfWordsBatch)>> {
        let sizes = self.layers.iter().map(|layer| rows_at_once(&[layer.topics(), layer.atoms()]));
        bags.parts(sizes.min().unwrap_or(1))
    }

    /// Whether a step of training with so many documents makes no tensor that is too large.
    ///
    /// # Errors
    /// [`Error::StepTooLarge`], with the settings that make it smaller.
    pub fn check_step(&self, documents: i64) -> Result<()> {
        for layer in &self.layers {
            check_shape("log weights of counts", &[documents, layer.topics(), layer.atoms()], Kind::Double)
                .map_err(|error| of_step(error, &["batch-size", "topics", "truncation"]))?;
        }
        if self.likelihood() != Likelihood::LogLinear {
            return Ok(());
        }
        let topics = self.layers.first().map_or(0, Layer::topics);
        check_shape("products of topics", &[topics, topics], Kind::Float).map_err(|error| of_step(error, &["topics"]))
    }

    /// Attributes the tokens of each document to topics, for each layer from the lowest: `[B, topics]`, given the
    /// posterior means of [`infer`](Self::infer).
    ///
    /// Tokens of the background belong to no topic, so that the topics' tokens sum to at most the document's. The
    /// tokens of a lower topic are divided among the topics above in proportion to their parts of its prior mean.
    ///
    /// # Errors
    /// Fails if there are not means of every layer.
    pub fn attribute(&self, bags: &BagOfWordsBatch, means: &[Tensor]) -> Result<Vec<Tensor>> {
        let _guard = no_grad_guard();
        let expected: Vec<Vec<i64>> = self.sizes().iter().map(|&topics| vec![bags.len(), topics]).collect();
        if !means.iter().map(Tensor::size).eq(expected.iter().cloned()) {
            return Err(Error::Shape {
                what: "posterior means of topics".into(),
                found: means.iter().flat_map(Tensor::size).collect(),
                expected: format!("{expected:?}: documents and topics of each layer"),
            });
        }
        let mut tokens = vec![self.words.attribute(&means[0], bags)];
        for (l, (layer, weight)) in self.layers.iter().zip(self.weights()).enumerate() {
            let above = &means[l + 1];
            tokens.push(above * (&tokens[l] / layer.rate(Some(above))).matmul(&weight.tr()));
        }
        Ok(tokens)
    }

    /// `log p(w | z)` of each word, `[..., words]`, of counts of the lowest topics `[..., topics]`, real numbers of any
    /// kind, without a gradient.
    ///
    /// # Errors
    /// Fails if there is not one count per topic, or if the result would be too large.
    pub fn log_probs(&self, z: &Tensor) -> Result<Tensor> {
        let _guard = no_grad_guard();
        let topics = self.sizes().first().copied();
        if !z.defined() || z.size().last().copied() != topics {
            return Err(Error::Shape {
                what: "counts of topics".into(),
                found: if z.defined() { z.size() } else { Vec::new() },
                expected: format!("[..., {}]: a count for each of the lowest topics", topics.unwrap_or(0)),
            });
        }
        let rows = &z.size()[..z.dim() - 1];
        check_shape("log probabilities of words", &[rows, &[self.words()]].concat(), Kind::Float)?;
        Ok(self.words.log_probs(&real(z, "counts of topics", Kind::Float, self.words.device())?))
    }

    /// Returns the words of the topics of each layer from the lowest, `[topics, V]` each: rows of shares that sum to
    /// one.
    ///
    /// Words of additive topics have their probabilities as shares. Words of log-linear topics of the lowest layer have
    /// their shares of the `evidence` about the topic (see `words.rs`). An upper topic has the words of the lower
    /// topics that it favours more than other topics of its layer do.
    ///
    /// # Errors
    /// Fails if the evidence has the sizes of another model.
    pub fn topics(&self, evidence: &Evidence) -> Result<Vec<Tensor>> {
        let _guard = no_grad_guard();
        let mut topics = vec![self.words.lowest(&evidence.by_topic())?];
        let mut below: Option<Tensor> = None;
        for (l, weight) in self.weights().iter().enumerate() {
            let own = distinctive_topics(weight);
            let mixture = below.map_or_else(|| own.shallow_clone(), |below| own.matmul(&below));
            topics.push(self.words.upper(&mixture, l + 1));
            below = Some(mixture);
        }
        Ok(topics)
    }

    /// Returns the weights between each layer and the one above it, from the lowest: `[topics above, topics]`.
    pub fn weights(&self) -> Vec<Tensor> {
        self.layers.iter().filter_map(Layer::weight).collect()
    }
}

/// Rows of each of some tensors, in parts of which each has one of every tensor.
pub(super) fn joined(parts: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let tensors = parts.first().map_or(0, Vec::len);
    let of = |i: usize| Ok(Tensor::f_cat(&parts.iter().map(|part| &part[i]).collect::<Vec<_>>(), 0)?);
    (0..tensors).map(of).collect()
}

/// How many times the mean share a topic must have of an upper one's weights, to be one of those that it is shown by.
const DISTINCTIVE: f64 = 1.5;

/// Returns for each row of weights `[topics above, topics]` a mixture of the few topics that are specific to it: the
/// squares of what its shares exceed [`DISTINCTIVE`] times the mean shares by, normalised. A row that exceeds none
/// returns its shares.
fn distinctive_topics(weight: &Tensor) -> Tensor {
    let share = |x: &Tensor| x / x.sum_dim_intlist(-1, true, None::<Kind>).clamp_min(1e-12);
    let shares = share(weight);
    let excess = (&shares - shares.mean_dim(0, true, None::<Kind>) * DISTINCTIVE).relu();
    // Excesses this small are rounding errors.
    let none = excess.sum_dim_intlist(-1, true, None::<Kind>).lt(1e-4);
    shares.where_self(&none, &share(&excess.square()))
}

/// The noise of a layer: layers share no numbers.
pub(super) fn layer_key(key: NoiseKey, layer: usize) -> NoiseKey {
    NoiseKey { seed: key.seed.wrapping_add((layer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_topics_are_mixtures_of_those_that_are_their_own() {
        let rows = |rows: &[[f32; 4]]| Tensor::from_slice(&rows.concat()).reshape([-1, 4]);
        let check = |weights: &[[f32; 4]], expected: &[[f32; 4]]| {
            let difference = (distinctive_topics(&rows(weights)) - rows(expected)).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{difference}");
        };
        // Mean shares are 1/6, .1, .4, 1/3: beyond 1.5 times these, the first row has .25 and .15.
        let (a, b) = (0.25f32.powi(2), 0.15f32.powi(2));
        let own = [a / (a + b), b / (a + b), 0.0, 0.0];
        let [third, fourth] = [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        check(&[[5.0, 3.0, 2.0, 0.0], fourth, third], &[own, fourth, third]);
        // Rows that are all the same have nothing of their own.
        check(&[[1.0, 2.0, 3.0, 4.0]; 2], &[[0.1, 0.2, 0.3, 0.4]; 2]);
    }
}
