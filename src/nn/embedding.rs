//! Weighted sums of embedding rows, as `torch.nn.EmbeddingBag` has them, whose cost follows the rows that occur and not the table.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor, no_grad_guard};

/// A table of rows, of which each bag is a weighted sum.
#[derive(Debug)]
pub struct EmbeddingBag {
    name: String,
    weight: Tensor,
}

/// The rows of a table that a step uses, as a leaf of its graph: gradient and update have their size, not the table's.
#[derive(Debug)]
pub struct Rows {
    /// The table's name in its store.
    pub name: String,
    /// Which rows, `[U]`, ascending.
    pub indices: Tensor,
    /// Their values, `[U, width]`.
    pub values: Tensor,
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

    /// The sums of bags, `[B, width]`: `entries` `[N]` are row numbers, `weights` `[N]` their weights, `offsets` `[B]` where each bag starts.
    /// The gradient goes to the returned rows.
    pub fn forward(&self, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> (Tensor, Rows) {
        let (indices, positions, _) = entries.internal_unique2(true, true, false);
        let values = self.weight.detach().index_select(0, &indices).set_requires_grad(true);
        (sums(&values, &positions, weights, offsets), Rows { name: self.name.clone(), indices, values })
    }

    /// The same sums, without a gradient.
    pub fn sums(&self, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Tensor {
        sums(&self.weight.detach(), entries, weights, offsets)
    }
}

fn sums(table: &Tensor, entries: &Tensor, weights: &Tensor, offsets: &Tensor) -> Tensor {
    if entries.numel() == 0 {
        // Libtorch's own sum of nothing has no gradient to hand back.
        let width = table.size()[1];
        return Tensor::zeros([offsets.size()[0], width], (Kind::Float, table.device())) + table.sum(Kind::Float) * 0.0;
    }
    Tensor::embedding_bag(table, entries, offsets, false, SUM, false, Some(weights), false).0
}
