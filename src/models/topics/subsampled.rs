//! Words given topics in a step of training with a large vocabulary, where topics multiply: a document looks at its own
//! words, and at some of the batch's others.
//!
//! Most words of a batch are in a few documents alone, and together they are a small part of the sum over the
//! vocabulary of a document that does not have them. Of the `h_c` words that are in `c < 16` documents, all documents
//! share `n_c = h_c c / 16`, rounded up, drawn without replacement; a document has its own ones besides. With `s_v`
//! words for which a word outside of the batch stands (`proposal.rs`):
//!
//! ```text
//! S' = sum_{v in the document, or in 16 others} f_v
//!    + sum_c h_c / n_c sum_{j <= n_c} f_{u_cj} [u_cj not in the document]
//!    + sum_v s_v f_v [v not in the batch]
//! ```
//!
//! Thinning adds `sum_c q_c^2 a_c^2 (1 / n_c - 1 / h_c)` to the variance of `S' / S`, where the words of `c` documents
//! have a share `q_c` of `S`, and `a_c` is how `f` varies over them, in units of its mean: less than what the words
//! outside of the batch leave (`sampled.rs`).
//!
//! With logits `[z, 1] T'`, the gradient in them is `n softmax - x`, and its product with `T` is the one in `[z, 1]`.
//! Words that documents share are rows of a matrix; those of a document alone are terms of its own weighted sum of the
//! table's rows.

use super::BagOfWordsBatch;
use super::slopes::{with_ones, with_slopes};
use super::tables::Tables;
use crate::error::Result;
use crate::nn::{Rows, SparseIndex, rowwise_dot, weighted_sums};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Words of fewer documents are looked at by some of the others, by one for each document of so many.
const FEW: usize = 16;

/// Words that all documents look at, some of which stand for others, and those that a document looks at alone.
#[derive(Debug)]
pub(super) struct SubsampledVocabulary {
    /// The former, ascending, `[D]`.
    pub indices: Tensor,
    /// The logarithms of how many words each stands for in documents that do not have it, `[D]`.
    log_shares: Tensor,
    /// Entries with such a word, and its place among these.
    inside: [Tensor; 2],
    /// Entries with another word.
    outside: SparseIndex,
    /// Their numbers among those of the documents.
    outside_numbers: Tensor,
    /// Weights and background of all words.
    tables: [Tensor; 2],
}

impl SubsampledVocabulary {
    /// Of entries of documents, and of `others` with how many words each of them stands for; and how many words each
    /// stands for that all documents look at, in sums over the vocabulary. From libtorch's generator.
    pub fn new(
        tables: &[Tensor; 2],
        bags: &BagOfWordsBatch,
        entries: &SparseIndex,
        others: &[(i64, f32)],
    ) -> Result<(Self, Vec<f32>)> {
        let documents = documents_by_word(entries, bags)?;
        let order = Tensor::f_randperm(documents.len() as i64, (Kind::Int64, Device::Cpu))?;
        let of_step = shares(&documents, &Vec::<i64>::try_from(order)?);
        let alone: Vec<bool> = of_step.iter().map(|&share| share == 0.0).collect();
        let (mut indices, mut shares) = (Vec::new(), Vec::new());
        let (mut entries_inside, mut places_inside) = (Vec::new(), Vec::new());
        // Both lists ascend, and are merged.
        let mut others = others.iter().peekable();
        for (place, (&word, &share)) in
            entries.distinct.iter().zip(&of_step).enumerate().filter(|(_, (_, share))| **share > 0.0)
        {
            while let Some((other, share)) = others.next_if(|(other, _)| *other < word) {
                indices.push(*other);
                shares.push(*share);
            }
            entries_inside.extend(entries.of(place).iter().map(|&entry| i64::from(entry)));
            places_inside.resize(entries_inside.len(), indices.len() as i64);
            indices.push(word);
            shares.push(share);
        }
        for &(other, share) in others {
            indices.push(other);
            shares.push(share);
        }
        let (outside, outside_numbers) = entries.of_rows(&alone)?;
        let device = bags.words.device();
        let tensor = |list: Vec<i64>| Tensor::from_slice(&list).to_device(device);
        let vocabulary = Self {
            indices: tensor(indices),
            log_shares: Tensor::from_slice(&shares).log().to_device(device),
            inside: [tensor(entries_inside), tensor(places_inside)],
            outside,
            outside_numbers,
            tables: tables.each_ref().map(Tensor::shallow_clone),
        };
        Ok((vocabulary, shares))
    }

