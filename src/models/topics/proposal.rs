//! Which words stand for those that no document of a step has.
//!
//! A word is drawn by half for its own sake, and by half for the documents that it is in:
//!
//! ```text
//! p_v = (1 / V + n_v / sum_u n_u) / 2
//! ```
//!
//! Sums over a vocabulary are mostly of frequent words, which uniform draws hardly meet; and no word stands for more
//! than twice as many as it would under these. The draws come one from each of `m` parts of equal chance: a word that
//! is drawn `t` times stands for `t / (m p_v)`, one on average, and `t` differs from `m p_v` by less than two.

/// Chances of words.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Sums of those up to each word.
    sums: Vec<f64>,
}

impl Proposal {
    /// By how many documents each word is in.
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

    /// The chance of a word.
    fn chance(&self, word: usize) -> f64 {
        self.sums[word] - word.checked_sub(1).map_or(0.0, |before| self.sums[before])
    }

    /// The different words of as many draws as there are numbers from [0, 1), ascending, and how many each stands for.
    pub fn draw(&self, uniform: &[f64]) -> Vec<(i64, f32)> {
        let Some(total) = self.sums.last() else { return Vec::new() };
        let (part, last) = (total / uniform.len() as f64, self.sums.len() - 1);
        let mut from = 0;
        // Each word lies near the one before: it is looked for in steps that double, and then between the last two.
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
        let stands_for = |draws: &[usize]| (draws.len() as f64 * part / self.chance(draws[0])) as f32;
        distinct.map(|draws| (draws[0] as i64, stands_for(draws))).collect()
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
                assert!((proposal.chance(word) - exact).abs() < 1e-12, "{word}");
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
                    let expected = count as f64 * proposal.chance(word as usize);
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
