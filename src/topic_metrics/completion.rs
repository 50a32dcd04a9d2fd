//! Document completion: how well do topics inferred from one half of a document predict the other?
//!
//! The `n` tokens of a document with more than one are split at random: `floor(n / 2)` of them are shown to the model,
//! the others are predicted by its word probabilities `p(w)`. The perplexity is `exp(-sum log p(w) / tokens)` over the
//! predicted tokens of all documents; that of a uniform guess is the size of the vocabulary. It needs no bound, so that
//! models of any kind can be compared by it.
//!
//! # Source
//! Wallach, Murray, Salakhutdinov and Mimno, "Evaluation methods for topic models", ICML 2009.

use super::ratio::Ratio;
use crate::error::{Error, Result};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A probability in float32 may be rounded to a little more than 1.
const ROUNDING: f64 = 1e-5;

/// A document in two halves, each as words and their counts.
///
/// They are plain data: to compare models on halves that were drawn elsewhere, fill them in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    /// What the model is shown.
    pub first: Vec<(u32, u32)>,
    /// What it has to predict.
    pub second: Vec<(u32, u32)>,
}

/// Splits the tokens of a document at random; none of a document with fewer than two.
///
/// The split is a function of the document, the seed and the document's number alone, the same on every machine: every
/// choice of `floor(n / 2)` tokens is equally likely (selection sampling: Knuth, "The Art of Computer Programming" 2,
/// 3.4.2, algorithm S).
pub fn split(document: &[(u32, u32)], seed: u64, number: u64) -> Option<Halves> {
    let mut left: u64 = document.iter().map(|(_, count)| u64::from(*count)).sum();
    if left < 2 {
        return None;
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    let mut wanted = left / 2;
    let mut halves = Halves { first: Vec::new(), second: Vec::new() };
    for &(word, count) in document {
        let mut shown = 0;
        for _ in 0..count {
            let chosen = generator.random_range(0..left) < wanted;
            left -= 1;
            wanted -= u64::from(chosen);
            shown += u32::from(chosen);
        }
        for (half, count) in [(&mut halves.first, shown), (&mut halves.second, count - shown)] {
            if count > 0 {
                half.push((word, count));
            }
        }
    }
    Some(halves)
}

/// Log-likelihood and tokens of second halves, document after document.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Completion {
    log_likelihood: f64,
    tokens: u64,
    documents: u64,
    /// The negative log-likelihood a token.
    a_token: Ratio,
}

impl Completion {
    /// Adds the second half of a document, with the model's probability of each of its words, in the same order.
    ///
    /// # Errors
    /// When there are not as many probabilities as words, or one is not above 0 and at most 1; nothing is added then.
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

    /// Predicted tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Added documents.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// `exp(-log likelihood / tokens)`.
    ///
    /// # Errors
    /// When no token was predicted.
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
