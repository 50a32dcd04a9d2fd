//! Diversity: do topics have words of their own?
//!
//! The number of distinct words among the top `n` of all `K` topics, over `n K`: 1 when no two topics share a word,
//! `1 / K` when all have the same. A vocabulary or a topic with fewer than `n` words lowers it, since missing words are
//! not distinct ones.
//!
//! # Source
//! Dieng, Ruiz and Blei, "Topic modeling in embedding spaces", arXiv 1907.04907.

use super::words::{check, top_words};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Top words by which diversity is usually measured.
pub const DIVERSITY_WORDS: usize = 25;

/// The share of distinct words among the `top` most probable ones ([`DIVERSITY_WORDS`]) of all topics.
///
/// # Errors
/// When a topic is not a distribution, or `top` is zero.
pub fn diversity(topics: &[Vec<f64>], top: usize) -> Result<f64> {
    check(topics)?;
    if top == 0 {
        return Err(Error::parameter("number of top words", top, "at least 1"));
    }
    let distinct: HashSet<u32> = topics.iter().flat_map(|topic| top_words(topic, top)).collect();
    Ok(distinct.len() as f64 / (top as f64 * topics.len() as f64))
}
