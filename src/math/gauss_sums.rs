//! Sums over long ranges of integers by few of their terms.
//!
//! A range is cut into blocks: its first 32 integers one by one, then blocks that double in length, as far as the law
//! reaches; a finite range is graded in this way from both of its ends. A block of `N` integers is summed by **Gauss
//! quadrature for sums**: the `m` real nodes and weights that give `sum_{j<N} f(j)` exactly for every polynomial `f` of
//! degree `2m - 1`. A million terms become some four hundred, as differentiable as the pmf is.
//!
//! # Source
//! Golub and Welsch, "Calculation of Gauss quadrature rules", 1969, with the recurrence of the discrete Chebyshev
//! (Gram) polynomials, NIST Digital Library of Mathematical Functions, 18.22 (Hahn polynomials with both parameters
//! zero).

use std::sync::OnceLock;
use tch::{Device, Tensor, no_grad_guard};

/// Nodes of a block; blocks of up to as many integers are summed term by term.
const NODES: i64 = 16;

/// Integers at the start of a range that are summed one by one.
pub(crate) const SINGLES: i64 = 32;

/// Doublings of the block length after which every law on the integers has ended.
pub(crate) const DOUBLINGS: usize = 40;

/// Offsets from the start of a range, with the weights of the terms there.
#[derive(Debug, Default, Clone)]
pub(crate) struct Grid {
    offsets: Vec<f64>,
    weights: Vec<f64>,
}

impl Grid {
    /// A block of `size` integers from `start` on.
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

    /// The `length` integers from 0 on, graded from the start.
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

    /// The integers from 0 on, graded, as far as any law may reach.
    pub fn half_line() -> Self {
        Self::graded(1 << DOUBLINGS)
    }

    /// The `length` integers from 0 on, graded from both ends.
    pub fn graded_from_both_ends(length: i64) -> Self {
        let half = length / 2;
        let mut grid = Self::graded(length - half);
        let mirrored = Self::graded(half);
        grid.offsets.extend(mirrored.offsets.iter().map(|offset| (length - 1) as f64 - offset));
        grid.weights.extend(mirrored.weights);
        grid
    }

    /// The `length` integers from 0 on, one by one.
    pub fn plain(length: i64) -> Self {
        Self { offsets: (0..length).map(|j| j as f64).collect(), weights: vec![1.0; length as usize] }
    }

    pub fn offsets(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.offsets).to_device(device)
    }

    pub fn log_weights(&self, device: Device) -> Tensor {
        Tensor::from_slice(&self.weights).log().to_device(device)
    }
}

/// Nodes on [-1, 1] and weights that sum to one, for a sum over `size` > [`NODES`] equally spaced points that include
/// both ends.
fn gauss_nodes(size: i64) -> std::borrow::Cow<'static, [(f64, f64)]> {
    static POWERS: OnceLock<Vec<Vec<(f64, f64)>>> = OnceLock::new();
    if size.count_ones() == 1 && size.trailing_zeros() as usize <= DOUBLINGS {
        let powers = POWERS.get_or_init(|| (5..=DOUBLINGS).map(|power| compute_gauss_nodes(1 << power)).collect());
        return powers[size.trailing_zeros() as usize - 5].as_slice().into();
    }
    compute_gauss_nodes(size).into()
}

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
