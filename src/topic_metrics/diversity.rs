//! Diversity: do topics have words of their own?
//!
//! The number of distinct words among the top `n` of all `K` topics, divided by `n K`: 1 if no two topics share a word,
//! `1 / K` if all topics have the same words. A vocabulary or a topic with fewer than `n` words lowers it, because
//! missing words do not count as distinct.
//!
//! # Source
//! Dieng, Ruiz and Blei, "Topic modeling in embedding spaces", arXiv 1907.04907.

use super::words::{check, top_words};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// The number of top words by which diversity is usually measured.
pub const DIVERSITY_WORDS: usize = 25;

/// Computes the share of distinct words among the `top` most probable words ([`DIVERSITY_WORDS`]) of all topics,
/// `[topics][words]`.
///
/// # Errors
/// Fails if a topic is not a distribution, or if `top` is zero.
pub fn diversity(topics: &[Vec<f64>], top: usize) -> Result<f64> {
    check(topics)?;
    if top == 0 {
        return Err(Error::parameter("number of top words", top, "at least 1"));
    }
    let distinct: HashSet<u32> = topics.iter().flat_map(|topic| top_words(topic, top)).collect();
    Ok(distinct.len() as f64 / (top as f64 * topics.len() as f64))
}
