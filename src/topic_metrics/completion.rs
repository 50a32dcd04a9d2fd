//! Document completion: how well do topics inferred from one half of a document predict the other?
//!
//! The `n >= 2` tokens of a document are split at random: `floor(n / 2)` of them are shown to the model, which predicts
//! the others by its word probabilities `p(w)`. The perplexity is `exp(-sum log p(w) / tokens)` over the predicted
//! tokens of all documents; a uniform guess has the size of the vocabulary. No bound is involved, so that models of any
//! kind can be compared.
//!
//! # Source
//! Wallach, Murray, Salakhutdinov and Mimno, "Evaluation methods for topic models", ICML 2009.

use super::ratio::Ratio;
use crate::error::{Error, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// How far a probability may exceed 1: float32 rounds it.
const ROUNDING: f64 = 1e-5;

/// A document in two halves, each as words and their counts.
///
/// The fields are public, so that models can be compared on halves that another program drew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    /// The half that the model sees.
    pub first: Vec<(u32, u32)>,
    /// The half that the model has to predict.
    pub second: Vec<(u32, u32)>,
}

/// Splits the tokens of a document, `(word, count)`, at random. Returns `None` for fewer than two tokens.
///
/// The split depends only on the document, the seed and the document's number, and is the same on every machine. Every
/// choice of `floor(n / 2)` tokens is equally likely (selection sampling: Knuth, "The Art of Computer Programming" 2,
/// 3.4.2, algorithm S).
pub fn split(document: &[(u32, u32)], seed: u64, number: u64) -> Option<Halves> {
    let mut remaining: u64 = document.iter().map(|(_, count)| u64::from(*count)).sum();
    if remaining < 2 {
        return None;
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    let mut wanted = remaining / 2;
    let mut halves = Halves { first: Vec::new(), second: Vec::new() };
    for &(word, count) in document {
        let mut in_first_half = 0;
        for _ in 0..count {
            let chosen = generator.random_range(0..remaining) < wanted;
            remaining -= 1;
            wanted -= u64::from(chosen);
            in_first_half += u32::from(chosen);
        }
        for (half, count) in [(&mut halves.first, in_first_half), (&mut halves.second, count - in_first_half)] {
            if count > 0 {
                half.push((word, count));
            }
        }
    }
    Some(halves)
}

/// Sums over the second halves of documents: log-likelihood, tokens, documents.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Completion {
    log_likelihood: f64,
    tokens: u64,
    documents: u64,
    /// The negative log-likelihood a token.
    a_token: Ratio,
}

impl Completion {
    /// Adds the second half of a document, with the model's probability of each of its words in the same order.
    ///
    /// # Errors
    /// Fails if the numbers of probabilities and words differ, or if a probability is not above 0 and at most 1; the
    /// sums then stay as they are.
    pub fn add(&mut self, second: &[(u32, u32)], probabilities: &[f64]) -> Result<()> {
        if second.len() != probabilities.len() {
            return Err(Error::Shape {
                what: "probabilities of a second half".into(),
                found: vec![probabilities.len() as i64],
                expected: format!("its {} words", second.len()),
            });
        }
        let mut sum = Self { documents: self.documents + 1, ..*self };
        for (&(word, count), &p) in second.iter().zip(probabilities) {
            if !(p > 0.0 && p <= 1.0 + ROUNDING) {
                return Err(Error::parameter(
                    format!("probability of word {word} in the second half of a document"),
                    p,
                    "above 0 and at most 1: smooth the topics, so that no word is impossible",
                ));
            }
            sum.log_likelihood += f64::from(count) * p.ln();
            sum.tokens += u64::from(count);
        }
        let (before, after) = (self.log_likelihood, sum.log_likelihood);
        sum.a_token.add(before - after, (sum.tokens - self.tokens) as f64);
        *self = sum;
        Ok(())
    }

    /// Returns the number of predicted tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Returns the number of added documents.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Returns `exp(-log likelihood / tokens)`.
    ///
    /// # Errors
    /// Fails if no token was predicted.
    pub fn perplexity(&self) -> Result<f64> {
        if self.tokens == 0 {
            return Err(Error::parameter(
                "number of predicted tokens",
                0,
                "at least 1: only documents with more than one token can be completed",
            ));
        }
        Ok((-self.log_likelihood / self.tokens as f64).exp())
    }

    /// The standard error of the perplexity over documents, to the first order; `None` for fewer than two.
    pub fn standard_error(&self) -> Option<f64> {
        self.a_token.exponential().1
    }
}
