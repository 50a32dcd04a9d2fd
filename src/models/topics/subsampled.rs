//! The log-linear likelihood in a training step with a large vocabulary: a document uses its own words, and a sample of
//! the batch's other words.
//!
//! Most words of a batch are in few documents. For a document without them, together they are a small part of the sum
//! over the vocabulary. Let `h_c` be the number of words that are in `c < 16` documents. All documents share
//! `n_c = h_c c / 16` of them, rounded up, drawn without replacement; each document also uses its own words. A word
//! outside of the batch represents `s_v` words (`proposal.rs`):
//!
//! ```text
//! S' = sum_{v in the document, or in 16 others} f_v
//!    + sum_c h_c / n_c sum_{j <= n_c} f_{u_cj} [u_cj not in the document]
//!    + sum_v s_v f_v [v not in the batch]
//! ```
//!
//! Sampling adds `sum_c q_c^2 a_c^2 (1 / n_c - 1 / h_c)` to the variance of `S' / S`. Here `q_c` is the share of `S` of
//! the words in `c` documents, and `a_c` is the standard deviation of `f` over them, in units of its mean. This is less
//! than the variance from words outside of the batch (`sampled.rs`).
//!
//! With logits `[z, 1] T'`, the gradient in the logits is `n softmax - x`, and its product with `T` is the gradient in
//! `[z, 1]`. The words that all documents share are rows of a matrix; a document's other words are terms of its own
//! weighted sum of table rows.

use super::BagOfWordsBatch;
use super::slopes::{with_ones, with_slopes};
use super::tables::Tables;
use crate::error::Result;
use crate::nn::{Rows, SparseIndex, rowwise_dot, weighted_sums};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Words in fewer documents of the batch than this are sampled.
const FEW: usize = 16;

/// The words that all documents share, some of which represent others, and the words that only their own documents use.
#[derive(Debug)]
pub(super) struct SubsampledVocabulary {
    /// The shared words, ascending, `[D]`.
    pub indices: Tensor,
    /// The logarithm of the number of words that each shared word represents in documents that do not have it, `[D]`.
    log_shares: Tensor,
    /// The entries with a shared word, and the index of that word among the shared ones.
    inside: [Tensor; 2],
    /// The entries with other words.
    outside: SparseIndex,
    /// The indices of these entries in the batch.
    outside_numbers: Tensor,
    /// The weights and background of all words.
    tables: [Tensor; 2],
}

impl SubsampledVocabulary {
    /// Samples the vocabulary for the entries of a batch and for `others`, words outside of the batch with the number
    /// of words that each represents. Also returns how many words each shared word represents in sums over the
    /// vocabulary. Uses libtorch's generator.
    pub fn new(
        tables: &[Tensor; 2],
        bags: &BagOfWordsBatch,
        entries: &SparseIndex,
        others: &[(i64, f32)],
    ) -> Result<(Self, Vec<f32>)> {
        let documents = documents_by_word(entries, bags)?;
        let order = Tensor::f_randperm(documents.len() as i64, (Kind::Int64, Device::Cpu))?;
        let shares_of_words = shares(&documents, &Vec::<i64>::try_from(order)?);
        let unshared: Vec<bool> = shares_of_words.iter().map(|&share| share == 0.0).collect();
        let (mut indices, mut shares) = (Vec::new(), Vec::new());
        let (mut entries_inside, mut places_inside) = (Vec::new(), Vec::new());
        // Merges two ascending lists.
        let mut others = others.iter().peekable();
        for (place, (&word, &share)) in
            entries.distinct.iter().zip(&shares_of_words).enumerate().filter(|(_, (_, share))| **share > 0.0)
        {
            while let Some((other, share)) = others.next_if(|(other, _)| *other < word) {
                indices.push(*other);
                shares.push(*share);
            }
            entries_inside.extend(entries.entries_of(place).iter().map(|&entry| i64::from(entry)));
            places_inside.resize(entries_inside.len(), indices.len() as i64);
            indices.push(word);
            shares.push(share);
        }
        for &(other, share) in others {
            indices.push(other);
            shares.push(share);
        }
        let (outside, outside_numbers) = entries.entries_of_rows(&unshared)?;
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

    /// Computes `-log p(x | z)` in nats, `[B]`, and returns it with the rows that are leaves of its graph, under the
    /// names of their tables.
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
        // In a document that has it, a word represents itself alone.
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
        // Derivatives in the logits; for shared words, without a factor per document.
        let factors = &bags.lengths / sums;
        let _ = exps.reshape([-1]).index_add_(0, &flat, &-(counts_inside / factors.index_select(0, &rows_inside)));
        let slopes_outside = exps_outside * factors.index_select(0, rows_outside) - counts_outside;
        let weight_sums = weighted_sums(weight, &outside.rows, &slopes_outside, &outside.offsets)?;
        let bias_sums = Tensor::zeros_like(&bags.lengths).index_add(0, rows_outside, &(&slopes_outside * bias_outside));
        drop(no_grad);
        let leaves = [weight_sums, bias_sums].map(|sums| sums.set_requires_grad(true));
        let of_outside = Tensor::cat(&[&leaves[0], &leaves[1].unsqueeze(-1)], 1);
        let slopes = exps.matmul(&table) * factors.unsqueeze(-1) + of_outside;
        let shared = [&shared.weight, &shared.bias].into_iter().zip(names);
        let rows = shared.map(|(leaf, name)| Rows::new(name, indices, leaf));
        let unshared = leaves.iter().zip(names);
        let rows = rows.chain(unshared.map(|(leaf, name)| Rows::of_sums(name, outside, &slopes_outside, leaf, None)));
        let rows = rows.collect();
        Ok((with_slopes(value, &inputs, &slopes)?, rows))
    }
}

/// Returns the number of documents with each distinct word. A word that has several entries in one document counts as
/// in [`FEW`] documents, since its entries are not a sample of documents.
fn documents_by_word(entries: &SparseIndex, bags: &BagOfWordsBatch) -> Result<Vec<usize>> {
    let documents = Vec::<i64>::try_from(&bags.rows)?;
    let of_word = |place: usize| {
        let entries = entries.entries_of(place);
        let twice = |pair: &[u32]| documents[pair[0] as usize] == documents[pair[1] as usize];
        if entries.len() < FEW && entries.windows(2).any(twice) { FEW } else { entries.len() }
    };
    Ok((0..entries.distinct.len()).map(of_word).collect())
}

/// Returns how many words each word of a batch represents in documents that do not have it: zero if it is not drawn.
/// `documents` is the number of documents with each word, `order` the order in which words are drawn.
fn shares(documents: &[usize], order: &[i64]) -> Vec<f32> {
    let mut words = [0usize; FEW];
    documents.iter().filter(|&&c| c < FEW).for_each(|&c| words[c] += 1);
    let drawn: [usize; FEW] = std::array::from_fn(|c| (words[c] * c).div_ceil(FEW));
    let mut remaining = drawn;
    let mut shares = vec![1.0; documents.len()];
    for &word in order {
        let (word, c) = (word as usize, documents[word as usize]);
        if c >= FEW {
            continue;
        }
        shares[word] = if remaining[c] > 0 { words[c] as f32 / drawn[c] as f32 } else { 0.0 };
        remaining[c] = remaining[c].saturating_sub(1);
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
