//! Adam on slices of memory, in parts for threads.

use crate::platform::slices;
use tch::Tensor;

/// The decay of the average of gradients, as in PyTorch.
pub(super) const BETA1: f64 = 0.9;
/// The decay of the average of squared gradients, as in PyTorch.
pub(super) const BETA2: f64 = 0.999;
/// Added to the square root, as in PyTorch.
pub(super) const EPS: f64 = 1e-8;

/// Elements per part: 256 KiB of each of the four float32 slices, a megabyte together.
pub(super) const PART_LENGTH: usize = 1 << 16;

/// Elements of a row that are updated between two prefetches.
const PREFETCH_LENGTH: usize = 64;

/// The least prefetch distance in elements: updating one short row takes less time than fetching another from memory.
const PREFETCH_DISTANCE: usize = 512;

/// The factors of one update.
#[derive(Clone, Copy)]
pub(super) struct StepScale {
    /// The learning rate over `1 - BETA1^t`.
    pub learning_rate: f32,
    /// `1 / sqrt(1 - BETA2^t)`.
    pub correction: f32,
}

/// The same range of a parameter, its averages and its gradient.
pub(super) struct Part<'a> {
    pub parameter: &'a mut [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
    pub gradient: &'a [f32],
}

impl<'a> Part<'a> {
    /// Returns whether all four tensors are dense float32 on the CPU and of the same, positive size.
    pub fn fits(tensors: [&Tensor; 4]) -> bool {
        let count = tensors[0].numel();
        tensors.into_iter().all(|tensor| is_plain(tensor) && tensor.numel() == count && count > 0)
    }

    /// Splits the slices of parameter, averages and gradient into parts of [`PART_LENGTH`].
    pub fn split([p, m, v]: [&'a mut [f32]; 3], g: &'a [f32]) -> impl Iterator<Item = Self> {
        let parts = p
            .chunks_mut(PART_LENGTH)
            .zip(m.chunks_mut(PART_LENGTH))
            .zip(v.chunks_mut(PART_LENGTH))
            .zip(g.chunks(PART_LENGTH));
        parts.map(|(((parameter, exp_avg), exp_avg_sq), gradient)| Part { parameter, exp_avg, exp_avg_sq, gradient })
    }

    /// Makes one update in a single pass over memory.
    pub fn update(self, scale: StepScale) {
        // Chooses the widest vectors: with narrower ones, square roots and divisions would take longer than memory.
        pulp::Arch::new().dispatch(Update(self, scale));
    }

    /// Makes one update. Inlined, so that it is compiled for the caller's vector instructions.
    #[inline(always)]
    fn in_vectors(self, StepScale { learning_rate, correction }: StepScale) {
        let Part { parameter, exp_avg, exp_avg_sq, gradient } = self;
        let (keep1, take1, keep2, take2) = (BETA1 as f32, (1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        for (((p, m), v), &g) in parameter.iter_mut().zip(exp_avg).zip(exp_avg_sq).zip(gradient) {
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
            *p -= learning_rate * *m / (v.sqrt() * correction + EPS as f32);
        }
    }
}

/// Updates a part with the CPU's widest vectors.
struct Update<'a>(Part<'a>, StepScale);

impl pulp::WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.0.in_vectors(self.1);
    }
}

/// The gradient in the rows of a table that a step uses: `U` rows.
#[derive(Clone, Copy)]
pub(super) enum RowGradient<'a> {
    /// The rows' gradients, one after the other: `[U, width]`.
    Rows(&'a [f32]),
    /// The gradients in weighted sums of rows.
    Sums {
        /// The gradient in each sum, `[B, width]`.
        sums: &'a [f32],
        /// The sum and the weight of each term, sorted by row.
        terms: &'a [(usize, f32)],
        /// The index of each row's first term, and the end: `U + 1` numbers.
        starts: &'a [usize],
        /// The derivatives of the function that was applied to the rows, `[U, width]`.
        derivatives: Option<&'a [f32]>,
    },
}

/// The update of some rows of a table.
pub(super) struct RowsPart<'a> {
    /// The ranges of parameter and averages from row `first` on.
    tables: [&'a mut [f32]; 3],
    first: usize,
    width: usize,
    /// The row numbers, ascending.
    indices: &'a [i64],
    /// The index of the first of these rows in the gradient.
    place: usize,
    gradient: RowGradient<'a>,
    scale: StepScale,
}

