//! The product of a layer's weight and a sparse input, at a cost proportional to the nonzero inputs.
//!
//! In a binary image, about an eighth of the pixels are one. Zeros contribute neither to `x W^T` nor to the gradient of
//! `W`, but dense products multiply by them. Here both loop over the inputs and, for each, over the images in which it
//! is nonzero. They do so for a block of outputs at a time, so that the sums stay in the fastest cache.

use super::dense::{is_plain, numbers, numbers_mut, prefetch};
use crate::platform::threads;
use tch::{Tensor, no_grad_guard};

/// The number of outputs per block: their sums over a batch fit in the fastest cache, and one image's sums fit in
/// vector registers.
const OUTPUTS: usize = 64;

/// The number of inputs whose weights are transposed at a time: one cache line of float32.
const INPUTS: usize = 16;

/// The largest share of nonzero inputs for which this product is used; above it, dense products are faster
/// (`cargo bench --bench vae_step -- explicit 1 200 inputs`).
const LARGEST_SHARE: f64 = 0.25;

/// A product `x W^T` as a leaf of a graph. The weight is not in the graph:
/// [`Adam::minimize_products`](super::Adam::minimize_products) computes its gradient from the leaf's.
#[derive(Debug)]
pub struct SparseProduct {
    /// The weight's name in its store.
    pub name: String,
    /// `x W^T`, `[B, outputs]`.
    pub leaf: Tensor,
    input: Columns,
}

/// The nonzero numbers of an input matrix, by column.
#[derive(Debug)]
struct Columns {
    /// The row and the value of each nonzero number.
    entries: Vec<(u32, f32)>,
    /// The index of each column's first entry, and the end.
    starts: Vec<usize>,
}

impl Columns {
    /// Collects the nonzero numbers of a matrix with rows of the given width; `None` if more than [`LARGEST_SHARE`] are
    /// nonzero.
    fn from_matrix(matrix: &[f32], width: usize) -> Option<Self> {
        let mut starts = vec![0; width + 1];
        for row in matrix.chunks_exact(width) {
            starts[1..].iter_mut().zip(row).for_each(|(count, &x)| *count += usize::from(x != 0.0));
        }
        for column in 0..width {
            starts[column + 1] += starts[column];
        }
        if starts[width] as f64 > matrix.len() as f64 * LARGEST_SHARE {
            return None;
        }
        let mut entries = vec![(0, 0.0); starts[width]];
        let mut next = starts.clone();
        for (number, row) in matrix.chunks_exact(width).enumerate() {
            for (next, &x) in next.iter_mut().zip(row).filter(|(_, x)| **x != 0.0) {
                entries[*next] = (number as u32, x);
                *next += 1;
            }
        }
        Some(Self { entries, starts })
    }

    /// Returns the number of columns.
    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns the row and value of each nonzero number of a column.
    fn column(&self, column: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[column]..self.starts[column + 1]]
    }
}

impl SparseProduct {
    /// Multiplies an input `[B, inputs]` by a weight `[outputs, inputs]`. `None` unless both are dense float32 on the
    /// CPU, the input has few nonzero numbers, and it needs no gradient.
    pub(super) fn new(name: &str, x: &Tensor, weight: &Tensor) -> Option<Self> {
        let (x_size, weight_size) = (x.size(), weight.size());
        let ([batch, inputs], [outputs, width]) = (&x_size[..], &weight_size[..]) else { return None };
        let is_dense = is_plain(x) && is_plain(weight) && !x.requires_grad();
        if !is_dense || inputs != width || x.numel() == 0 || *outputs == 0 {
            return None;
        }
        let _guard = no_grad_guard();
        let input = Columns::from_matrix(numbers(x), *inputs as usize)?;
        let mut leaf = x.new_empty([*batch, *outputs], (x.kind(), x.device()));
        multiply(&input, numbers(&weight.detach()), numbers_mut(&mut leaf), *outputs as usize);
        Some(Self { name: name.into(), leaf: leaf.set_requires_grad(true), input })
    }

