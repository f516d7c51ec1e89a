//! Dual coordinate descent on the Gram matrix of all rows, for `n` rows where `4·n²` bytes fit.
//!
//! `G = X·Xᵀ` (`n × n`, f32) is formed once, over panels of columns: each panel is fetched from the rows once, and the tiles of the lower triangle add
//! their products. After that a machine costs no pass over the rows, so that all folds, all classes
//! and all values of C share the one matrix. Weights `w = Σ α_i y_i x_i` of all machines take one
//! more pass over the rows.

use std::sync::Mutex;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use super::machine::{Machine, Variables, sweep};
use super::{Backend, Limits, weights};
use crate::linalg::{self, Rows};
use crate::progress::Progress;
use crate::random::Seed;
use crate::{Error, Result};

/// Columns fetched together: long enough for the product to run at full speed, and short enough
/// that a panel of 5,000 rows (41 MB) adds little to the matrices.
const PANEL: usize = 2048;

/// Least and most rows of a tile of the Gram matrix. Large tiles pay less for packing (5,000 rows of
/// 40,960 values: 5.9 s in tiles of 512, 5.6 s of 1,250), and some are needed for every thread.
const TILE: [usize; 2] = [256, 1280];

/// Rows of a tile for `n` rows: ten tiles or more in the lower triangle. A function of `n` alone, so
/// that the number of threads changes no bit.
fn tile_rows(n: usize) -> usize {
    n.div_ceil(4).clamp(TILE[0], TILE[1])
}

/// Most machines whose first sweeps share the reading of the Gram matrix: their products, 20 KB
/// each for 5,000 rows, stay in the second-level cache.
const GROUP: usize = 20;

/// Sweeps over all rows before each machine goes on with the rows that still move.
const SHARED_SWEEPS: usize = 10;

/// Most sweeps over those rows before all others are looked at again.
const ROUND_SWEEPS: usize = 50;

/// Sweeps between two looks at the gap of those rows.
const CHECK_SWEEPS: usize = 5;

/// The Gram matrix and the seed of the visiting orders.
pub(super) struct Gram<'a> {
    rows: &'a dyn Rows,
    gram: Array2<f32>,
    seed: Seed,
}

impl<'a> Gram<'a> {
    /// Forms the Gram matrix.
    ///
    /// # Errors
    /// [`Error::Numerical`] naming the first row that is not finite; [`Error::Interrupted`].
    pub fn new(rows: &'a dyn Rows, seed: Seed, progress: &dyn Progress) -> Result<Self> {
        let gram = matrix(rows, progress)?;
        check_diagonal(gram.diag().iter().copied().enumerate())?;
        Ok(Self { rows, gram, seed })
    }

    /// `X·Xᵀ`.
    pub fn matrix(&self) -> ArrayView2<'_, f32> {
        self.gram.view()
    }
}

