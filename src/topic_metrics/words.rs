//! Checks of word probabilities, and the top words of a topic.

use crate::error::{Error, Result};

/// How far the sum of a topic may be from 1: float32 rows of 100,000 words are within it, unnormalised weights are not.
const SUM_TOLERANCE: f64 = 1e-3;

/// Returns the `count` most probable words of a topic, by decreasing probability. Equally probable words are ordered by
/// number.
///
/// Words with probability zero are left out, so the result may be shorter than `count`.
pub fn top_words(topic: &[f64], count: usize) -> Vec<u32> {
    let mut words: Vec<u32> = (0..).zip(topic).filter(|(_, p)| **p > 0.0).map(|(word, _)| word).collect();
    let order = |one: &u32, other: &u32| topic[*other as usize].total_cmp(&topic[*one as usize]).then(one.cmp(other));
    if count < words.len() {
        // A full sort would take longer: the vocabulary is long, and only its top is needed.
        words.select_nth_unstable_by(count, order);
        words.truncate(count);
    }
    words.sort_unstable_by(order);
    words
}

/// Checks that every row is a distribution over the same vocabulary, and returns the size of the vocabulary.
pub(super) fn check(topics: &[Vec<f64>]) -> Result<usize> {
    let vocabulary = topics.first().map_or(0, Vec::len);
    if vocabulary == 0 {
        return Err(Error::parameter("number of topics or of their words", 0, "at least 1"));
    }
    for (number, topic) in topics.iter().enumerate() {
        if topic.len() != vocabulary {
            return Err(Error::Shape {
                what: format!("topic {number}"),
                found: vec![topic.len() as i64],
                expected: format!("the {vocabulary} words of topic 0"),
            });
        }
        if let Some((word, p)) = topic.iter().enumerate().find(|(_, p)| !(0.0..=1.0 + SUM_TOLERANCE).contains(*p)) {
            return Err(Error::parameter(format!("probability of word {word} in topic {number}"), p, "from 0 to 1"));
        }
        let sum: f64 = topic.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(Error::parameter(format!("sum of topic {number}"), sum, "1: divide the row by its sum"));
        }
    }
    Ok(vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_words_are_ordered_and_have_mass() {
        assert_eq!(top_words(&[0.1, 0.4, 0.1, 0.4, 0.0], 3), [1, 3, 0]);
        assert_eq!(top_words(&[0.1, 0.4, 0.1, 0.4, 0.0], 10), [1, 3, 0, 2]);
        assert_eq!(top_words(&[0.0, f64::NAN, 1.0], 10), [2]);
        assert!(top_words(&[], 10).is_empty() && top_words(&[1.0], 0).is_empty());
    }

    #[test]
    fn topics_that_are_no_distributions_are_refused() {
        assert_eq!(check(&[vec![0.5, 0.5], vec![1.0, 0.0]]).unwrap(), 2);
        for (topics, part) in [
            (vec![], "at least 1"),
            (vec![vec![]], "at least 1"),
            (vec![vec![1.0], vec![0.5, 0.5]], "topic 1"),
            (vec![vec![0.5, f64::NAN]], "probability of word 1 in topic 0 is NaN"),
            (vec![vec![1.5, -0.5]], "word 0 in topic 0 is 1.5"),
            (vec![vec![0.5, 0.4]], "sum of topic 0 is 0.9"),
        ] {
            let error = check(&topics).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