    /// `-log p(x | z)` in nats, `[B]`, and the rows that are leaves of its graph, of tables of these names.
    pub fn neg_log_prob(
        &self,
        shared: &Tables,
        z: &Tensor,
        bags: &BagOfWordsBatch,
        names: &[String; 2],
    ) -> Result<(Tensor, Vec<Rows>)> {
        let Self { indices, log_shares, inside, outside, outside_numbers, tables: [weight, bias] } = self;
        let inputs = with_ones(z);
        let table = Tensor::cat(&[&shared.weight, &shared.bias.unsqueeze(-1)], 1);
        let no_grad = no_grad_guard();
        let [rows_inside, counts_inside] = [&bags.rows, &bags.counts].map(|list| list.index_select(0, &inside[0]));
        let (rows_outside, counts_outside) = (&outside.bags, bags.counts.index_select(0, outside_numbers));
        let flat = &rows_inside * indices.size()[0] + &inside[1];
        let mut logits = log_shares.addmm(&inputs, &table.tr());
        // A document's own words stand for themselves alone.
        let _ = logits.reshape([-1]).index_add_(0, &flat, &-log_shares.index_select(0, &inside[1]));
        let at_inside = logits.reshape([-1]).index_select(0, &flat);
        let bias_outside = bias.index_select(0, &outside.rows);
        let at_outside = rowwise_dot([z, rows_outside], [weight, &outside.rows])? + &bias_outside;
        let counts = rows_outside.bincount(None::<Tensor>, bags.len());
        let most =
            Tensor::f_segment_reduce(&at_outside, "max", Some(&counts), None, None, 0, false, f64::NEG_INFINITY)?;
        let most = most.maximum(&logits.amax([-1], false));
        let exps = logits.subtract_(&most.unsqueeze(-1)).exp_();
        let exps_outside = (&at_outside - most.index_select(0, rows_outside)).exp();
        let sums = exps.sum_dim_intlist(-1, false, None::<Kind>).index_add(0, rows_outside, &exps_outside);
        let at_words = Tensor::zeros_like(&sums).index_add(0, &rows_inside, &(at_inside * &counts_inside)).index_add(
            0,
            rows_outside,
            &(at_outside * &counts_outside),
        );
        let value = (most + sums.log()) * &bags.lengths - at_words;
        // Slopes in logits; of those inside, but for a factor that each document has.
        let factors = &bags.lengths / sums;
        let _ = exps.reshape([-1]).index_add_(0, &flat, &-(counts_inside / factors.index_select(0, &rows_inside)));
        let slopes_outside = exps_outside * factors.index_select(0, rows_outside) - counts_outside;
        let of_weight = weighted_sums(weight, &outside.rows, &slopes_outside, &outside.offsets)?;
        let of_bias = Tensor::zeros_like(&bags.lengths).index_add(0, rows_outside, &(&slopes_outside * bias_outside));
        drop(no_grad);
        let leaves = [of_weight, of_bias].map(|sums| sums.set_requires_grad(true));
        let of_outside = Tensor::cat(&[&leaves[0], &leaves[1].unsqueeze(-1)], 1);
        let slopes = exps.matmul(&table) * factors.unsqueeze(-1) + of_outside;
        let shared = [&shared.weight, &shared.bias].into_iter().zip(names);
        let rows = shared.map(|(leaf, name)| Rows::new(name, indices, leaf));
        let alone = leaves.iter().zip(names);
        let rows = rows.chain(alone.map(|(leaf, name)| Rows::of_sums(name, outside, &slopes_outside, leaf, None)));
        let rows = rows.collect();
        Ok((with_slopes(value, &inputs, &slopes)?, rows))
    }
}

