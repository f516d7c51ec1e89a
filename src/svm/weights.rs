//! Passes over the rows that serve all machines: products with the weights, and weights from rows.
//!
//! The weights of `M` machines are kept in chunks of columns (`M × CHUNK` each), so that a chunk
//! stays in cache while the same columns of row after row meet it. Chunks are the unit of parallel
//! work; what they contribute to a product is added in their order, in f64.

use std::borrow::Borrow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::machine::Machine;
use super::products::{ROWS, add_rows, dots};
use crate::linalg::{self, Rows};

/// Columns of a chunk: four row segments (32 KB) stay in the first-level cache.
const CHUNK: usize = 2048;

/// The weights of `M` machines over `dim` columns.
pub(super) struct Weights {
    machines: usize,
    chunks: Vec<Chunk>,
}

struct Chunk {
    columns: Range<usize>,
    /// `M × columns`.
    weights: Vec<f32>,
    /// The block of rows that [`Weights::exchange`] fetched last, `rows × columns`.
    panel: Vec<f32>,
}

/// A block of rows as [`Weights::exchange`] found it.
pub(super) struct Exchange {
    /// `w·x_i`, `rows × M`.
    pub products: Vec<f64>,
    /// `X·Xᵀ` of the block, full, row-major.
    pub gram: Array2<f32>,
}

impl Weights {
    /// Weights of all machines zero.
    pub fn zeros(machines: usize, dim: usize) -> Self {
        let chunk = |start: usize| {
            let columns = start..(start + CHUNK).min(dim);
            let weights = vec![0.0; machines * columns.len()];
            Chunk { columns, weights, panel: Vec::new() }
        };
        Self { machines, chunks: (0..dim).step_by(CHUNK).map(chunk).collect() }
    }

    /// The given weights, `M × dim`.
    pub fn from_array(array: ArrayView2<'_, f32>) -> Self {
        let mut weights = Self::zeros(array.nrows(), array.ncols());
        for (m, row) in array.rows().into_iter().enumerate() {
            weights.set(m, &row.to_vec());
        }
        weights
    }

    /// Sets the weights of one machine.
    pub fn set(&mut self, machine: usize, weights: &[f32]) {
        for chunk in &mut self.chunks {
            let width = chunk.columns.len();
            chunk.weights[machine * width..(machine + 1) * width]
                .copy_from_slice(&weights[chunk.columns.clone()]);
        }
    }

    /// The weights of one machine.
    pub fn get(&self, machine: usize) -> Vec<f32> {
        let part = |chunk: &Chunk| {
            let width = chunk.columns.len();
            chunk.weights[machine * width..(machine + 1) * width].to_vec()
        };
        self.chunks.iter().flat_map(part).collect()
    }

    /// `w·x_i` of the given rows for every machine, `rows × M`.
    pub fn products(&self, rows: &dyn Rows, ids: &[usize]) -> Vec<f64> {
        let parts: Vec<Vec<f32>> = self
            .chunks
            .par_iter()
            .map(|chunk| {
                let mut scratch: [Vec<f32>; ROWS] = Default::default();
                let mut out = Vec::with_capacity(ids.len() * self.machines);
                let mut products = vec![[0.0; ROWS]; self.machines];
                for four in ids.chunks(ROWS) {
                    let segments = segments(rows, four, &chunk.columns, &mut scratch);
                    dots(segments, &chunk.weights, &mut products);
                    push_rows(&mut out, &products, four.len());
                }
                out
            })
            .collect();
        add_up(parts, ids.len() * self.machines)
    }

    /// Adds `factors` (`rows × M`) times the given rows to the weights.
    pub fn add(&mut self, rows: &dyn Rows, ids: &[usize], factors: &[f32]) {
        let machines = self.machines;
        self.chunks.par_iter_mut().for_each(|chunk| {
            let mut scratch: [Vec<f32>; ROWS] = Default::default();
            for (four, factors) in ids.chunks(ROWS).zip(factors.chunks(ROWS * machines)) {
                let segments = segments(rows, four, &chunk.columns, &mut scratch);
                add_rows(&mut chunk.weights, &by_machine(factors, machines), segments);
            }
        });
    }

