//! What encoding allocates.

use super::layout::Layout;
use super::params::Params;
use crate::generative::{Parts, memory::block_bytes};
use crate::gmm::Family;
use crate::linalg::BLOCK_ROWS;

/// Bytes of one worker: the sums of every cell, a block of descriptors of `input` values with their
/// projections and posteriors, the vector.
pub fn encoder_bytes(params: &Params, parts: Parts, input: usize) -> u64 {
    let (k, d, block) = (parts.components as u64, parts.dim as u64, BLOCK_ROWS as u64);
    // The grids cut the image into no more cells than this.
    let cells: u64 = [0, 1]
        .map(|side| params.regions.iter().map(|grid| grid.size()[side] as u64).sum::<u64>())
        .iter()
        .product();
    let of_block = block * (4 * (input as u64 + 2 * d) + 24 * k);
    let layout = Layout::of_parts(params, parts);
    let vector = layout.len() as u64;
    if parts.family == Family::Gaussian {
        return cells * (k * (1 + 2 * d) * 8 + block * d * 4) + of_block + 16 * vector;
    }
    let of_cell = layout.region_len() as u64 * 8 + block * d * 4;
    cells * of_cell + of_block + block_bytes(&parts) + 16 * vector
}
