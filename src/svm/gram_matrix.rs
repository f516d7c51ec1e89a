//! The Gram matrix `G = X·Xᵀ` of all rows: `n × n`, f32, full and symmetric.
//!
//! It is formed over panels of columns. Each panel is fetched from the rows once, and the tiles of the
//! lower triangle add their products. [`exact`] multiplies in f32. [`rounded`] gives each row of a
//! panel a scale and eight bits a value, and multiplies integers, of which a processor with a dot
//! product of bytes (AVX-512 VNNI and alike) does four times as many:
//!
//! ```text
//! x_ik = s_i (q_ik + ρ_ik)     s_i = max_k |x_ik| / 127     q_ik whole, |ρ_ik| ≤ ½
//! G_ij ≈ s_i s_j Σ_k q_ik q_jk     summed over the panels; G_ii is ‖x_i‖² itself
//! ```
//!
//! Sums of whole numbers are exact, so the rounded matrix is the same on every processor. With values
//! spread as in Fisher vectors, `s ≈ 0.04` standard deviations, an entry is off by about
//! `0.016·√2/√dim` of `‖x_i‖‖x_j‖`: 1e-4 at 40,960 columns. [`super::gram`] takes that error out again.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedAMatrix, PackedBMatrix};
use rten_tensor::NdTensorView;

use super::failure::failed;
use crate::linalg::{self, Rows};
use crate::progress::Progress;
use crate::{Error, Result};

/// Columns fetched together in f32: long enough for the products to run at full speed, and short enough
/// that a panel of 5,000 rows (41 MB) adds little to the matrices.
const PANEL: usize = 2048;

/// Least and most rows of a tile of f32 products. Large tiles pay less for packing (5,000 rows of
/// 40,960 values: 5.9 s in tiles of 512, 5.6 s of 1,250), and some are needed for every thread.
pub(super) const TILE: [usize; 2] = [256, 1280];

/// Columns of a panel of bytes: as much memory, packed for both sides of a product, as half of it in f32.
const ROUNDED_PANEL: usize = 2 * PANEL;

/// Rows of a tile of integer products. Rows are packed once a panel for all tiles, so small tiles cost
/// nothing, and 256 kB stay in the second-level cache (5,000 rows of 40,960 values: 4.3 s for all that
/// training does, 4.5 s with 512, 5.0 s with 1,024).
const ROUNDED_TILE: usize = 256;

/// Whole numbers that eight bits reach.
const LEVELS: f32 = 127.0;

/// What stands for 0 in the unsigned operand of the products.
const ZERO: u8 = 128;

/// `X·Xᵀ` by products in f32.
///
/// # Errors
/// [`Error::Numerical`] naming the first row that is not finite; [`Error::Interrupted`].
pub(super) fn exact(rows: &dyn Rows, progress: &dyn Progress) -> Result<Array2<f32>> {
    let n = rows.len();
    // Ten tiles or more. A function of n alone, so that the number of threads changes no bit.
    let mut tiles = Tiles::new(n, n.div_ceil(4).clamp(TILE[0], TILE[1]));
    let mut panel = vec![0.0f32; n * PANEL.min(rows.dim())];
    over_panels(rows.dim(), PANEL, progress, |columns| {
        let width = columns.len();
        let panel = &mut panel[..n * width];
        panel.par_chunks_mut(width).enumerate().for_each_init(Vec::new, |scratch, (i, to)| {
            to.copy_from_slice(rows.segment(i, columns.clone(), scratch));
        });
        let part = |block: Block| {
            let values = &panel[block.start * width..block.end * width];
            ArrayView2::from_shape((block.len(), width), values).expect("a block of the panel")
        };
        tiles.each(|of, with, tile, (): &mut ()| {
            if progress.interrupted() {
                return;
            }
            let tile = ArrayViewMut2::from_shape((of.len(), with.len()), tile).expect("its shape");
            if of == with {
                linalg::gram(tile, part(of).reversed_axes());
            } else {
                linalg::multiply_add(tile, part(of), part(with).reversed_axes());
            }
        });
    })?;
    drop(panel);
    let gram = tiles.into_matrix();
    check_diagonal(gram.diag().iter().copied().enumerate())?;
    Ok(gram)
}

/// The dot products of bytes that [`rounded`] is made of, where this processor has them.
pub(super) struct ByteProducts(GemmExecutor<u8, i8, i32>);

impl ByteProducts {
    /// `None` where the processor would add pairs of products in sixteen bits, which overflow.
    pub fn of_this_processor() -> Option<Self> {
        let products = GemmExecutor::default();
        (!products.may_saturate()).then_some(Self(products))
    }
}

