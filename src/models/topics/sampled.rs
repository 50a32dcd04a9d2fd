//! Words given topics in a step of training with a large vocabulary: the words that the step looks at, and how they stand for the others.
//!
//! All three laws need a sum over the vocabulary, `S = sum_v f_v`, of rates or of exponentials of logits. Where topics add up, a step has
//!
//! ```text
//! S' = sum_{v in the batch} f_v + V / m sum_i f_{v_i} [v_i not in the batch],   v_1 .. v_m uniform, with replacement
//! ```
//!
//! and only the rows of these words have a gradient. Where they multiply, `f` costs a pass over the words for each document. Most words of a batch are in one
//! document of it alone, say `h` of them. Of those, a document has its own ones, and all documents share `n` of them, a third:
//!
//! ```text
//! S' = sum_{v in the document, or in several others} f_v + h / n sum_j f_{u_j} [u_j not in the document] + V / m sum_i f_{v_i} [v_i not in the batch],
//!      u_1 .. u_n without replacement of the words of one document
//! ```
//!
//! `E S' = S`: the Poisson law's likelihood and gradient are unbiased. The other two have `log S'`, whose mean is `log S - Var(S' / S) / 2` to the first order. The
//! words of a batch are nearly all of `S`, so that this is small: with shares `q` and `r` of `S` in words of one document, and outside of the batch,
//! `Var(S' / S) <= q^2 c^2 / n + r^2 (1 + d^2) / m`, where `c` and `d` are how `f` varies over these words, in units of its mean.
//!
//! # Source
//! Importance sampling of a softmax's normaliser: Bengio, Senecal, "Quick Training of Probabilistic Neural Nets by Importance Sampling", AISTATS 2003.

use super::tables::Tables;
use super::{Bags, Likelihood};
use crate::Result;
use crate::nn::{Entries, Rows, dots, weighted_sums};
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Of so many words that are in one document alone, the others look at one.
const THINNED: usize = 3;

/// Words of a step: those of the documents, and others.
#[derive(Debug)]
pub(super) struct Sample {
    /// The words, ascending, `[R]`.
    indices: Tensor,
    /// How many words each stands for in sums over the vocabulary, `[R]`.
    pub shares: Tensor,
    /// What each document looks at, where topics multiply.
    thinned: Option<Thinned>,
    /// Of both tables in the store.
    names: [String; 2],
}

/// Words that all documents look at, some of which stand for others, of those that are in one document alone.
#[derive(Debug)]
struct Thinned {
    /// Their places among the words of the step, `[D]`.
    places: Tensor,
    /// The logarithms of how many words each stands for in documents that do not have it, `[D]`.
    log_shares: Tensor,
    /// Entries with such a word, and its place among these.
    inside: [Tensor; 2],
    /// Entries with another word, ascending, and its place among the words of the step.
    outside: [Tensor; 2],
}

