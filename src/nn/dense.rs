//! A parameter, its moving averages and its gradient as plain numbers, in parts that threads can share.

use crate::platform::slices;
use tch::Tensor;

/// The decay of the averages of gradients and of their squares, and what is added to roots: those of PyTorch.
pub(super) const BETA1: f64 = 0.9;
pub(super) const BETA2: f64 = 0.999;
pub(super) const EPS: f64 = 1e-8;

/// Numbers that a thread updates at a time: a megabyte of the four tensors.
pub(super) const A_PART: usize = 1 << 16;

/// Numbers of a row that are updated while as many of a later one are fetched.
const PIECE: usize = 64;

/// Numbers that are updated between a fetch and its use, at least: memory answers later than a short row is done with.
const AHEAD: usize = 512;

/// The corrected learning rate, and the correction of roots.
pub(super) type StepScale = (f32, f32);

/// The same numbers of a parameter, its averages and its gradient.
pub(super) struct Part<'a> {
    pub parameter: &'a mut [f32],
    pub exp_avg: &'a mut [f32],
    pub exp_avg_sq: &'a mut [f32],
    pub gradient: &'a [f32],
}

impl<'a> Part<'a> {
    /// Whether all four tensors are dense float32 on the CPU, and of one size.
    pub fn fits(tensors: [&Tensor; 4]) -> bool {
        let count = tensors[0].numel();
        tensors.into_iter().all(|tensor| is_plain(tensor) && tensor.numel() == count && count > 0)
    }

    /// The numbers of parameter, averages and gradient.
    pub fn split([p, m, v]: [&'a mut [f32]; 3], g: &'a [f32]) -> impl Iterator<Item = Self> {
        let parts = p.chunks_mut(A_PART).zip(m.chunks_mut(A_PART)).zip(v.chunks_mut(A_PART)).zip(g.chunks(A_PART));
        parts.map(|(((parameter, exp_avg), exp_avg_sq), gradient)| Part { parameter, exp_avg, exp_avg_sq, gradient })
    }

    /// One update of Adam, in a single pass over memory.
    pub fn update(self, scale: StepScale) {
        // Roots and quotients take longer than memory does, unless the machine's widest vectors compute them.
        pulp::Arch::new().dispatch(Update(self, scale));
    }

    /// To be compiled for the vectors of whoever calls it.
    #[inline(always)]
    fn in_vectors(self, (learning_rate, correction): StepScale) {
        let Part { parameter, exp_avg, exp_avg_sq, gradient } = self;
        let (keep1, take1, keep2, take2) = (BETA1 as f32, (1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        for (((p, m), v), &g) in parameter.iter_mut().zip(exp_avg).zip(exp_avg_sq).zip(gradient) {
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
            *p -= learning_rate * *m / (v.sqrt() * correction + EPS as f32);
        }
    }
}

/// One update.
struct Update<'a>(Part<'a>, StepScale);

impl pulp::WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.0.in_vectors(self.1);
    }
}

/// The gradient of rows.
#[derive(Clone, Copy)]
pub(super) enum OfRows<'a> {
    /// One row after the other.
    Rows(&'a [f32]),
    /// By that of weighted sums, `sums`: the sum and the weight of each term, one row after the other, and where those
    /// of each row start. Where sums are those of functions of rows: the derivatives, one row after the other.
    Sums { sums: &'a [f32], terms: &'a [(usize, f32)], starts: &'a [usize], derivatives: Option<&'a [f32]> },
}

/// Some rows of a parameter and its averages.
pub(super) struct RowsPart<'a> {
    /// A piece of the tables, from row `first` on.
    tables: [&'a mut [f32]; 3],
    first: usize,
    width: usize,
    /// Which rows, ascending, and the place of the first of them in the gradient.
    indices: &'a [i64],
    place: usize,
    gradient: OfRows<'a>,
    scale: StepScale,
}

impl<'a> RowsPart<'a> {
    /// All these rows of tables with `total` rows; nothing where rows do not ascend within them, or the gradient has
    /// others.
    pub fn split(
        moved: [&'a mut [f32]; 3],
        total: usize,
        indices: &'a [i64],
        gradient: OfRows<'a>,
        scale: StepScale,
    ) -> Option<Vec<Self>> {
        let count = moved[0].len();
        let plain = moved.iter().all(|numbers| numbers.len() == count);
        let ascending = indices.windows(2).all(|pair| pair[0] < pair[1]);
        let inside =
            indices.first().is_none_or(|&row| row >= 0) && indices.last().is_none_or(|&row| (row as usize) < total);
        if !(plain && ascending && inside) {
            return None;
        }
        let width = count.checked_div(total).unwrap_or(0);
        let fits = match gradient {
            OfRows::Rows(rows) => rows.len() == indices.len() * width,
            OfRows::Sums { sums, terms, starts, derivatives } => {
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
        let mut rest = moved;
        let (mut first, mut parts) = (0, Vec::new());
        let at_once = A_PART.div_ceil(width);
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

    /// One update of Adam of these rows, each in a single pass.
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
        let ahead = AHEAD.div_ceil(width);
        for (i, &row) in indices.iter().enumerate() {
            let (start, place) = ((row as usize - first) * width, place + i);
            let next = indices.get(i + ahead).map_or(start, |&next| (next as usize - first) * width);
            let gradient = match gradient {
                OfRows::Rows(rows) => &rows[place * width..(place + 1) * width],
                OfRows::Sums { sums, terms, starts, derivatives } => {
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
            for from in (0..width).step_by(PIECE) {
                let to = (from + PIECE).min(width);
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

/// Asks the processor for numbers that are needed soon: rows lie apart, and it cannot guess where the next one is.
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

/// Whether a tensor is dense float32 on the CPU.
pub(super) fn is_plain(tensor: &Tensor) -> bool {
    slices::is_plain::<f32>(tensor)
}

/// The numbers of a plain tensor; none of another.
pub(super) fn numbers(tensor: &Tensor) -> &[f32] {
    slices::read(tensor).unwrap_or_default()
}

/// The same of a tensor that has its memory for itself, to be written.
pub(super) fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    slices::write(tensor).unwrap_or_default()
}