    /// Converts the gradient in the leaf `[B, outputs]` into the gradient in the weight, `[outputs, inputs]`.
    pub fn gradient(&self, leaf_gradient: &Tensor) -> Tensor {
        let [batch, outputs] = [0, 1].map(|dim| leaf_gradient.size()[dim] as usize);
        let (input, leaf_gradient) = (&self.input, leaf_gradient.contiguous());
        let inputs = input.count();
        let mut gradient =
            leaf_gradient.new_empty([outputs as i64, inputs as i64], (leaf_gradient.kind(), leaf_gradient.device()));
        let leaf_gradient = numbers(&leaf_gradient);
        let tasks = numbers_mut(&mut gradient).chunks_mut(OUTPUTS * inputs).collect();
        let scratch = || vec![[0.0; OUTPUTS]; batch];
        threads::run_with(tasks, scratch, |output_gradients, tile, gradient: &mut [f32]| {
            let count = gradient.len() / inputs;
            for (row, leaf_gradient) in output_gradients.iter_mut().zip(leaf_gradient.chunks_exact(outputs)) {
                row[..count].copy_from_slice(&leaf_gradient[tile * OUTPUTS..][..count]);
            }
            pulp::Arch::new().dispatch(Gather { input, output_gradients, gradient });
        });
        gradient
    }
}

/// Computes `x W^T`, `[B, outputs]`, for a weight `[outputs, inputs]`.
fn multiply(input: &Columns, weight: &[f32], product: &mut [f32], outputs: usize) {
    let (inputs, batch) = (input.count(), product.len() / outputs);
    let mut tiles = vec![vec![[0.0; OUTPUTS]; batch]; outputs.div_ceil(OUTPUTS)];
    let tasks = tiles.iter_mut().zip(weight.chunks(OUTPUTS * inputs)).collect();
    threads::run(tasks, |_, (sums, weight): (&mut Vec<_>, &[f32])| {
        pulp::Arch::new().dispatch(Scatter { input, weight, sums });
    });
    for (tile, sums) in tiles.iter().enumerate() {
        let count = OUTPUTS.min(outputs - tile * OUTPUTS);
        for (row, sums) in product.chunks_exact_mut(outputs).zip(sums) {
            row[tile * OUTPUTS..][..count].copy_from_slice(&sums[..count]);
        }
    }
}

/// Adds the weights of a block of outputs, `[outputs, inputs]`, each times its input, to the sums of each row of the
/// input.
struct Scatter<'a> {
    input: &'a Columns,
    weight: &'a [f32],
    sums: &'a mut [[f32; OUTPUTS]],
}

impl pulp::WithSimd for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { input, weight, sums } = self;
        let width = input.count();
        let mut columns = [[0.0; OUTPUTS]; INPUTS];
        for first in (0..width).step_by(INPUTS) {
            let count = INPUTS.min(width - first);
            for (output, row) in weight.chunks_exact(width).enumerate() {
                prefetch(&&row[(first + count).min(width)..(first + 2 * INPUTS).min(width)]);
                for (column, &x) in columns.iter_mut().zip(&row[first..first + count]) {
                    column[output] = x;
                }
            }
            for (i, column) in columns[..count].iter().enumerate() {
                let column = S::as_simd_f32s(column).0;
                for &(row, x) in input.column(first + i) {
                    let sums = S::as_mut_simd_f32s(&mut sums[row as usize]).0;
                    let x = simd.splat_f32s(x);
                    for (sum, &weight) in sums.iter_mut().zip(column) {
                        *sum = simd.mul_add_e_f32s(x, weight, *sum);
                    }
                }
            }
        }
    }
}

/// Computes the gradients of the weights of a block of outputs, `[outputs, inputs]`, from the gradients in the outputs
/// of each row.
struct Gather<'a> {
    input: &'a Columns,
    output_gradients: &'a [[f32; OUTPUTS]],
    gradient: &'a mut [f32],
}

