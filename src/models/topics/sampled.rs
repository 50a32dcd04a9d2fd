//! Words given topics in a step of training with a large vocabulary: the words that the step looks at, and how they
//! stand for the others.
//!
//! All three laws need a sum over the vocabulary, `S = sum_v f_v`, of rates or of exponentials of logits. Where topics
//! add up, a step has
//!
//! ```text
//! S' = sum_{v in the batch} f_v + sum_v s_v f_v [v not in the batch]
//! ```
//!
//! where `s_v` is how many words `v` stands for, zero for nearly all and one on average (`proposal.rs`), and only the
//! rows of these words have a gradient. Where topics multiply, `f` costs a pass over the words for each document, and
//! documents look at some of the batch's words alone (`subsampled.rs`).
//!
//! `E S' = S`: the Poisson law's likelihood and gradient are unbiased. The other two have `log S'`, whose mean is
//! `log S - Var(S' / S) / 2` to the first order. The words of a batch are nearly all of `S`, so that this is small:
//! with a share `r` of `S` outside of the batch, `Var(S' / S) <= r^2 (1 + d^2) / m`, where `d` is how `f_v / p_v`
//! varies over the draws, in units of its mean.
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

/// Rows of both tables for the words of a step: those of the documents, and others.
#[derive(Debug)]
pub(super) struct SampledTables {
    /// The rows that all documents look at, with how many words each stands for.
    pub tables: Tables,
    shares: Tensor,
    documents: Documents,
    /// Of both tables in the store.
    names: [String; 2],
}

/// What documents look at.
#[derive(Debug)]
enum Documents {
    /// All the words of the step: entries of the documents, and of one more bag, of all these words.
    All(SparseIndex),
    /// Some, where topics multiply.
    Some(SubsampledVocabulary),
}

impl SampledTables {
    /// The rows that documents look at together: of words of theirs, and of others, by `count` draws of a proposal.
    /// Both come from libtorch's generator.
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
        let of_step = matches!(documents, Documents::Some(_));
        let rows =
            |table: &Tensor| -> Result<Tensor> { Ok(table.f_index_select(0, &indices)?.set_requires_grad(of_step)) };
        let shares = Tensor::from_slice(&shares).to_device(bags.words.device());
        let [weight, bias] = [rows(&tables[0])?, rows(&tables[1])?];
        let tables = Tables { likelihood, weight, bias, shares: Some(shares.shallow_clone()) };
        Ok(Self { tables, shares, documents, names: names.clone() })
    }
}

/// Functions of a table that are linear in it, or in its exponentials, and in `[z, 1]`: autograd sees one product of
/// both, in place of all that it is made of. All are once differentiable.
impl SampledTables {
    /// `-log p(x | z)` in nats, `[B]`, and the rows that are leaves of its graph.
    pub fn neg_log_prob(&self, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        match &self.documents {
            Documents::Some(vocabulary) => vocabulary.neg_log_prob(&self.tables, z, bags, &self.names),
            Documents::All(entries) => self.additive(entries, z, bags),
        }
    }

    /// With rates `r = [z, 1] T'`, the sum of `x log r` has the gradient `(x / r) T` in `[z, 1]`; that of `r` over the
    /// vocabulary is linear in `z` and in `T`.
    fn additive(&self, entries: &SparseIndex, z: &Tensor, bags: &BagOfWordsBatch) -> Result<(Tensor, Vec<Rows>)> {
        let Self { tables, shares, .. } = self;
        let inputs = with_ones(z);
        let no_grad = no_grad_guard();
        let table = Tensor::cat(&[&tables.weight, &tables.bias.unsqueeze(-1)], 1).exp();
        let places = entries.places.narrow(0, 0, bags.words.size()[0]);
        let rates = rowwise_dot([&inputs, &bags.rows], [&table, &places])?;
        let weights = &bags.counts / &rates;
        let of_documents = weighted_sums(&table, &places, &weights, &bags.offsets)?;
        let sums = Tensor::cat(&[of_documents, shares.unsqueeze(0).matmul(&table)], 0);
        let logs = bags.per_document(&(rates.log() * &bags.counts));
        // The sum over the vocabulary is one more bag, of all words of the step.
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
