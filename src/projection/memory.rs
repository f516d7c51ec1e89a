//! What fitting a projection allocates.

use crate::linalg::BLOCK_ROWS;
use crate::memory::Need;

/// The covariance of `dim` values in f64 with the matrices of its eigen-solver, and for every worker one
/// of its parts and a block of rows.
pub fn need(dim: usize) -> Need {
    /// Matrices of the covariance's size that the solver holds at once.
    const MATRICES: u64 = 24;
    let (dim, block) = (dim as u64, BLOCK_ROWS as u64);
    Need {
        stage: "fit-pca",
        fixed: MATRICES * 8 * dim * dim,
        each: 8 * dim * (dim + block),
        formula: format!("{}·{dim}² + 8·{dim}·({dim} + {block}) a worker", 8 * MATRICES),
        way_out: "raise --max-memory",
    }
}
