//! Weighted sums of embedding rows as in `torch.nn.EmbeddingBag`, at a cost proportional to the rows used, not to the
//! table.
//!
//! Shapes: `N` entries (each a row number and a weight) in `B` bags, `U` distinct rows among them; see [`SparseIndex`].

use super::SparseIndex;
use crate::error::Result;
use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad_guard};

/// A table `[rows, width]`; each bag is a weighted sum of its rows.
#[derive(Debug)]
pub struct EmbeddingBag {
    name: String,
    weight: Tensor,
}

/// The rows of a table that a training step uses. The graph's leaf holds these rows or sums of them, so that gradient
/// and update have their size and not the table's.
#[derive(Debug)]
pub struct Rows {
    /// The table's name in its store.
    pub name: String,
    /// The row numbers, int64 `[U]`, ascending.
    pub indices: Tensor,
    /// The values of the rows, `[U, width]`, or weighted sums of them, `[B, width]`.
    pub leaf: Tensor,
    /// The terms of the sums; `None` if the leaf holds the rows themselves.
    pub(super) terms: Option<Terms>,
}

/// The terms of weighted sums of rows, or of functions applied to each number of the rows.
#[derive(Debug)]
pub(super) struct Terms {
    /// The entries that are summed.
    pub entries: SparseIndex,
    /// The weight of each entry, `[N]`.
    pub weights: Tensor,
    /// The derivatives of the functions at the rows, `[U, ...]`; `None` if the rows themselves are summed.
    pub derivatives: Option<Tensor>,
}

impl Rows {
    /// Makes rows whose values `[U, width]` are the leaf.
    pub fn new(name: &str, indices: &Tensor, values: &Tensor) -> Self {
        Self { name: name.into(), indices: indices.shallow_clone(), leaf: values.shallow_clone(), terms: None }
    }

    /// Makes rows behind a leaf of weighted sums, `[B, width]` (`[B]` if a row is one number). `weights` `[N]` belong
    /// to the entries. `derivatives` `[U, width]` (or `[U]`) are those of the function that was applied to the rows, if
    /// any.
    pub(crate) fn of_sums(
        name: &str,
        entries: &SparseIndex,
        weights: &Tensor,
        leaf: &Tensor,
        derivatives: Option<&Tensor>,
    ) -> Self {
        let (entries, indices) = (entries.shallow_clone(), entries.indices.shallow_clone());
        let derivatives = derivatives.map(Tensor::shallow_clone);
        let terms = Terms { entries, weights: weights.shallow_clone(), derivatives };
        Self { name: name.into(), indices, leaf: leaf.shallow_clone(), terms: Some(terms) }
    }

    /// Converts a gradient in the leaf into the gradient in the rows, `[U, ...]`.
    ///
    /// # Errors
    /// Fails if the gradient does not have the leaf's shape.
    pub fn gradient(&self, leaf_gradient: &Tensor) -> Result<Tensor> {
        let Some(Terms { entries, weights, derivatives }) = &self.terms else {
            return Ok(leaf_gradient.shallow_clone());
        };
        let mut size = leaf_gradient.size();
        let weights = if size.len() > 1 { weights.unsqueeze(-1) } else { weights.shallow_clone() };
        let entry_gradients = leaf_gradient.f_index_select(0, &entries.bags)?.f_mul(&weights)?;
        if let Some(rows) = size.first_mut() {
            *rows = self.indices.size()[0];
        }
        let zeros = Tensor::f_zeros(size, (leaf_gradient.kind(), leaf_gradient.device()))?;
        let of_sums = zeros.f_index_add(0, &entries.places, &entry_gradients)?;
        Ok(match derivatives {
            Some(derivatives) => of_sums.f_reshape_as(derivatives)?.f_mul(derivatives)?,
            None => of_sums,
        })
    }
}

/// The number of `mode="sum"` in libtorch's `embedding_bag`.
const SUM: i64 = 0;

impl EmbeddingBag {
    /// Makes a table `[rows, width]` called `weight` under `path`, with normal entries of the given standard deviation.
    pub fn new(path: &Path, rows: i64, width: i64, stdev: f64) -> Self {
        let weight = path.var("weight", &[rows, width], Init::Randn { mean: 0.0, stdev });
        Self { name: path.path("weight"), weight }
    }