    /// Adds `factors` (`rows × M`) times the block fetched last, then fetches the next block (no
    /// rows: none). Every value is read from the rows once.
    pub fn exchange(&mut self, rows: &dyn Rows, factors: &[f32], ids: &[usize]) -> Exchange {
        let (machines, size) = (self.machines, ids.len());
        let parts: Vec<(Vec<f32>, Array2<f32>)> = self
            .chunks
            .par_iter_mut()
            .map(|chunk| {
                let width = chunk.columns.len();
                let old = chunk.panel.chunks(ROWS * width);
                for (four, factors) in old.zip(factors.chunks(ROWS * machines)) {
                    let factors = by_machine(factors, machines);
                    add_rows(&mut chunk.weights, &factors, in_fours(four, width));
                }
                chunk.panel.resize(size * width, 0.0);
                let mut scratch = Vec::new();
                for (&i, to) in ids.iter().zip(chunk.panel.chunks_exact_mut(width)) {
                    to.copy_from_slice(rows.segment(i, chunk.columns.clone(), &mut scratch));
                }
                let mut out = Vec::with_capacity(size * machines);
                let mut products = vec![[0.0; ROWS]; machines];
                for four in chunk.panel.chunks(ROWS * width) {
                    dots(in_fours(four, width), &chunk.weights, &mut products);
                    push_rows(&mut out, &products, four.len() / width);
                }
                let panel = ArrayView2::from_shape((size, width), &chunk.panel).expect("a panel");
                let mut gram = Array2::zeros((size, size));
                linalg::gram(gram.view_mut(), panel.reversed_axes());
                (out, gram)
            })
            .collect();
        let mut gram = Array2::zeros((size, size));
        parts.iter().for_each(|(_, part)| gram += part);
        linalg::mirror_lower(&mut gram);
        let parts = parts.into_iter().map(|(out, _)| out).collect();
        Exchange { products: add_up(parts, size * machines), gram }
    }

    /// `‖w‖²` of every machine.
    pub fn squares(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.machines];
        for chunk in &self.chunks {
            let machines = chunk.weights.chunks_exact(chunk.columns.len());
            sums.iter_mut().zip(machines).for_each(|(sum, w)| *sum += linalg::dot(w, w));
        }
        sums
    }

    /// All weights, `M × dim`.
    pub fn to_array(&self) -> Array2<f32> {
        let dim = self.chunks.last().map_or(0, |chunk| chunk.columns.end);
        let mut all = Array2::zeros((self.machines, dim));
        for (m, mut to) in all.rows_mut().into_iter().enumerate() {
            to.assign(&ArrayView2::from_shape((1, dim), &self.get(m)).expect("one row").row(0));
        }
        all
    }
}

/// The given columns of up to four rows; a missing row repeats the last one.
fn segments<'a>(
    rows: &'a dyn Rows,
    four: &[usize],
    columns: &Range<usize>,
    scratch: &'a mut [Vec<f32>; ROWS],
) -> [&'a [f32]; ROWS] {
    let mut r = 0;
    scratch.each_mut().map(|scratch| {
        let i = four[r.min(four.len() - 1)];
        r += 1;
        rows.segment(i, columns.clone(), scratch)
    })
}

/// Up to four rows of a panel; a missing row repeats the last one.
fn in_fours(four: &[f32], width: usize) -> [&[f32]; ROWS] {
    let last = four.len() / width - 1;
    std::array::from_fn(|r| &four[r.min(last) * width..(r.min(last) + 1) * width])
}

