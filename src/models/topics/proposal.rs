//! The distribution that samples the words outside of a batch, and their weights in sums over the vocabulary.
//!
//! The probability of a word is half uniform and half proportional to the number `n_v` of documents that have it:
//!
//! ```text
//! p_v = (1 / V + n_v / sum_u n_u) / 2
//! ```
//!
//! Sums over a vocabulary are dominated by frequent words, which uniform draws rarely hit. The uniform half bounds the
//! weight of a word by twice its weight under uniform draws. The `m` draws are stratified: one from each of `m` parts
//! of equal probability. A word drawn `t` times has the weight `t / (m p_v)`, one on average, and `t` differs from
//! `m p_v` by less than two.

/// The probabilities of words.
#[derive(Debug)]
pub(super) struct Proposal {
    /// The cumulative probability up to each word.
    sums: Vec<f64>,
}

impl Proposal {
    /// Makes a proposal from the number of documents that have each word.
    pub fn new(documents: &[f64]) -> Self {
        let uniform = 1.0 / documents.len() as f64;
        let total: f64 = documents.iter().sum();
        let mut sum = 0.0;
        let up_to = |&n: &f64| {
            sum += if total > 0.0 { (uniform + n / total) / 2.0 } else { uniform };
            sum
        };
        Self { sums: documents.iter().map(up_to).collect() }
    }

    /// Returns the probability of a word.
    fn probability(&self, word: usize) -> f64 {
        self.sums[word] - word.checked_sub(1).map_or(0.0, |before| self.sums[before])
    }

    /// Draws one word per number of `uniform`, each in [0, 1). Returns the distinct words, ascending, with their
    /// weights.
    pub fn draw(&self, uniform: &[f64]) -> Vec<(i64, f32)> {
        let Some(total) = self.sums.last() else { return Vec::new() };
        let (part, last) = (total / uniform.len() as f64, self.sums.len() - 1);
        let mut from = 0;
        // Each word lies near the one before: searches in doubling steps, and then between the last two.
        let word = |(i, u): (usize, &f64)| {
            let at = (i as f64 + u) * part;
            let mut step = 1;
            while from + step < last && self.sums[from + step] <= at {
                from += step;
                step *= 2;
            }
            let end = (from + step).min(last);
            from += self.sums[from..end].partition_point(|&sum| sum <= at);
            from
        };
        let words: Vec<usize> = uniform.iter().enumerate().map(word).collect();
        let distinct = words.chunk_by(|a, b| a == b);
        let weight = |draws: &[usize]| (draws.len() as f64 * part / self.probability(draws[0])) as f32;
        distinct.map(|draws| (draws[0] as i64, weight(draws))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    const DOCUMENTS: [f64; 6] = [0.0, 1.0, 50.0, 0.0, 9.0, 4.0];

    #[test]
    fn words_are_drawn_by_half_for_their_documents() {
        for (documents, exact) in
            [(DOCUMENTS, [0.0, 1.0, 50.0, 0.0, 9.0, 4.0].map(|n| 1.0 / 12.0 + n / 128.0)), ([0.0; 6], [1.0 / 6.0; 6])]
        {
            let proposal = Proposal::new(&documents);
            for (word, exact) in exact.into_iter().enumerate() {
                assert!((proposal.probability(word) - exact).abs() < 1e-12, "{word}");
            }
        }
    }

    #[test]
    fn a_word_stands_for_one_on_average() {
        const TIMES: usize = 4000;
        let mut generator = ChaCha8Rng::seed_from_u64(0);
        let proposal = Proposal::new(&DOCUMENTS);
        for count in [1, 4, 7] {
            let mut shares = vec![Vec::new(); DOCUMENTS.len()];
            for _ in 0..TIMES {
                let uniform: Vec<f64> = (0..count).map(|_| generator.random()).collect();
                let draws = proposal.draw(&uniform);
                assert!(draws.windows(2).all(|pair| pair[0].0 < pair[1].0));
                let mut of_words = [0.0; DOCUMENTS.len()];
                for (word, share) in draws {
                    let expected = count as f64 * proposal.probability(word as usize);
                    assert!((f64::from(share) * expected - expected).abs() < 2.0, "{word}: {share}");
                    of_words[word as usize] = f64::from(share);
                }
                shares.iter_mut().zip(of_words).for_each(|(list, share)| list.push(share));
            }
            for (word, shares) in shares.iter().enumerate() {
                let n = TIMES as f64;
                let mean = shares.iter().sum::<f64>() / n;
                let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / n;
                assert!((mean - 1.0).abs() <= 4.0 * (variance / n).sqrt() + 1e-6, "{count} draws, word {word}: {mean}");
            }
        }
    }
}