/// How many documents have each different word; [`FEW`] where one has it in several entries, which are no sample of
/// documents.
fn documents_by_word(entries: &SparseIndex, bags: &BagOfWordsBatch) -> Result<Vec<usize>> {
    let documents = Vec::<i64>::try_from(&bags.rows)?;
    let of_word = |place: usize| {
        let entries = entries.of(place);
        let twice = |pair: &[u32]| documents[pair[0] as usize] == documents[pair[1] as usize];
        if entries.len() < FEW && entries.windows(2).any(twice) { FEW } else { entries.len() }
    };
    Ok((0..entries.distinct.len()).map(of_word).collect())
}

/// How many words each word of a batch stands for in documents that do not have it, by how many documents have it and
/// the order in which words are drawn: zero where it is not.
fn shares(documents: &[usize], order: &[i64]) -> Vec<f32> {
    let mut words = [0usize; FEW];
    documents.iter().filter(|&&c| c < FEW).for_each(|&c| words[c] += 1);
    let drawn: [usize; FEW] = std::array::from_fn(|c| (words[c] * c).div_ceil(FEW));
    let mut left = drawn;
    let mut shares = vec![1.0; documents.len()];
    for &word in order {
        let (word, c) = (word as usize, documents[word as usize]);
        if c >= FEW {
            continue;
        }
        shares[word] = if left[c] > 0 { words[c] as f32 / drawn[c] as f32 } else { 0.0 };
        left[c] = left[c].saturating_sub(1);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    #[test]
    fn a_word_of_few_documents_stands_for_one_on_average() {
        const TIMES: usize = 4000;
        let mut generator = ChaCha8Rng::seed_from_u64(0);
        let documents = [1, 1, 1, 40, 2, 1, 7, 7, 1, 1, 1, FEW, 1, 1, 1, 2, 2];
        let mut means = vec![0.0; documents.len()];
        for _ in 0..TIMES {
            let mut order: Vec<i64> = (0..documents.len() as i64).collect();
            (1..order.len()).for_each(|i| order.swap(i, generator.random_range(0..=i)));
            let found = shares(&documents, &order);
            means.iter_mut().zip(&found).for_each(|(mean, share)| *mean += f64::from(*share) / TIMES as f64);
            for (c, [words, drawn]) in [(1, [10, 1]), (2, [3, 1]), (7, [2, 1])] {
                let of_c: Vec<f32> = (0..documents.len()).filter(|&v| documents[v] == c).map(|v| found[v]).collect();
                assert_eq!(of_c.iter().filter(|&&share| share == words as f32 / drawn as f32).count(), drawn);
                assert_eq!(of_c.iter().filter(|&&share| share == 0.0).count(), words - drawn);
            }
            assert_eq!([found[3], found[11]], [1.0; 2]);
        }
        // A share of 10 has the largest variance, 9.
        assert!(means.iter().all(|mean| (mean - 1.0).abs() < 4.0 * 3.0 / (TIMES as f64).sqrt()), "{means:?}");
    }

    #[test]
    fn a_word_that_a_document_has_twice_is_looked_at_by_all() {
        let bags = BagOfWordsBatch::from_documents(&[vec![(3, 1), (4, 2), (3, 1)], vec![(4, 1)]], Device::Cpu);
        let entries = SparseIndex::new(&bags.words, &bags.rows, &bags.offsets).unwrap();
        assert_eq!(documents_by_word(&entries, &bags).unwrap(), [FEW, 2]);
    }
}
