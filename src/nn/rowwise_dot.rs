//! Dot products of pairs of rows.

use super::dense::{numbers, prefetch};
use crate::error::{Error, Result};
use tch::{Kind, Tensor};

/// The number of partial sums that are added side by side, as vector instructions do.
const LANES: usize = 8;

/// The prefetch distance, in pairs of rows.
const AHEAD: usize = 8;

/// Computes the dot products `a[i_n] . b[j_n]`, `[N]`, without gradient, of two matrices of the same width; `i` and `j`
/// are row numbers, int64 `[N]`.
///
/// # Errors
/// Fails if a row number is outside its matrix, or if the widths differ.
pub(crate) fn rowwise_dot([a, i]: [&Tensor; 2], [b, j]: [&Tensor; 2]) -> Result<Tensor> {
    let (a, b) = (a.detach().f_contiguous()?, b.detach().f_contiguous()?);
    let (left, right, width) = (numbers(&a), numbers(&b), a.size()[1]);
    if left.is_empty() || right.is_empty() || b.size()[1] != width {
        return Ok((a.f_index_select(0, i)?.f_mul(&b.f_index_select(0, j)?)?).f_sum_dim_intlist(
            -1,
            false,
            None::<Kind>,
        )?);
    }
    let width = width as usize;
    let row = |number: i64, numbers: &[f32]| -> Result<usize> {
        let rows = numbers.len() / width;
        let found = usize::try_from(number).ok().filter(|&row| row < rows);
        found.ok_or_else(|| Error::parameter("row of a matrix", number, format!("in 0 .. {rows}")))
    };
    let pairs = Vec::<i64>::try_from(i)?.into_iter().zip(Vec::<i64>::try_from(j)?);
    let pairs = pairs.map(|(i, j)| Ok((row(i, left)?, row(j, right)?))).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::from_slice(&pulp::Arch::new().dispatch(Dots { left, right, width, pairs: &pairs })))
}

/// Computes the dot products with the CPU's widest vectors.
struct Dots<'a> {
    left: &'a [f32],
    right: &'a [f32],
    width: usize,
    pairs: &'a [(usize, usize)],
}

impl pulp::WithSimd for Dots<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Vec<f32> {
        let Self { left, right, width, pairs } = self;
        let mut found = Vec::with_capacity(pairs.len());
        for (n, &(i, j)) in pairs.iter().enumerate() {
            if let Some((_, j)) = pairs.get(n + AHEAD) {
                prefetch(&&right[j * width..(j + 1) * width]);
            }
            let (a, b) = (&left[i * width..(i + 1) * width], &right[j * width..(j + 1) * width]);
            let (a, a_rest) = a.as_chunks::<LANES>();
            let (b, b_rest) = b.as_chunks::<LANES>();
            let mut sums = [0f32; LANES];
            for (a, b) in a.iter().zip(b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += a * b;
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
            found.push(sums.iter().sum::<f32>() + rest);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn pairs_of_rows_have_their_products() {
        let float = (Kind::Float, Device::Cpu);
        for width in [1, 8, 51] {
            let (a, b) = (Tensor::randn([5, width], float), Tensor::randn([width, 7], float));
            let (i, j) = (Tensor::from_slice(&[0i64, 4, 4, 2]), Tensor::from_slice(&[6i64, 0, 1, 6]));
            let exact = a.matmul(&b).reshape([-1]).index_select(0, &(&i * 7 + &j));
            let error = (rowwise_dot([&a, &i], [&b.tr(), &j]).unwrap() - exact).abs().max().double_value(&[]);
            assert!(error < 1e-5, "{width}: {error:e}");
            assert!(rowwise_dot([&a, &i], [&b.tr(), &(&j + 1)]).is_err());
        }
    }
}