impl<'a> RowsPart<'a> {
    /// Splits the update of rows `indices` of tables with `total` rows. `None` if the indices are not ascending and
    /// within the tables, or if the gradient's sizes do not match.
    pub fn split(
        tables: [&'a mut [f32]; 3],
        total: usize,
        indices: &'a [i64],
        gradient: RowGradient<'a>,
        scale: StepScale,
    ) -> Option<Vec<Self>> {
        let count = tables[0].len();
        let equal_lengths = tables.iter().all(|numbers| numbers.len() == count);
        let ascending = indices.windows(2).all(|pair| pair[0] < pair[1]);
        let inside =
            indices.first().is_none_or(|&row| row >= 0) && indices.last().is_none_or(|&row| (row as usize) < total);
        if !(equal_lengths && ascending && inside) {
            return None;
        }
        let width = count.checked_div(total).unwrap_or(0);
        let fits = match gradient {
            RowGradient::Rows(rows) => rows.len() == indices.len() * width,
            RowGradient::Sums { sums, terms, starts, derivatives } => {
                derivatives.is_none_or(|derivatives| derivatives.len() == indices.len() * width)
                    && starts.len() == indices.len() + 1
                    && starts.is_sorted()
                    && starts.last().is_some_and(|&end| end <= terms.len())
                    && terms.iter().all(|&(sum, _)| (sum + 1) * width <= sums.len())
            }
        };
        if !fits || width == 0 {
            return None;
        }
        let mut rest = tables;
        let (mut first, mut parts) = (0, Vec::new());
        let at_once = PART_LENGTH.div_ceil(width);
        for (part, indices) in indices.chunks(at_once).enumerate() {
            let end = indices.last().map_or(first, |&row| row as usize + 1);
            let mut tables = rest.map(|table| table.split_at_mut((end - first) * width));
            rest = tables.each_mut().map(|(_, later)| std::mem::take(later));
            let tables = tables.map(|(now, _)| now);
            parts.push(Self { tables, first, width, indices, place: part * at_once, gradient, scale });
            first = end;
        }
        Some(parts)
    }

    /// Updates the rows, each in a single pass.
    pub fn update(self) {
        pulp::Arch::new().dispatch(self);
    }
}

impl pulp::WithSimd for RowsPart<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { tables: [p, m, v], first, width, indices, place, gradient, scale } = self;
        let mut sum = vec![0.0; width];
        let ahead = PREFETCH_DISTANCE.div_ceil(width);
        for (i, &row) in indices.iter().enumerate() {
            let (start, place) = ((row as usize - first) * width, place + i);
            let next = indices.get(i + ahead).map_or(start, |&next| (next as usize - first) * width);
            let gradient = match gradient {
                RowGradient::Rows(rows) => &rows[place * width..(place + 1) * width],
                RowGradient::Sums { sums, terms, starts, derivatives } => {
                    sum.fill(0.0);
                    for &(from, weight) in &terms[starts[place]..starts[place + 1]] {
                        for (sum, &x) in sum.iter_mut().zip(&sums[from * width..(from + 1) * width]) {
                            *sum += weight * x;
                        }
                    }
                    if let Some(derivatives) = derivatives {
                        let derivatives = &derivatives[place * width..(place + 1) * width];
                        sum.iter_mut().zip(derivatives).for_each(|(sum, x)| *sum *= x);
                    }
                    &sum[..]
                }
            };
            for from in (0..width).step_by(PREFETCH_LENGTH) {
                let to = (from + PREFETCH_LENGTH).min(width);
                [&p[next + from..next + to], &m[next + from..next + to], &v[next + from..next + to]]
                    .iter()
                    .for_each(prefetch);
                let at = start + from..start + to;
                let [parameter, exp_avg, exp_avg_sq] = [&mut p[at.clone()], &mut m[at.clone()], &mut v[at]];
                Part { parameter, exp_avg, exp_avg_sq, gradient: &gradient[from..to] }.in_vectors(scale);
            }
        }
    }
}

/// Prefetches numbers that are needed soon: the CPU cannot predict the position of the next row.
#[inline(always)]
pub(super) fn prefetch(numbers: &&[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing; SSE is part of every processor of this architecture.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Returns whether a tensor is dense float32 on the CPU.
pub(super) fn is_plain(tensor: &Tensor) -> bool {
    slices::is_plain::<f32>(tensor)
}

/// Returns the elements of a dense float32 tensor on the CPU; empty for other tensors.
pub(super) fn numbers(tensor: &Tensor) -> &[f32] {
    slices::read(tensor).unwrap_or_default()
}

/// Returns the elements of a dense float32 tensor on the CPU for writing; empty for other tensors. The tensor must
/// share its memory with no other.
pub(super) fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    slices::write(tensor).unwrap_or_default()
}
