//! The likelihood of words given topics in a training step with a large vocabulary: a sample of the words, with
//! weights.
//!
//! All three likelihoods need a sum over the vocabulary, `S = sum_v f_v`, of rates or of exponentials of logits. For
//! additive topics, a step computes
//!
//! ```text
//! S' = sum_{v in the batch} f_v + sum_v s_v f_v [v not in the batch]
//! ```
//!
//! where `s_v` is the number of words that `v` represents: zero for nearly all words, one on average (`proposal.rs`).
//! Only the rows of these words have a gradient. For the log-linear likelihood, `f` needs a pass over the words for
//! each document, so documents also use a sample of the batch's words (`subsampled.rs`).
//!
//! Since `E S' = S`, likelihood and gradient are unbiased for the Poisson likelihood. The other two use `log S'`, whose
//! mean is `log S - Var(S' / S) / 2` to first order. This bias is small, since the words of a batch make up most of
//! `S`: with a share `r` of `S` outside of the batch, `Var(S' / S) <= r^2 (1 + d^2) / m`, where `d` is the standard
//! deviation of `f_v / p_v` over the `m` draws, in units of its mean.
//!
//! # Source
//! Importance sampling of a softmax's normaliser: Bengio, Senecal, "Quick Training of Probabilistic Neural Nets by
//! Importance Sampling", AISTATS 2003.

use super::proposal::Proposal;
use super::slopes::{with_ones, with_slopes};
use super::subsampled::SubsampledVocabulary;
use super::tables::Tables;
use super::{BagOfWordsBatch, Likelihood};
use crate::error::Result;
use crate::nn::{Rows, SparseIndex, rowwise_dot, weighted_sums};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// The table rows for the words of a step: words of the documents, and others.
#[derive(Debug)]
pub(super) struct SampledTables {
    /// The rows that all documents use, with the number of words that each represents.
    pub tables: Tables,
    shares: Tensor,
    documents: Documents,
    /// The names of both tables in the store.
    names: [String; 2],
}

/// The words that each document uses.
#[derive(Debug)]
enum Documents {
    /// All words of the step (additive topics): the entries of the documents, and one more bag with all these words.
    All(SparseIndex),
    /// A sample of the words (log-linear topics).
    Some(SubsampledVocabulary),
}

impl SampledTables {
    /// Samples the words of a step: words of the documents, and others by `count` draws of a proposal. Both use
    /// libtorch's generator.
    pub fn new(
        likelihood: Likelihood,
        tables: [&Tensor; 2],
        bags: &BagOfWordsBatch,
        (proposal, count): (&Proposal, i64),
        names: &[String; 2],
    ) -> Result<Self> {
        let entries = SparseIndex::new(&bags.words, &bags.rows, &bags.offsets)?;
        let uniform = Vec::<f64>::try_from(Tensor::f_rand([count], (Kind::Double, Device::Cpu))?)?;
        let mut others = proposal.draw(&uniform);
        others.retain(|(word, _)| entries.distinct.binary_search(word).is_err());
        let tables = tables.map(Tensor::detach);
        let (indices, shares, documents) = if likelihood == Likelihood::LogLinear {
            let (vocabulary, shares) = SubsampledVocabulary::new(&tables, bags, &entries, &others)?;
            (vocabulary.indices.shallow_clone(), shares, Documents::Some(vocabulary))
        } else {
            let words: Vec<i64> = others.iter().map(|&(word, _)| word).collect();
            let all = entries.with_bag_of_all(&words)?;
            let mut shares = vec![1.0; all.distinct.len()];
            for (word, share) in others {
                shares[all.distinct.partition_point(|&other| other < word)] = share;
            }
            (all.indices.shallow_clone(), shares, Documents::All(all))
        };
        let is_log_linear = matches!(documents, Documents::Some(_));
        let rows = |table: &Tensor| -> Result<Tensor> {
            Ok(table.f_index_select(0, &indices)?.set_requires_grad(is_log_linear))
        };
        let shares = Tensor::from_slice(&shares).to_device(bags.words.device());
        let [weight, bias] = [rows(&tables[0])?, rows(&tables[1])?];
        let tables = Tables { likelihood, weight, bias, shares: Some(shares.shallow_clone()) };
        Ok(Self { tables, shares, documents, names: names.clone() })
    }
}

/// Functions that are linear in a table, or in its exponentials, and in `[z, 1]`. Autograd gets one product of both, in
/// place of the operations that compute it, and differentiates it once.
impl SampledTables {
    /// Computes `-log p(x | z)` in nats, `[B]`, and returns it with the rows that are leaves of its graph.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        match &self.documents {
            Documents::Some(vocabulary) => vocabulary.neg_log_prob(&self.tables, z, bags, &self.names),
            Documents::All(entries) => self.additive(entries, z, bags),
        }
    }

    /// Computes `-log p(x | z)` of additive topics. With rates `r = [z, 1] T'`, the sum of `x log r` has the gradient
    /// `(x / r) T` in `[z, 1]`, and the sum of `r` over the vocabulary is linear in `z` and in `T`.
    fn additive(&self, entries: &SparseIndex, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        let Self { tables, shares, .. } = self;
        let inputs = with_ones(z);
        let no_grad = no_grad_guard();
        let table = Tensor::cat(&[&tables.weight, &tables.bias.unsqueeze(-1)], 1).exp();
        let places = entries.places.narrow(0, 0, bags.words.size()[0]);
        let rates = rowwise_dot([&inputs, &bags.rows], [&table, &places])?;
        let weights = &bags.counts / &rates;
        let document_sums = weighted_sums(&table, &places, &weights, &bags.offsets)?;
        let sums = Tensor::cat(&[document_sums, shares.unsqueeze(0).matmul(&table)], 0);
        let logs = bags.per_document(&(rates.log() * &bags.counts));
        // The sum over the vocabulary is the additional bag with all words of the step.
        let weights = Tensor::cat(&[&weights, shares], 0);
        drop(no_grad);
        let topics = z.size()[1];
        let leaf = |from, width| sums.narrow(1, from, width).copy().set_requires_grad(true);
        let leaves = [leaf(0, topics), leaf(topics, 1)];
        let derivatives = [table.narrow(1, 0, topics), table.select(1, topics)];
        let rows = leaves.iter().zip(&derivatives).zip(&self.names);
        let rows =
            rows.map(|((leaf, table), name)| Rows::of_sums(name, entries, &weights, leaf, Some(table))).collect();
        let sums = Tensor::cat(&leaves, 1);
        let logs = with_slopes(logs, &inputs, &sums.narrow(0, 0, bags.len()))?;
        let total = inputs.matmul(&sums.select(0, bags.len()));
        Ok((tables.additive(&total, &logs, bags), rows))
    }
}