/// A block of rows of one panel, rounded, and packed for both sides of a product: `q + 128` on the left,
/// which takes unsigned bytes, `q` on the right.
struct RoundedBlock {
    scales: Vec<f32>,
    /// `128 Σ_k q_k` of every row: what the left side's 128 adds to its products.
    offsets: Vec<i32>,
    left: PackedAMatrix<u8>,
    right: PackedBMatrix<i8>,
}

/// `X·Xᵀ` by products of values rounded to eight bits; the diagonal is exact.
///
/// # Errors
/// [`Error::Numerical`] naming the first row that is not finite; [`Error::Interrupted`].
pub(super) fn rounded(
    rows: &dyn Rows,
    products: &ByteProducts,
    progress: &dyn Progress,
) -> Result<Array2<f32>> {
    let ByteProducts(products) = products;
    let n = rows.len();
    let mut tiles = Tiles::new(n, ROUNDED_TILE);
    let blocks = tiles.blocks();
    let mut squares = vec![0.0f64; n];
    over_panels(rows.dim(), ROUNDED_PANEL, progress, |columns| {
        let width = columns.len();
        let round = |(block, squares): (&Block, &mut [f64])| {
            let mut scratch = Vec::new();
            let (mut scales, mut offsets) = (Vec::new(), Vec::new());
            let (mut unsigned, mut signed) =
                (vec![ZERO; block.len() * width], vec![0i8; block.len() * width]);
            let bytes = unsigned.chunks_mut(width).zip(signed.chunks_mut(width));
            for ((i, square), (unsigned, signed)) in block.rows().zip(squares).zip(bytes) {
                let values = rows.segment(i, columns.clone(), &mut scratch);
                *square += linalg::dot(values, values);
                scales.push(round_to_bytes(values, unsigned, signed));
                let sum: i32 = signed.iter().map(|&q| i32::from(q)).sum();
                offsets.push(i32::from(ZERO) * sum);
            }
            let shape = [block.len(), width];
            let left = NdTensorView::<u8, 2>::from_data(shape, &unsigned[..]);
            let right = NdTensorView::<i8, 2>::from_data(shape, &signed[..]);
            RoundedBlock {
                scales,
                offsets,
                left: products.prepack_a(left),
                right: products.prepack_b(right.transposed()),
            }
        };
        let panel: Vec<RoundedBlock> =
            blocks.par_iter().zip(squares.par_chunks_mut(ROUNDED_TILE)).map(round).collect();
        tiles.each(|of, with, tile, sums| {
            if progress.interrupted() {
                return;
            }
            let (of, with) = (&panel[of.index], &panel[with.index]);
            add_rounded_products(products, of, with, tile, sums);
        });
    })?;
    let mut gram = tiles.into_matrix();
    gram.diag_mut().iter_mut().zip(&squares).for_each(|(to, &square)| *to = square as f32);
    check_diagonal(gram.diag().iter().copied().enumerate())?;
    Ok(gram)
}

/// Writes `q + 128` and `q`; returns the scale. A row without a finite largest value becomes zeros.
fn round_to_bytes(values: &[f32], unsigned: &mut [u8], signed: &mut [i8]) -> f32 {
    crate::widest!(<'a> |values: &'a [f32], unsigned: &'a mut [u8], signed: &'a mut [i8]| -> f32 {
        const LANES: usize = linalg::LANES;
        let mut largest = [0.0f32; LANES];
        let (whole, rest) = values.as_chunks::<LANES>();
        for values in whole {
            for lane in 0..LANES {
                largest[lane] = largest[lane].max(values[lane].abs());
            }
        }
        for value in rest {
            largest[0] = largest[0].max(value.abs());
        }
        let largest = linalg::fold_lanes(largest, f32::max);
        let per_value = LEVELS / largest;
        if !per_value.is_finite() {
            return 0.0;
        }
        let each = values.iter().zip(unsigned.iter_mut()).zip(signed.iter_mut());
        for ((value, unsigned), signed) in each {
            // Added to 1.5·2²³, a small number is rounded to the nearest whole one in the low bits.
            let whole = (value * per_value + 12_582_912.0).to_bits() as u8;
            *signed = whole as i8;
            *unsigned = whole.wrapping_add(ZERO);
        }
        largest / LEVELS
    })
}

