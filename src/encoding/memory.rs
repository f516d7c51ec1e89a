//! What encoding allocates.

use super::layout::Layout;
use super::params::Params;
use crate::linalg::BLOCK_ROWS;

/// Bytes of one worker: the sums of every cell, a block of descriptors of `input` values with their
/// projections and posteriors, the vector.
pub fn encoder_bytes(params: &Params, components: usize, dim: usize, input: usize) -> u64 {
    let (k, d, block) = (components as u64, dim as u64, BLOCK_ROWS as u64);
    // The grids cut the image into no more cells than this.
    let cells: u64 = [0, 1]
        .map(|side| params.regions.iter().map(|grid| grid.size()[side] as u64).sum::<u64>())
        .iter()
        .product();
    let of_block = block * (4 * (input as u64 + 2 * d) + 24 * k);
    let vector = Layout::of(params, components, dim).len() as u64;
    cells * (k * (1 + 2 * d) * 8 + block * d * 4) + of_block + 16 * vector
}