impl Tables {
    /// The rows of the documents' words and of `sample` others, the latter from libtorch's generator.
    pub fn sampled(
        likelihood: Likelihood,
        [weight, bias]: [&Tensor; 2],
        bags: &Bags,
        sample: i64,
        names: &[String; 2],
    ) -> Result<Self> {
        let (words, device) = (weight.size()[0], weight.device());
        let entries = Entries::new(&bags.words, &bags.rows, &bags.offsets)?;
        let mut draws = Vec::<i64>::try_from(Tensor::f_randint(words, [sample], (Kind::Int64, Device::Cpu))?)?;
        draws.sort_unstable();
        let each = words as f64 / sample as f64;
        let others = draws.chunk_by(|a, b| a == b).filter(|draw| entries.distinct.binary_search(&draw[0]).is_err());
        let mut others = others.map(|draw| (draw[0], (draw.len() as f64 * each) as f32)).peekable();
        // Both lists ascend, and are merged.
        let (mut indices, mut shares, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for &word in entries.distinct.iter() {
            while let Some((other, share)) = others.next_if(|&(other, _)| other < word) {
                indices.push(other);
                shares.push(share);
            }
            moved.push(indices.len() as i64);
            indices.push(word);
            shares.push(1.0);
        }
        for (other, share) in others {
            indices.push(other);
            shares.push(share);
        }
        let multiplies = likelihood == Likelihood::LogLinear;
        let thinned = if multiplies { Some(Thinned::new(&entries, &moved, &shares, device)?) } else { None };
        let [indices, moved] = [indices, moved].map(|list| Tensor::from_slice(&list).to_device(device));
        let rows = |table: &Tensor| -> Result<Tensor> {
            Ok(table.detach().f_index_select(0, &indices)?.set_requires_grad(multiplies))
        };
        Ok(Self {
            likelihood,
            weight: rows(weight)?,
            bias: rows(bias)?,
            places: moved.f_index_select(0, &entries.places)?,
            sample: Some(Sample {
                shares: Tensor::from_slice(&shares).to_device(device),
                indices,
                thinned,
                names: names.clone(),
            }),
        })
    }
}

impl Thinned {
    /// Of documents whose different words are at the places `moved` among those of the step.
    fn new(entries: &Entries, moved: &[i64], shares: &[f32], device: Device) -> Result<Self> {
        let once: Vec<usize> = (0..moved.len()).filter(|&word| entries.of(word).len() == 1).collect();
        let drawn = once.len().div_ceil(THINNED);
        let order = Vec::<i64>::try_from(Tensor::f_randperm(once.len() as i64, (Kind::Int64, Device::Cpu))?)?;
        let mut shares = shares.to_vec();
        for (rank, &place) in order.iter().enumerate() {
            let share = if rank < drawn { once.len() as f32 / drawn as f32 } else { 0.0 };
            shares[moved[once[place as usize]] as usize] = share;
        }
        let (mut places, mut log_shares, mut among) = (Vec::new(), Vec::new(), Vec::new());
        for (place, share) in shares.iter().enumerate() {
            among.push(places.len() as i64);
            if *share > 0.0 {
                places.push(place as i64);
                log_shares.push(share.ln());
            }
        }
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for (word, &place) in moved.iter().enumerate() {
            let looked_at = shares[place as usize] > 0.0;
            let (list, place) = if looked_at { (&mut inside, among[place as usize]) } else { (&mut outside, place) };
            list.extend(entries.of(word).iter().map(|&entry| (i64::from(entry), place)));
        }
        outside.sort_unstable();
        let tensor = |list: Vec<i64>| Tensor::from_slice(&list).to_device(device);
        let both = |pairs: Vec<(i64, i64)>| {
            let (first, second) = pairs.into_iter().unzip();
            [tensor(first), tensor(second)]
        };
        Ok(Self {
            places: tensor(places),
            log_shares: Tensor::from_slice(&log_shares).to_device(device),
            inside: both(inside),
            outside: both(outside),
        })
    }
}

/// A value whose derivatives are known: in `x`, `[B, K]`, it has `slopes`, `[B, K]`, and in these it has `x`, as the scalar product of both.
fn with_slopes(value: Tensor, x: &Tensor, slopes: &Tensor) -> Tensor {
    let of_x = slopes.detach() * (x - x.detach());
    let of_slopes = x.detach() * (slopes - slopes.detach());
    value + (of_x + of_slopes).sum_dim_intlist(-1, false, None::<Kind>)
}

/// `[z, 1]`.
fn with_ones(z: &Tensor) -> Tensor {
    Tensor::cat(&[z, &z.narrow(1, 0, 1).detach().ones_like()], 1)
}

/// Functions of a table that are linear in it, or in its exponentials, and in `[z, 1]`: autograd sees one product of both, in place of all that it is made of. All are
/// once differentiable.
impl Sample {
    /// `-log p(x | z)` in nats, `[B]`, and the rows that are leaves of its graph.
    pub fn neg_log_prob(&self, tables: &Tables, z: &Tensor, bags: &Bags) -> Result<(Tensor, Vec<Rows>)> {
        match &self.thinned {
            Some(thinned) => self.log_linear(thinned, tables, z, bags),
            None => self.additive(tables, z, bags),
        }
    }

