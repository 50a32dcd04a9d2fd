//! Sums over long ranges of integers by few of their terms.
//!
//! A range is cut into blocks: the first 32 integers one by one, then blocks that double in length, as far as the law
//! reaches. A finite range is graded in this way from both of its ends. A block of `N` integers is summed by **Gauss
//! quadrature for sums**: the `m` real nodes and weights that give `sum_{j<N} f(j)` exactly for every polynomial `f` of
//! degree `2m - 1`. A million terms become about four hundred. The result is as differentiable as the pmf.
//!
//! # Source
//! Golub and Welsch, "Calculation of Gauss quadrature rules", 1969, with the recurrence of the discrete Chebyshev
//! (Gram) polynomials, NIST Digital Library of Mathematical Functions, 18.22 (Hahn polynomials with both parameters
//! zero).

use std::sync::OnceLock;
use tch::{Device, Tensor, no_grad_guard};

/// The number of nodes of a block; blocks of up to this many integers are summed term by term.
const NODES: i64 = 16;

/// The number of integers at the start of a range that are summed one by one.
pub(crate) const SINGLES: i64 = 32;

/// The base-two logarithm of the longest range: `2^40` integers hold the mass of every law.
pub(crate) const DOUBLINGS: usize = 40;

/// The offsets of the terms of a sum from its start, and their weights.
#[derive(Debug, Default, Clone)]
pub(crate) struct Grid {
    offsets: Vec<f64>,
    weights: Vec<f64>,
}

impl Grid {
    /// Adds a block of `size` integers from `start` on.
    pub fn push_block(&mut self, start: i64, size: i64) {
        if size <= NODES {
            self.offsets.extend((start..start + size).map(|j| j as f64));
            self.weights.extend((0..size).map(|_| 1.0));
            return;
        }
        let scale = (size - 1) as f64 / 2.0;
        for &(node, weight) in gauss_nodes(size).iter() {
            self.offsets.push(start as f64 + scale + scale * node);
            self.weights.push(size as f64 * weight);
        }
    }

    /// Makes the grid of the integers `0 .. length`, graded from the start.
    pub fn graded(length: i64) -> Self {
        let mut grid = Self::default();
        (0..SINGLES.min(length)).for_each(|start| grid.push_block(start, 1));
        let mut start = SINGLES;
        while start < length {
            grid.push_block(start, start.min(length - start));
            start *= 2;
        }
        grid
    }

    /// Makes the grid of the integers from 0 on, as far as any law reaches.
    pub fn half_line() -> Self {
        Self::graded(1 << DOUBLINGS)
    }

    /// Makes the grid of the integers `0 .. length`, graded from both ends.
    pub fn graded_from_both_ends(length: i64) -> Self {
        let half = length / 2;
        let mut grid = Self::graded(length - half);
        let mirrored = Self::graded(half);
        grid.offsets.extend(mirrored.offsets.iter().map(|offset| (length - 1) as f64 - offset));
        grid.weights.extend(mirrored.weights);
        grid
    }

    /// Makes the grid of the integers `0 .. length`, one by one.
    pub fn one_by_one(length: i64) -> Self {
        Self { offsets: (0..length).map(|j| j as f64).collect(), weights: vec![1.0; length as usize] }
    }

    /// Returns the offsets `[n]`, float64.
    pub fn offsets(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.offsets).to_device(device)
    }

    /// Returns the logarithms of the weights `[n]`, float64.
    pub fn log_weights(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.weights).log().to_device(device)
    }
}

/// Returns nodes on [-1, 1] and weights that sum to one, for a sum over `size` > [`NODES`] equally spaced points that
/// include both ends. Powers of two are computed once.
fn gauss_nodes(size: i64) -> std::borrow::Cow<'static, [(f64, f64)]> {
    static POWERS: OnceLock<Vec<Vec<(f64, f64)>>> = OnceLock::new();
    if size.count_ones() == 1 && size.trailing_zeros() as usize <= DOUBLINGS {
        let powers = POWERS.get_or_init(|| (5..=DOUBLINGS).map(|power| compute_gauss_nodes(1 << power)).collect());
        return powers[size.trailing_zeros() as usize - 5].as_slice().into();
    }
    compute_gauss_nodes(size).into()
}

/// Computes the nodes as eigenvalues of the Jacobi matrix, and the weights from its eigenvectors.
fn compute_gauss_nodes(size: i64) -> Vec<(f64, f64)> {
    let _guard = no_grad_guard();
    let n = size as f64;
    let scale = (n - 1.0) / 2.0;
    let off_diagonal: Vec<f64> = (1..NODES)
        .map(|k| {
            let k = k as f64;
            ((n - k) * (n + k) / (4.0 * (4.0 * k * k - 1.0))).sqrt() * k / scale
        })
        .collect();
    let jacobi = Tensor::from_slice(&off_diagonal).diag_embed(-1, 0, 1);
    let (nodes, vectors) = (&jacobi + jacobi.tr()).linalg_eigh("L");
    let weights = vectors.select(0, 0).square();
    (0..NODES).map(|i| (nodes.double_value(&[i]), weights.double_value(&[i]))).collect()
}