impl pulp::WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        /// The number of vectors that are summed at a time, so that the sums stay in registers.
        const AT_ONCE: usize = 4;
        let Self { input, output_gradients, gradient } = self;
        let width = input.count();
        let mut columns = [[0.0; OUTPUTS]; INPUTS];
        for first in (0..width).step_by(INPUTS) {
            let count = INPUTS.min(width - first);
            for (i, column) in columns[..count].iter_mut().enumerate() {
                let (vectors, _) = S::as_mut_simd_f32s(column).0.as_chunks_mut::<AT_ONCE>();
                for (place, column) in vectors.iter_mut().enumerate() {
                    let mut sums = [simd.splat_f32s(0.0); AT_ONCE];
                    for &(row, x) in input.column(first + i) {
                        let x = simd.splat_f32s(x);
                        let output_gradients =
                            &S::as_simd_f32s(&output_gradients[row as usize]).0.as_chunks::<AT_ONCE>().0[place];
                        for (sum, &output_gradient) in sums.iter_mut().zip(output_gradients) {
                            *sum = simd.mul_add_e_f32s(x, output_gradient, *sum);
                        }
                    }
                    *column = sums;
                }
            }
            for (output, row) in gradient.chunks_exact_mut(width).enumerate() {
                prefetch(&&row[(first + count).min(width)..(first + 2 * INPUTS).min(width)]);
                for (x, column) in row[first..first + count].iter_mut().zip(&columns) {
                    *x = column[output];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Sizes that are no multiples of what is done at a time, rows and columns of zeros, on one thread and on two.
    #[test]
    fn product_and_gradient_are_those_of_dense_matrices() {
        let _generator = crate::random::seeded(3);
        let float = (Kind::Float, Device::Cpu);
        for [batch, inputs, outputs] in [[1, 1, 1], [7, 37, 130], [100, 784, 500], [3, 16, 64], [5, 100, 3]] {
            let x = Tensor::randn([batch, inputs], float);
            let x = &x * Tensor::rand([batch, inputs], float).lt(0.1).to_kind(Kind::Float);
            let _ = x.get(0).zero_();
            let weight = Tensor::randn([outputs, inputs], float);
            let leaf_gradient = Tensor::randn([batch, outputs], float);
            let close = |what: &str, found: &Tensor, exact: &Tensor| {
                assert_eq!(found.size(), exact.size());
                let error = (found.to_kind(Kind::Double) - exact).abs().max().double_value(&[]);
                assert!(error < 2e-6 * exact.abs().max().double_value(&[]).max(1.0), "{what}: {error}");
            };
            let before = tch::get_num_threads();
            let found = [1, 2].map(|threads| {
                tch::set_num_threads(threads);
                let product = SparseProduct::new("w", &x, &weight).unwrap();
                (product.leaf.detach(), product.gradient(&leaf_gradient))
            });
            tch::set_num_threads(before);
            let [x, weight, leaf_gradient] = [x, weight, leaf_gradient].map(|tensor| tensor.to_kind(Kind::Double));
            close("product", &found[0].0, &x.matmul(&weight.tr()));
            close("gradient", &found[0].1, &leaf_gradient.tr().matmul(&x));
            assert!(found[0].0 == found[1].0 && found[0].1 == found[1].1, "threads changed something");
        }
    }

    #[test]
    fn other_inputs_are_left_to_dense_products() {
        let float = (Kind::Float, Device::Cpu);
        let (sparse, weight) = (Tensor::eye(8, float), Tensor::ones([3, 8], float));
        assert!(SparseProduct::new("w", &sparse, &weight).is_some());
        for x in [
            Tensor::ones([8, 8], float),
            sparse.to_kind(Kind::Double),
            sparse.narrow(1, 0, 4),
            sparse.unsqueeze(0),
            Tensor::zeros([0, 8], float),
            sparse.set_requires_grad(true),
        ] {
            assert!(SparseProduct::new("w", &x, &weight).is_none(), "{x:?}");
        }
    }
}