/// `rows × M` factors of up to four rows as four factors per machine; a missing row has factor 0.
fn by_machine(factors: &[f32], machines: usize) -> Vec<[f32; ROWS]> {
    let at = |m: usize, r: usize| factors.get(r * machines + m).copied().unwrap_or(0.0);
    (0..machines).map(|m| std::array::from_fn(|r| at(m, r))).collect()
}

fn push_rows(out: &mut Vec<f32>, products: &[[f32; ROWS]], rows: usize) {
    for r in 0..rows {
        out.extend(products.iter().map(|p| p[r]));
    }
}

fn add_up(parts: Vec<Vec<f32>>, count: usize) -> Vec<f64> {
    let mut sums = vec![0.0; count];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += f64::from(value));
    }
    sums
}

/// Rows that are added in one step of [`from_rows`]; a multiple of [`ROWS`].
const ADDED_ROWS: usize = 256;

/// `Σ_i α_i y_i x_i` of every machine, in one pass over the rows.
pub(super) fn from_rows<M: Borrow<Machine>>(rows: &dyn Rows, machines: &[M]) -> Weights {
    let used = |i: &usize| machines.iter().any(|machine| machine.borrow().alpha[*i] > 0.0);
    let ids: Vec<usize> = (0..rows.len()).filter(used).collect();
    let signed = |machine: &Machine, i: usize| machine.alpha[i] * machine.sign[i];
    let mut weights = Weights::zeros(machines.len(), rows.dim());
    let mut blocks = ids.chunks(ADDED_ROWS).peekable();
    blocks.peek().into_iter().for_each(|first| soon(rows, first));
    while let Some(block) = blocks.next() {
        blocks.peek().into_iter().for_each(|next| soon(rows, next));
        let of_row = |&i: &usize| machines.iter().map(move |m| signed(m.borrow(), i));
        let factors: Vec<f32> = block.iter().flat_map(of_row).collect();
        weights.add(rows, block, &factors);
    }
    weights
}

/// Asks for rows, given in runs of neighbours.
pub(super) fn soon(rows: &dyn Rows, ids: &[usize]) {
    for near in ids.chunk_by(|a, b| a + 1 == *b) {
        rows.soon(near[0]..near[0] + near.len(), 0..rows.dim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn random(rows: usize, columns: usize, item: u64) -> Array2<f32> {
        let mut stream = Seed(4).stream("svm weights", item);
        Array2::from_shape_simple_fn((rows, columns), || stream.normal() as f32)
    }

    /// More columns than a chunk, and a number of rows that is not a multiple of four.
    #[test]
    fn passes_match_plain_products() {
        let (x, w) = (random(11, CHUNK + 37, 0), random(5, CHUNK + 37, 1));
        let view = x.view();
        let mut weights = Weights::from_array(w.view());
        assert_eq!(weights.to_array(), w);
        let ids = [7, 0, 3, 10, 9, 1];
        let picked = x.select(ndarray::Axis(0), &ids).mapv(f64::from);
        let near = |got: &[f64], expected: &Array2<f64>| {
            got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-3) // 2,000 f32 products
        };
        let expected = picked.dot(&w.t().mapv(f64::from));
        assert!(near(&weights.products(&view, &ids), &expected));
        let visit = weights.exchange(&view, &[], &ids);
        assert!(near(&visit.products, &expected));
        let gram = picked.dot(&picked.t());
        assert!(visit.gram.iter().zip(&gram).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-2));
        let factors = random(6, 5, 2);
        let flat = factors.as_slice().unwrap();
        let expected = w.mapv(f64::from) + factors.t().mapv(f64::from).dot(&picked);
        let mut added = Weights::from_array(w.view());
        added.add(&view, &ids, flat);
        weights.exchange(&view, flat, &[]);
        for got in [added, weights] {
            assert!(
                got.to_array().iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4)
            );
            let squares = expected.mapv(|v| v * v).sum_axis(ndarray::Axis(1));
            assert!(got.squares().iter().zip(&squares).all(|(a, b)| (a / b - 1.0).abs() < 1e-5));
        }
    }
}