/// `tile ← tile + s_i s_j Σ_k q_ik q_jk`.
fn add_rounded_products(
    products: &GemmExecutor<u8, i8, i32>,
    of: &RoundedBlock,
    with: &RoundedBlock,
    tile: &mut [f32],
    sums: &mut Vec<i32>,
) {
    sums.resize(tile.len(), 0);
    let (left, right) = (GemmInputA::Packed(&of.left), GemmInputB::Packed(&with.right));
    // A zero point of a packed left side is not taken off as it should be (rten-gemm 0.27).
    products.gemm(sums, left, right, GemmOptions::default()).expect("blocks of one panel fit");
    let width = with.scales.len();
    for ((tile, sums), &scale) in tile.chunks_mut(width).zip(sums.chunks(width)).zip(&of.scales) {
        add_scaled(tile, sums, scale, with);
    }
}

/// One row of a tile.
fn add_scaled(tile: &mut [f32], sums: &[i32], scale: f32, with: &RoundedBlock) {
    let (scales, offsets) = (&with.scales[..], &with.offsets[..]);
    crate::widest!(<'a> |tile: &'a mut [f32], sums: &'a [i32], scales: &'a [f32], offsets: &'a [i32], scale: f32| -> () {
        let each = tile.iter_mut().zip(sums).zip(scales).zip(offsets);
        for (((to, sum), other), offset) in each {
            *to += scale * other * (sum - offset) as f32;
        }
    });
}

/// Calls `add` for one panel of columns after the other. It may leave out what is left of a panel when
/// the user has asked to stop: nothing comes of it then.
fn over_panels(
    dim: usize,
    panel: usize,
    progress: &dyn Progress,
    mut add: impl FnMut(std::ops::Range<usize>),
) -> Result<()> {
    progress.begin("Gram matrix", dim as u64, "columns");
    for start in (0..dim).step_by(panel) {
        if progress.interrupted() {
            progress.end();
            return Err(Error::Interrupted);
        }
        let columns = start..(start + panel).min(dim);
        let width = columns.len();
        add(columns);
        progress.advance(width as u64);
    }
    progress.end();
    if progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}

/// A run of neighbouring rows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Block {
    index: usize,
    start: usize,
    end: usize,
}

impl Block {
    fn len(self) -> usize {
        self.end - self.start
    }