    /// Overwrites the columns from `first` on by `columns` `[rows, n]`, which must fit into the table.
    pub(crate) fn set_columns(&self, first: i64, columns: &Tensor) {
        let _guard = no_grad_guard();
        self.weight.narrow(-1, first, columns.size()[1]).copy_(columns);
    }

    /// Computes the weighted sums of bags, `[B, width]`, for `weights` `[N]`. The gradient goes to the returned
    /// [`Rows`] of the table; the weights get none.
    ///
    /// # Errors
    /// Fails if a row number is outside the table.
    pub fn forward(&self, entries: &SparseIndex, weights: &Tensor) -> Result<(Tensor, Rows)> {
        let weights = weights.detach();
        let leaf = self.sums(&entries.rows, &weights, &entries.offsets)?.set_requires_grad(true);
        let (name, indices) = (self.name.clone(), entries.indices.shallow_clone());
        let terms = Some(Terms { entries: entries.shallow_clone(), weights, derivatives: None });
        Ok((leaf.shallow_clone(), Rows { name, indices, leaf, terms }))
    }

    /// Computes the weighted sums of bags, `[B, width]`, without gradient: `entries` `[N]` are row numbers, and
    /// `offsets` `[B]` are the positions at which the bags start.
    ///
    /// # Errors
    /// Fails if a row number is outside the table.
    pub fn sums(&self, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Result<Tensor> {
        weighted_sums(&self.weight.detach(), entries, weights, offsets)
    }
}

/// Computes weighted sums of the rows of any table, as [`EmbeddingBag::sums`] does.
///
/// # Errors
/// Fails if a row number is outside the table.
pub(crate) fn weighted_sums(table: &Tensor, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Result<Tensor> {
    if entries.numel() == 0 {
        return Ok(Tensor::f_zeros([offsets.size()[0], table.size()[1]], (Kind::Float, table.device()))?);
    }
    Ok(Tensor::f_embedding_bag(table, entries, offsets, false, SUM, false, Some(weights), false)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Adam;
    use tch::nn::VarStore;
    use tch::{Device, no_grad};

    /// Three sums of rows, of which one is empty, of a table of rows or of numbers, and the squares of their distances
    /// from one: by the table, and by leaves that stand for the sums.
    #[test]
    fn rows_by_their_sums_move_as_in_their_table() {
        let lists = [vec![3i64, 0, 3, 3], vec![0, 0, 2, 2], vec![0, 2, 2]];
        let [rows, bags, offsets] = lists.map(|list| Tensor::from_slice(&list));
        let entries = SparseIndex::new(&rows, &bags, &offsets).unwrap();
        let weights = Tensor::from_slice(&[0.5f32, -1.0, 2.0, 0.25]);
        let loss = |sums: &Tensor| (sums - 1.0).square().sum(None::<Kind>);
        for size in [vec![5, 3], vec![5]] {
            let start = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, Device::Cpu)).reshape(&size) * 0.1;
            let table = || {
                let store = VarStore::new(Device::Cpu);
                let table = store.root().var_copy("table", &start);
                let adam = Adam::new(&store, 0.1).unwrap();
                (store, table, adam)
            };
            let sums = |table: &Tensor| {
                let weights = weights.reshape(if size.len() > 1 { vec![-1, 1] } else { vec![-1] });
                let mut size = size.clone();
                size[0] = 3;
                Tensor::zeros(size, (Kind::Float, Device::Cpu)).index_add(
                    0,
                    &bags,
                    &(table.index_select(0, &rows) * weights),
                )
            };
            let (_whole, whole, mut dense) = table();
            let (_parts, parts, mut sparse) = table();
            for _ in 0..3 {
                let leaf = no_grad(|| sums(&parts)).set_requires_grad(true);
                let of_sums = Rows::of_sums("table", &entries, &weights, &leaf, None);
                let (by_leaf, by_table) = (loss(&leaf), loss(&sums(&whole)));
                let gradient = |loss: &Tensor, of: &Tensor| Tensor::run_backward(&[loss], &[of], true, false).remove(0);
                let found = of_sums.gradient(&gradient(&by_leaf, &leaf)).unwrap();
                let exact = gradient(&by_table, &whole).index_select(0, &entries.indices);
                assert!(found.allclose(&exact, 1e-5, 1e-6, false), "{found} {exact}");
                sparse.minimize_rows(&by_leaf, &[of_sums]).unwrap();
                dense.minimize(&by_table, false).unwrap();
            }
            assert!(parts.allclose(&whole, 1e-5, 1e-6, false), "{parts} {whole}");
        }
    }
}
