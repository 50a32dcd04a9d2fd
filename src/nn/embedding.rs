//! Weighted sums of embedding rows, as `torch.nn.EmbeddingBag` has them, whose cost follows the rows that occur and not the table.

use super::Entries;
use crate::Result;
use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad_guard};

/// A table of rows, of which each bag is a weighted sum.
#[derive(Debug)]
pub struct EmbeddingBag {
    name: String,
    weight: Tensor,
}

/// The rows of a table that a step uses, by a leaf of its graph: gradient and update have their size, not the table's.
#[derive(Debug)]
pub struct Rows {
    /// The table's name in its store.
    pub name: String,
    /// Which rows, `[U]`, ascending.
    pub indices: Tensor,
    /// Their values, `[U, width]`, or sums of them, `[B, width]`.
    pub leaf: Tensor,
    /// Of sums: their terms.
    pub(super) terms: Option<Terms>,
}

/// Sums of rows, or of functions of rows.
#[derive(Debug)]
pub(super) struct Terms {
    pub entries: Entries,
    /// Those of the entries, `[N]`.
    pub weights: Tensor,
    /// The derivatives of the functions, `[U, ...]` as the rows.
    pub derivatives: Option<Tensor>,
}

impl Rows {
    /// Rows whose values are a leaf, `[U, width]`.
    pub fn new(name: &str, indices: &Tensor, values: &Tensor) -> Self {
        Self { name: name.into(), indices: indices.shallow_clone(), leaf: values.shallow_clone(), terms: None }
    }

    /// Rows by weighted sums of functions of them: by a leaf, `[B, width]`, whose entries have these weights, `[N]`; the functions have these derivatives,
    /// `[U, width]` (or `[U]`, where rows are numbers), in the rows.
    pub(crate) fn of_sums(
        name: &str,
        entries: &Entries,
        weights: &Tensor,
        leaf: &Tensor,
        derivatives: &Tensor,
    ) -> Self {
        let (entries, indices) = (entries.shallow_clone(), entries.indices.shallow_clone());
        let terms = Terms { entries, weights: weights.shallow_clone(), derivatives: Some(derivatives.shallow_clone()) };
        Self { name: name.into(), indices, leaf: leaf.shallow_clone(), terms: Some(terms) }
    }

    /// The gradient in the rows, `[U, ...]`, of the one in the leaf.
    ///
    /// # Errors
    /// When that does not have the leaf's shape.
    pub fn gradient(&self, of_leaf: &Tensor) -> Result<Tensor> {
        let Some(Terms { entries, weights, derivatives }) = &self.terms else { return Ok(of_leaf.shallow_clone()) };
        let of_entries = of_leaf.f_index_select(0, &entries.bags)?.f_mul(&weights.unsqueeze(-1))?;
        let zeros = Tensor::f_zeros([self.indices.size()[0], of_leaf.size()[1]], (of_leaf.kind(), of_leaf.device()))?;
        let of_sums = zeros.f_index_add(0, &entries.places, &of_entries)?;
        Ok(match derivatives {
            Some(derivatives) => of_sums.f_reshape_as(derivatives)?.f_mul(derivatives)?,
            None => of_sums,
        })
    }
}

/// `embedding_bag`'s number for sums.
const SUM: i64 = 0;

impl EmbeddingBag {
    /// A table called `weight`, `[rows, width]`, under `path`, with normal entries of this standard deviation.
    pub fn new(path: &Path, rows: i64, width: i64, stdev: f64) -> Self {
        let weight = path.var("weight", &[rows, width], Init::Randn { mean: 0.0, stdev });
        Self { name: path.path("weight"), weight }
    }

    /// Overwrites the columns from `first` on.
    pub(crate) fn set_columns(&self, first: i64, columns: &Tensor) {
        let _guard = no_grad_guard();
        self.weight.narrow(-1, first, columns.size()[1]).copy_(columns);
    }

    /// The sums of bags, `[B, width]`, of entries with `weights`, `[N]`, which get no gradient; that of the table goes to the returned rows.
    ///
    /// # Errors
    /// When an entry is in no row of the table.
    pub fn forward(&self, entries: &Entries, weights: &Tensor) -> Result<(Tensor, Rows)> {
        let weights = weights.detach();
        let leaf = self.sums(&entries.rows, &weights, &entries.offsets)?.set_requires_grad(true);
        let (name, indices) = (self.name.clone(), entries.indices.shallow_clone());
        let terms = Some(Terms { entries: entries.shallow_clone(), weights, derivatives: None });
        Ok((leaf.shallow_clone(), Rows { name, indices, leaf, terms }))
    }

    /// The same sums, without a gradient: `entries` `[N]` are row numbers, `offsets` `[B]` where each bag starts.
    ///
    /// # Errors
    /// When an entry is in no row of the table.
    pub fn sums(&self, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Result<Tensor> {
        weighted_sums(&self.weight.detach(), entries, weights, offsets)
    }
}

/// Sums of a table's rows, `[B, width]`, as `EmbeddingBag` has them.
///
/// # Errors
/// When an entry is in no row of the table.
pub(crate) fn weighted_sums(table: &Tensor, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Result<Tensor> {
    if entries.numel() == 0 {
        return Ok(Tensor::f_zeros([offsets.size()[0], table.size()[1]], (Kind::Float, table.device()))?);
    }
    Ok(Tensor::f_embedding_bag(table, entries, offsets, false, SUM, false, Some(weights), false)?.0)
}