    fn rows(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// The lower triangle of an `n × n` matrix in tiles: block `i` of rows with block `j ≤ i`.
struct Tiles {
    n: usize,
    side: usize,
    tiles: Vec<(usize, usize, Vec<f32>)>,
}

impl Tiles {
    fn new(n: usize, side: usize) -> Self {
        let mut tiles = Self { n, side, tiles: Vec::new() };
        let blocks = tiles.blocks();
        for (i, of) in blocks.iter().enumerate() {
            let row = blocks[..=i].iter();
            tiles.tiles.extend(row.map(|with| (i, with.index, vec![0.0; of.len() * with.len()])));
        }
        tiles
    }

    fn block(&self, index: usize) -> Block {
        let start = index * self.side;
        Block { index, start, end: (start + self.side).min(self.n) }
    }

    fn blocks(&self) -> Vec<Block> {
        (0..self.n.div_ceil(self.side)).map(|index| self.block(index)).collect()
    }

    /// Calls `add` with the rows, the columns and the values of every tile, in parallel, and with memory
    /// that goes from tile to tile.
    fn each<S: Default>(&mut self, add: impl Fn(Block, Block, &mut [f32], &mut S) + Sync) {
        let blocks = self.blocks();
        let tiles = self.tiles.par_iter_mut();
        tiles.for_each_init(S::default, |scratch, (i, j, tile)| {
            add(blocks[*i], blocks[*j], tile, scratch);
        });
    }

    /// The full symmetric matrix. Of a tile on the diagonal only the lower half is read.
    fn into_matrix(mut self) -> Array2<f32> {
        let n = self.n;
        let mut full = Array2::zeros((n, n));
        let to = full.as_slice_mut().expect("a fresh array is row-major");
        // A tile is dropped once it is copied, and the system gives memory to the matrix as it is
        // written: the two are never there in full.
        for (i, j, tile) in std::mem::take(&mut self.tiles) {
            let (rows, columns) = (self.block(i), self.block(j));
            let width = columns.len();
            // The mirror image of a tile on the diagonal has an empty lower half, written below.
            let strips = to[columns.start * n..columns.end * n].par_chunks_mut(MIRRORED * n);
            strips.enumerate().for_each(|(strip, to)| {
                mirror(&tile[strip * MIRRORED..], width, &mut to[rows.start..], n);
            });
            let to = to[rows.start * n..rows.end * n].par_chunks_mut(n);
            to.zip(tile.par_chunks(width)).enumerate().for_each(|(r, (to, from))| {
                let end = if i == j { r + 1 } else { width };
                to[columns.start..][..end].copy_from_slice(&from[..end]);
            });
        }
        full
    }
}

/// Columns of a tile that are mirrored together, so that neighbours read from a row are used before it
/// leaves the cache.
const MIRRORED: usize = 16;

/// Writes the first columns of a tile (rows of `width`) to the rows of `to`, which are `stride` apart and
/// of which there are [`MIRRORED`] at most.
fn mirror(tile: &[f32], width: usize, to: &mut [f32], stride: usize) {
    for (row, from) in tile.chunks(width).enumerate() {
        for (to, &value) in to.chunks_mut(stride).zip(from) {
            to[row] = value;
        }
    }
}

/// Squared norms tell of a NaN or an infinity anywhere in a row.
///
/// # Errors
/// [`Error::Numerical`] naming the first such row.
pub(super) fn check_diagonal(squares: impl Iterator<Item = (usize, f32)>) -> Result<()> {
    for (row, square) in squares {
        if !square.is_finite() {
            return Err(failed(format!(
                "row {row} (counted from 0) holds a NaN, an infinite value, or values whose squares \
                 do not fit f32; encode that image again or leave it out"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::random::Seed;

    fn rows(n: usize, dim: usize) -> Array2<f32> {
        let mut stream = Seed(6).stream("gram", 0);
        Array2::from_shape_simple_fn((n, dim), || stream.normal() as f32)
    }

    /// Several tiles and panels, and an uneven rest of either.
    #[test]
    fn the_gram_matrix_matches_plain_products() {
        let x = rows(4 * TILE[0] + 9, ROUNDED_PANEL + 21);
        let exact = x.mapv(f64::from);
        let n = x.nrows();
        let view = x.view();
        // A thousand products of order one, in f32; rounded, each of the 4,117 is off by up to 2 %.
        let mut matrices = vec![(super::exact(&view, &Silent).unwrap(), 2e-3)];
        if let Some(products) = ByteProducts::of_this_processor() {
            matrices.push((rounded(&view, &products, &Silent).unwrap(), 5.0));
        }
        for (gram, tolerance) in matrices {
            for i in (0..n).step_by(37).chain([TILE[0], ROUNDED_TILE - 1, ROUNDED_TILE, n - 1]) {
                let expected = exact.dot(&exact.row(i));
                let near = |(&a, &b): (&f32, &f64)| (f64::from(a) - b).abs() < tolerance;
                assert!(gram.row(i).iter().zip(&expected).all(near), "row {i}");
                assert!((f64::from(gram[[i, i]]) - expected[i]).abs() < 2e-3);
            }
            assert_eq!(gram, gram.t());
        }
    }

    /// The formula of the head of this file, value by value; an empty row and one of a single value.
    #[test]
    fn rounded_products_are_those_of_the_rounded_values() {
        let Some(products) = ByteProducts::of_this_processor() else { return };
        let mut x = rows(7, ROUNDED_PANEL + 5);
        x.row_mut(2).fill(0.0);
        x.row_mut(3).fill(0.0);
        x[[3, ROUNDED_PANEL + 1]] = -4.0;
        let rounded_values = Array2::from_shape_fn(x.dim(), |(i, k)| {
            let panel = if k < ROUNDED_PANEL { 0..ROUNDED_PANEL } else { ROUNDED_PANEL..x.ncols() };
            let largest = panel.map(|k| x[[i, k]].abs()).fold(0.0, f32::max);
            let scale = f64::from(largest / LEVELS);
            if scale == 0.0 { 0.0 } else { (f64::from(x[[i, k]]) / scale).round() * scale }
        });
        let expected = rounded_values.dot(&rounded_values.t());
        let gram = rounded(&x.view(), &products, &Silent).unwrap();
        for ((i, j), &got) in gram.indexed_iter() {
            let expected = if i == j {
                linalg::dot(x.row(i).as_slice().unwrap(), x.row(i).as_slice().unwrap())
            } else {
                expected[[i, j]]
            };
            assert!((f64::from(got) - expected).abs() < 1e-3, "{i} {j}: {got} {expected}");
        }
        assert!(gram.row(2).iter().all(|&v| v == 0.0));
    }

    #[test]
    fn a_row_that_is_not_finite_is_named() {
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut x = rows(5, 40);
            x[[3, 11]] = bad;
            let view = x.view();
            let mut results = vec![exact(&view, &Silent)];
            results.extend(
                ByteProducts::of_this_processor()
                    .map(|products| rounded(&view, &products, &Silent)),
            );
            for result in results {
                assert!(result.err().unwrap().to_string().contains("row 3"));
            }
        }
    }
}
