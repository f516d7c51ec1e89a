//! Weighted sums of orientations over the 4 × 4 spatial bins, one axis after the other.
//!
//! Along x, each image row becomes one [`Across`] per descriptor column: four bins of eight
//! orientations, 128 bytes. Along y, a descriptor is four weighted sums of `2s − 1` such rows, and
//! comes out in its final layout. Both windows cost the same, and a sum over a flat region is
//! exactly zero, which running sums in f32 would not give.

use super::planes::{ORIENTATIONS, Orientations};
use crate::descriptors::bins::{BINS, DIM};

/// One image row seen by one descriptor: `[orientation + 8 · bin along x]`.
pub(super) type Across = [f32; BINS * ORIENTATIONS];

/// Descriptors summed together along x, so that a weight is loaded once for all of them.
const TOGETHER: usize = 4;

/// Pools one row of orientations along x for every descriptor column `i`: bin `b` is centred on
/// element `i·step + b·bin + taps/2` of `row`.
#[inline(always)]
pub(super) fn pool_x(
    out: &mut [Across],
    row: &[Orientations],
    step: usize,
    bin: usize,
    kernels: &[Vec<f32>; BINS],
) {
    for (b, kernel) in kernels.iter().enumerate() {
        let cell = b * ORIENTATIONS..(b + 1) * ORIENTATIONS;
        let row = &row[b * bin..];
        let whole = out.len() / TOGETHER * TOGETHER;
        for i in (0..whole).step_by(TOGETHER) {
            let at: [_; TOGETHER] = std::array::from_fn(|g| &row[(i + g) * step..][..kernel.len()]);
            let mut sums = [[0.0f32; ORIENTATIONS]; TOGETHER];
            for (t, weight) in kernel.iter().enumerate() {
                for g in 0..TOGETHER {
                    for o in 0..ORIENTATIONS {
                        sums[g][o] += weight * at[g][t][o];
                    }
                }
            }
            for g in 0..TOGETHER {
                out[i + g][cell.clone()].copy_from_slice(&sums[g]);
            }
        }
        for i in whole..out.len() {
            let mut sums = [0.0f32; ORIENTATIONS];
            for (weight, values) in kernel.iter().zip(&row[i * step..]) {
                for o in 0..ORIENTATIONS {
                    sums[o] += weight * values[o];
                }
            }
            out[i][cell.clone()].copy_from_slice(&sums);
        }
    }
}

/// Pools along y the descriptor of column `i`. `rows[n]` is where in `ring` the n-th image row
/// that the descriptor sees begins; bin `b` sees the rows from `b·bin`.
#[inline(always)]
pub(super) fn pool_y(
    ring: &[Across],
    rows: &[usize],
    i: usize,
    bin: usize,
    kernels: &[Vec<f32>; BINS],
) -> [f32; DIM] {
    let mut raw = [0.0f32; DIM];
    for (b, kernel) in kernels.iter().enumerate() {
        let mut sums = [0.0f32; BINS * ORIENTATIONS];
        for (weight, start) in kernel.iter().zip(&rows[b * bin..]) {
            let values = &ring[start + i];
            for c in 0..values.len() {
                sums[c] += weight * values[c];
            }
        }
        raw[b * sums.len()..(b + 1) * sums.len()].copy_from_slice(&sums);
    }
    raw
}