/// `X·Xᵀ`, full and symmetric.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn matrix(rows: &dyn Rows, progress: &dyn Progress) -> Result<Array2<f32>> {
    let (n, dim) = (rows.len(), rows.dim());
    let side = tile_rows(n);
    let blocks = n.div_ceil(side);
    let range = |i: usize| i * side..((i + 1) * side).min(n);
    let mut tiles: Vec<(usize, usize, Vec<f32>)> = (0..blocks)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .map(|(i, j)| (i, j, vec![0.0; range(i).len() * range(j).len()]))
        .collect();
    let mut panel = vec![0.0f32; n * PANEL.min(dim)];
    progress.begin("Gram matrix", dim as u64, "columns");
    for start in (0..dim).step_by(PANEL) {
        if progress.interrupted() {
            progress.end();
            return Err(Error::Interrupted);
        }
        let columns = start..(start + PANEL).min(dim);
        let width = columns.len();
        let panel = &mut panel[..n * width];
        panel.par_chunks_mut(width).enumerate().for_each_init(Vec::new, |scratch, (i, to)| {
            to.copy_from_slice(rows.segment(i, columns.clone(), scratch));
        });
        let part = |i: usize| {
            let rows = range(i);
            let values = &panel[rows.start * width..rows.end * width];
            ArrayView2::from_shape((rows.len(), width), values).expect("a block of the panel")
        };
        tiles.par_iter_mut().for_each(|(i, j, tile)| {
            let shape = (range(*i).len(), range(*j).len());
            let tile = ArrayViewMut2::from_shape(shape, tile).expect("a tile of its blocks");
            if i == j {
                linalg::gram(tile, part(*i).reversed_axes());
            } else {
                linalg::multiply_add(tile, part(*i), part(*j).reversed_axes());
            }
        });
        progress.advance(width as u64);
    }
    drop(panel);
    progress.end();
    let mut full = Array2::zeros((n, n));
    let to = full.as_slice_mut().expect("a fresh array is row-major");
    // A tile is dropped once it is copied, and the system gives memory to the matrix as it is written:
    // the two are never there in full.
    for (i, j, tile) in tiles {
        let (rows, columns) = (range(i), range(j));
        let width = columns.len();
        // Of a tile on the diagonal the mirror image has an empty lower half, which is written below.
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
    Ok(full)
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
            return Err(Error::Numerical {
                what: super::TRAINING,
                problem: format!(
                    "row {row} (counted from 0) holds a NaN, an infinite value, or values whose \
                     squares do not fit f32; encode that image again or leave it out"
                ),
            });
        }
    }
    Ok(())
}

impl Backend for Gram<'_> {
    fn solve(
        &mut self,
        machines: &mut [Machine],
        limits: &Limits,
        progress: &dyn Progress,
    ) -> Result<()> {
        let squares = self.gram.diag().to_vec();
        let gram = self.gram.as_slice().expect("the Gram matrix is row-major");
        let problem = Problem { gram, squares: &squares, limits, seed: self.seed, progress };
        let mut live: Vec<&mut Machine> = machines.iter_mut().filter(|m| !m.done).collect();
        // Any grouping gives the same bits, since machines only share what they read.
        let group = live.len().div_ceil(rayon::current_num_threads()).clamp(1, GROUP);
        live.par_chunks_mut(group).try_for_each(|group| problem.begin(group))?;
        // Buffers go from machine to machine: fresh memory costs more than the sweeps in it.
        let spare: Mutex<Vec<Vec<f32>>> = Mutex::default();
        while !live.is_empty() {
            live.par_iter_mut().try_for_each(|machine| {
                let mut scratch =
                    spare.lock().expect("nothing panics here").pop().unwrap_or_default();
                let done = problem.round(machine, &mut scratch);
                spare.lock().expect("nothing panics here").push(scratch);
                done
            })?;
            self.refresh(&mut live);
            live.par_iter_mut().for_each(|machine| {
                machine.done = machine.objective().relative_gap() <= limits.tolerance;
            });
            let before = live.len();
            live.retain(|machine| !machine.done && machine.epochs < machine.last_epoch);
            progress.advance((before - live.len()) as u64);
        }
        Ok(())
    }

    fn weights(&self, machines: &[Machine]) -> Array2<f32> {
        weights::from_rows(self.rows, machines).to_array()
    }
}

impl Gram<'_> {
    /// Products and bias of all machines from their dual variables, afresh, in one reading of the
    /// Gram matrix. Steps leave rounding in the products, and rows at rest are not followed.
    pub fn refresh(&self, machines: &mut [&mut Machine]) {
        let (n, count) = (self.gram.nrows(), machines.len());
        let mut signed = Array2::zeros((count, n));
        for (mut to, machine) in signed.rows_mut().into_iter().zip(machines.iter_mut()) {
            machine.refresh_bias();
            let terms = machine.alpha.iter().zip(&machine.sign);
            to.iter_mut().zip(terms).for_each(|(to, (&a, &y))| *to = a * y);
        }
        let mut products = Array2::<f32>::zeros((n, count));
        let gram = self.gram.axis_chunks_iter(Axis(0), TILE[0]);
        let blocks: Vec<_> = gram.zip(products.axis_chunks_iter_mut(Axis(0), TILE[0])).collect();
        blocks.into_par_iter().for_each(|(gram, to)| linalg::multiply(to, gram, signed.t()));
        for (machine, column) in machines.iter_mut().zip(products.columns()) {
            machine.product.iter_mut().zip(column).for_each(|(to, &product)| *to = product);
        }
    }
}