    /// With logits `[z, 1] T'`, the gradient in them is `n softmax - x`, and its product with `T` is the one in `[z, 1]`.
    fn log_linear(&self, thinned: &Thinned, tables: &Tables, z: &Tensor, bags: &Bags) -> Result<(Tensor, Vec<Rows>)> {
        let leaves = [&tables.weight, &tables.bias].into_iter().zip(&self.names);
        let rows = leaves.map(|(leaf, name)| Rows::new(name, &self.indices, leaf)).collect();
        let Thinned { places, log_shares, inside, outside } = thinned;
        let inputs = with_ones(z);
        let table = Tensor::cat(&[&tables.weight, &tables.bias.unsqueeze(-1)], 1);
        let looked_at = table.index_select(0, places);
        let not_looked_at = table.index_select(0, &outside[1]);
        let no_grad = no_grad_guard();
        let of = |entries: &Tensor| {
            let [rows, counts] = [&bags.rows, &bags.counts].map(|tensor| tensor.index_select(0, entries));
            (rows, counts)
        };
        let ((rows_inside, counts_inside), (rows_outside, counts_outside)) = (of(&inside[0]), of(&outside[0]));
        let flat = &rows_inside * places.size()[0] + &inside[1];
        let mut logits = log_shares.addmm(&inputs, &looked_at.tr());
        // A document's own words stand for themselves alone.
        let _ = logits.reshape([-1]).index_add_(0, &flat, &-log_shares.index_select(0, &inside[1]));
        let at_inside = logits.reshape([-1]).index_select(0, &flat);
        let each = Tensor::arange(not_looked_at.size()[0], (Kind::Int64, z.device()));
        let at_outside = dots([&inputs, &rows_outside], [&not_looked_at, &each])?;
        let counts = rows_outside.bincount(None::<Tensor>, bags.len());
        let most =
            Tensor::f_segment_reduce(&at_outside, "max", Some(&counts), None, None, 0, false, f64::NEG_INFINITY)?;
        let most = most.maximum(&logits.amax([-1], false));
        let exps = logits.subtract_(&most.unsqueeze(-1)).exp_();
        let exps_outside = (&at_outside - most.index_select(0, &rows_outside)).exp();
        let sums = exps.sum_dim_intlist(-1, false, None::<Kind>).index_add(0, &rows_outside, &exps_outside);
        let at_words = Tensor::zeros_like(&sums).index_add(0, &rows_inside, &(at_inside * &counts_inside)).index_add(
            0,
            &rows_outside,
            &(at_outside * &counts_outside),
        );
        let value = (most + sums.log()) * &bags.lengths - at_words;
        // Slopes in logits, but for a factor that each document has.
        let factors = &bags.lengths / sums;
        let _ = exps.reshape([-1]).index_add_(0, &flat, &-(counts_inside / factors.index_select(0, &rows_inside)));
        let slopes_outside = exps_outside - counts_outside / factors.index_select(0, &rows_outside);
        drop(no_grad);
        let of_outside = not_looked_at * slopes_outside.unsqueeze(-1);
        let slopes = exps.matmul(&looked_at).index_add(0, &rows_outside, &of_outside) * factors.unsqueeze(-1);
        Ok((with_slopes(value, &inputs, &slopes), rows))
    }

    /// With rates `r = [z, 1] T'`, the sum of `x log r` has the gradient `(x / r) T` in `[z, 1]`; that of `r` over the vocabulary is linear in `z` and in `T`.
    fn additive(&self, tables: &Tables, z: &Tensor, bags: &Bags) -> Result<(Tensor, Vec<Rows>)> {
        let inputs = with_ones(z);
        let no_grad = no_grad_guard();
        let table = Tensor::cat(&[&tables.weight, &tables.bias.unsqueeze(-1)], 1).exp();
        let rates = dots([&inputs, &bags.rows], [&table, &tables.places])?;
        let weights = &bags.counts / &rates;
        let of_documents = weighted_sums(&table, &tables.places, &weights, &bags.offsets)?;
        let sums = Tensor::cat(&[of_documents, self.shares.unsqueeze(0).matmul(&table)], 0);
        let logs = bags.per_document(&(rates.log() * &bags.counts));
        // The sum over the vocabulary is one more bag, of all words of the step.
        let bag = self.indices.full_like(bags.len());
        let end = Tensor::from_slice(&[bags.words.size()[0]]).to_device(z.device());
        let cat = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 0);
        let entries =
            Entries::new(&cat(&bags.words, &self.indices), &cat(&bags.rows, &bag), &cat(&bags.offsets, &end))?;
        let weights = cat(&weights, &self.shares);
        drop(no_grad);
        let topics = z.size()[1];
        let leaf = |from, width| sums.narrow(1, from, width).copy().set_requires_grad(true);
        let leaves = [leaf(0, topics), leaf(topics, 1)];
        let derivatives = [table.narrow(1, 0, topics), table.select(1, topics)];
        let rows = leaves.iter().zip(&derivatives).zip(&self.names);
        let rows = rows.map(|((leaf, table), name)| Rows::of_sums(name, &entries, &weights, leaf, table)).collect();
        let sums = Tensor::cat(&leaves, 1);
        let logs = with_slopes(logs, &inputs, &sums.narrow(0, 0, bags.len()));
        let total = inputs.matmul(&sums.select(0, bags.len()));
        Ok((tables.additive(&total, &logs, bags), rows))
    }
}
