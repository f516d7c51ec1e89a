//! Memory that evaluating and summing blocks of rows uses again and again.

use ndarray::Array2;

use crate::linalg::BLOCK_ROWS;

/// Buffers for one block of rows; one per worker.
#[derive(Debug, Default)]
pub struct Scratch {
    /// `[y², y]`, `BLOCK_ROWS × 2D`.
    pub(super) features: Array2<f32>,
    /// `γ`, `BLOCK_ROWS × K`.
    pub(super) posteriors: Array2<f32>,
    pub(super) log_likelihood: Vec<f64>,
    /// Rows with a value brought nearer, so that its square is finite.
    pub(super) clamped: Vec<f32>,
    /// `Σ z²` of every row under every sharp component.
    pub(super) squares: Vec<f32>,
    pub(super) sums: Buffers,
}

/// Block-sized buffers of the sums.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) moments: Array2<f32>,
    /// `S⁰` of a block.
    pub(super) masses: Vec<f64>,
    /// (row, posterior) pairs above the threshold, a bucket for every component.
    pub(super) kept: Vec<(u32, f32)>,
    /// Pairs in every bucket.
    pub(super) counts: Vec<u32>,
    /// Every row's most probable component and its posterior, for hard assignment.
    pub(super) winners: Vec<u32>,
    pub(super) largest: Vec<f32>,
    /// The pairs of one sharp component.
    pub(super) pairs: Vec<(u32, f32)>,
    /// Whether a row is known beyond f32.
    pub(super) known: Vec<bool>,
}

impl Scratch {
    pub(super) fn fit(&mut self, k: usize, d: usize) {
        if self.posteriors.ncols() != k || self.features.ncols() != 2 * d {
            self.features = Array2::zeros((BLOCK_ROWS, 2 * d));
            self.posteriors = Array2::zeros((BLOCK_ROWS, k));
            self.log_likelihood = vec![0.0; BLOCK_ROWS];
        }
    }
}

impl Buffers {
    pub(super) fn fit(&mut self, k: usize, width: usize) {
        if self.moments.dim() != (k, width) {
            self.moments = Array2::zeros((k, width));
            self.masses = vec![0.0; k];
        }
    }
}