/// What every machine reads.
struct Problem<'a> {
    gram: &'a [f32],
    /// The diagonal of `gram`, which would be one cache miss a row.
    squares: &'a [f32],
    limits: &'a Limits,
    seed: Seed,
    progress: &'a dyn Progress,
}

impl Problem<'_> {
    /// The order of one sweep over `n` rows, the same for all machines.
    fn shuffled(&self, epoch: usize, n: usize) -> Result<Vec<u32>> {
        if self.progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let mut order: Vec<u32> = (0..n as u32).collect();
        self.seed.stream("svm order", epoch as u64).shuffle(&mut order);
        Ok(order)
    }

    /// The first sweeps, in which most rows move: a group of machines shares the reading.
    fn begin(&self, group: &mut [&mut Machine]) -> Result<()> {
        let sweeps = SHARED_SWEEPS.min(self.limits.max_epochs);
        for machine in group.iter_mut() {
            machine.last_epoch = machine.epochs + self.limits.max_epochs;
            machine.epochs += sweeps;
        }
        let mut variables: Vec<Variables<'_>> =
            group.iter_mut().map(|machine| machine.variables()).collect();
        for epoch in 0..sweeps {
            let order = self.shuffled(epoch, self.squares.len())?;
            sweep(self.gram, self.squares, &order, &mut variables);
        }
        Ok(())
    }

    /// Sweeps over the rows that still move, on their own Gram matrix (in `scratch`).
    fn round(&self, machine: &mut Machine, scratch: &mut Vec<f32>) -> Result<()> {
        let n = self.squares.len();
        let active = machine.active();
        let mut part = machine.part(&active);
        scratch.clear();
        scratch.reserve(active.len() * active.len());
        for &i in &active {
            let row = &self.gram[i * n..(i + 1) * n];
            scratch.extend(active.iter().map(|&j| row[j]));
        }
        let squares: Vec<f32> = active.iter().map(|&i| self.squares[i]).collect();
        let goal = self.limits.tolerance * machine.objective().primal;
        let mut largest = 0.0;
        for sweeps in 1..=ROUND_SWEEPS.min(machine.last_epoch - machine.epochs) {
            let order = self.shuffled(machine.epochs, active.len())?;
            let mut variables = part.variables();
            variables.largest = largest;
            sweep(scratch, &squares, &order, std::slice::from_mut(&mut variables));
            largest = variables.largest;
            machine.epochs += 1;
            if sweeps % CHECK_SWEEPS == 0 && part.gap() <= goal {
                break;
            }
        }
        for (&i, &alpha) in active.iter().zip(&part.alpha) {
            machine.alpha[i] = alpha;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    /// Two tiles and an uneven rest, two panels and an uneven rest.
    #[test]
    fn the_gram_matrix_matches_plain_products() {
        let mut stream = Seed(6).stream("gram", 0);
        let (n, dim) = (4 * TILE[0] + 9, PANEL + 21);
        let x = Array2::from_shape_simple_fn((n, dim), || stream.normal() as f32);
        let gram = matrix(&x.view(), &Silent).unwrap();
        let exact = x.mapv(f64::from);
        // A thousand products of order one, in f32.
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 2e-3;
        for i in (0..n).step_by(37).chain([TILE[0], tile_rows(n) - 1, tile_rows(n), n - 1]) {
            let expected = exact.dot(&exact.row(i));
            assert!(gram.row(i).iter().zip(&expected).all(|(&a, &b)| near(a, b)), "row {i}");
        }
        assert_eq!(gram, gram.t());
    }
}
