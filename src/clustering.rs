//! k-means: k-means++ seeding (Arthur & Vassilvitskii 2007), then Lloyd iterations.
//!
//! Rows are assigned by `argmax_k x·c_k − ½‖c_k‖²`, one matrix product a block, on rows centred at
//! the data's mean. Sums are taken over fixed parts of rows and added in order, so that the result
//! is the same for any number of threads. An emptied cluster moves to the row furthest from its
//! centre.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS, LANES, Pool};
use crate::progress::Progress;
use crate::random::Seed;
use crate::widest;

/// k-means++ looks at this many rows per centre, drawn at random; more does not help a start.
pub(crate) const SEEDING_ROWS_PER_CENTRE: usize = 128;

/// The result of k-means.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// `K × D` centres.
    pub centres: Array2<f32>,
    /// The nearest of `centres` for every row.
    pub assignment: Vec<u32>,
    /// Sum of squared distances to the nearest centre: before each iteration, and last under the
    /// returned centres.
    pub inertia: Vec<f64>,
}

/// Clusters `rows` (`N × D`, `N ≥ components`) with at most `iterations` Lloyd iterations; it ends
/// early when no row changes its cluster.
///
/// # Errors
/// [`Error::Interrupted`] when the caller asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    components: usize,
    iterations: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Clusters> {
    let start = plus_plus(rows, components, seed, progress)?;
    lloyd(rows, start, iterations, progress)
}

/// k-means++ centres: each next one is drawn with probability proportional to the squared distance
/// to the nearest centre so far.
fn plus_plus(
    rows: ArrayView2<'_, f32>,
    components: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Array2<f32>> {
    let mut stream = seed.stream("kmeans++", 0);
    let picked = stream.sample(rows.nrows(), components * SEEDING_ROWS_PER_CENTRE);
    let sample = rows.select(Axis(0), &picked);
    let dim = rows.ncols();
    let values = sample.as_slice().expect("a selection is row-major");

    progress.begin("k-means++", components as u64, "centres");
    let mut nearest = vec![f32::INFINITY; sample.nrows()];
    let mut centres = Array2::zeros((components, dim));
    for k in 0..components {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let total: f64 = nearest.iter().map(|&d| f64::from(d)).sum();
        let chosen = if k == 0 || total <= 0.0 {
            stream.below(sample.nrows())
        } else {
            draw(&nearest, total * stream.unit())
        };
        let centre = sample.row(chosen).to_owned();
        centres.row_mut(k).assign(&centre);
        let point = centre.as_slice().expect("a row is contiguous");
        values.par_chunks(BLOCK_ROWS * dim).zip(nearest.par_chunks_mut(BLOCK_ROWS)).for_each(
            |(block, distances)| {
                linalg::keep_smaller_distances(block, point, distances);
            },
        );
        progress.advance(1);
    }
    progress.end();
    Ok(centres)
}

/// The index at which the running sum of `weights` exceeds `target`.
fn draw(weights: &[f32], mut target: f64) -> usize {
    let mut last_positive = 0;
    for (i, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            last_positive = i;
            target -= f64::from(weight);
            if target < 0.0 {
                break;
            }
        }
    }
    last_positive
}

/// Lloyd iterations from given centres (`K × D`).
///
/// # Errors
/// [`Error::Interrupted`] when the caller asked to stop.
pub fn lloyd(
    rows: ArrayView2<'_, f32>,
    mut centres: Array2<f32>,
    iterations: usize,
    progress: &dyn Progress,
) -> Result<Clusters> {
    let mut state = Lloyd {
        rows: rows.as_slice().expect("training rows are row-major"),
        mean: linalg::mean_of_rows(rows),
        assignment: vec![u32::MAX; rows.nrows()],
        distances: vec![0.0; rows.nrows()],
        parts: Vec::new(),
        buffers: Pool::default(),
    };
    let mut inertia = Vec::new();
    progress.begin("k-means", iterations as u64, "iterations");
    for iteration in 0..=iterations {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        state.assign(&centres);
        inertia.push(state.parts.iter().map(|part| part.inertia).sum());
        if iteration == iterations || !state.parts.iter().any(|part| part.changed) {
            break;
        }
        state.update(&mut centres);
        progress.advance(1);
    }
    progress.end();
    Ok(Clusters { centres, assignment: state.assignment, inertia })
}

/// What Lloyd iterations hand on.
struct Lloyd<'r> {
    /// `N × D`.
    rows: &'r [f32],
    mean: Vec<f32>,
    assignment: Vec<u32>,
    /// Squared, to the nearest centre.
    distances: Vec<f32>,
    /// Sums of fixed parts of the rows, added up in order.
    parts: Vec<Share>,
    buffers: Pool<Buffers>,
}

/// What one part of the rows adds to an iteration.
#[derive(Default)]
struct Share {
    /// Of centred rows, `K × D`.
    sums: Vec<f64>,
    counts: Vec<u64>,
    inertia: f64,
    changed: bool,
}

/// Buffers of one worker.
#[derive(Default)]
struct Buffers {
    centred: Vec<f32>,
    scores: Vec<f32>,
    nearest: Vec<u32>,
    best: Vec<f32>,
}

impl Lloyd<'_> {
    /// Assigns every row to its nearest centre and sums the rows of each.
    fn assign(&mut self, centres: &Array2<f32>) {
        let (k, dim) = centres.dim();
        let mean = &self.mean[..];
        let centred = centres - &ArrayView2::from_shape((1, dim), mean).expect("one row of means");
        let half_norms: Vec<f32> = centred
            .rows()
            .into_iter()
            .map(|c| (-0.5 * c.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>()) as f32)
            .collect();
        let part_rows = linalg::task_rows(self.assignment.len());
        self.parts.resize_with(self.assignment.len().div_ceil(part_rows), Share::default);
        let buffers = &self.buffers;
        self.rows
            .par_chunks(part_rows * dim)
            .zip(self.assignment.par_chunks_mut(part_rows))
            .zip(self.distances.par_chunks_mut(part_rows))
            .zip(&mut self.parts)
            .with_max_len(1)
            .for_each(|(((rows, assignment), distances), part)| {
                part.clear(k, dim);
                buffers.with(|buffers| {
                    for ((rows, assignment), distances) in rows
                        .chunks(BLOCK_ROWS * dim)
                        .zip(assignment.chunks_mut(BLOCK_ROWS))
                        .zip(distances.chunks_mut(BLOCK_ROWS))
                    {
                        buffers.centre(rows, mean);
                        buffers.find_nearest(&centred, &half_norms);
                        part.changed |= assignment != buffers.nearest;
                        assignment.copy_from_slice(&buffers.nearest);
                        part.add(buffers, dim, distances);
                    }
                });
            });
    }

    /// New centres: the means of their rows; emptied ones take the rows furthest from their centres.
    fn update(&self, centres: &mut Array2<f32>) {
        let (k, dim) = centres.dim();
        let counts: Vec<u64> =
            (0..k).map(|k| self.parts.iter().map(|part| part.counts[k]).sum()).collect();
        let values = centres.as_slice_mut().expect("centres are row-major");
        values.par_chunks_mut(dim).zip(&counts).enumerate().for_each(|(k, (centre, &count))| {
            if count == 0 {
                return;
            }
            let mut sums = vec![0.0; dim];
            for part in &self.parts {
                let part = &part.sums[k * dim..(k + 1) * dim];
                sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
            for ((value, sum), &mean) in centre.iter_mut().zip(sums).zip(&self.mean) {
                *value = (f64::from(mean) + sum / count as f64) as f32;
            }
        });
        let emptied: Vec<usize> = (0..k).filter(|&k| counts[k] == 0).collect();
        for (k, row) in emptied.iter().zip(self.furthest(emptied.len())) {
            let row = &self.rows[row * dim..(row + 1) * dim];
            centres.row_mut(*k).assign(&ndarray::ArrayView1::from(row));
        }
    }

    /// The `count` rows furthest from their centres, the furthest first; of equals the first.
    fn furthest(&self, count: usize) -> Vec<usize> {
        if count == 0 {
            return Vec::new();
        }
        let further =
            |a: &usize, b: &usize| self.distances[*b].total_cmp(&self.distances[*a]).then(a.cmp(b));
        let mut rows: Vec<usize> = (0..self.distances.len()).collect();
        if count < rows.len() {
            rows.select_nth_unstable_by(count, further);
            rows.truncate(count);
        }
        rows.sort_unstable_by(further);
        rows
    }
}

impl Buffers {
    /// Rows less `mean`.
    fn centre(&mut self, rows: &[f32], mean: &[f32]) {
        self.centred.resize(rows.len(), 0.0);
        let out = &mut self.centred[..];
        widest!(<'a> |rows: &'a [f32], mean: &'a [f32], out: &'a mut [f32]| -> () {
            for (row, out) in rows.chunks_exact(mean.len()).zip(out.chunks_exact_mut(mean.len())) {
                for ((out, x), m) in out.iter_mut().zip(row).zip(mean) {
                    *out = x - m;
                }
            }
        });
    }

    /// The nearest of `centres` for every centred row, and its `x·c − ½‖c‖²`.
    fn find_nearest(&mut self, centres: &Array2<f32>, half_norms: &[f32]) {
        let (k, dim) = centres.dim();
        let n = self.centred.len() / dim;
        self.scores.resize(n * k, 0.0);
        self.nearest.resize(n, 0);
        self.best.resize(n, 0.0);
        let x = ArrayView2::from_shape((n, dim), &self.centred).expect("whole rows");
        let scores = ArrayViewMut2::from_shape((n, k), &mut self.scores).expect("sized above");
        linalg::multiply(scores, x, centres.t());
        linalg::argmax_rows(&self.scores, half_norms, &mut self.nearest, &mut self.best);
    }
}

impl Share {
    fn clear(&mut self, k: usize, dim: usize) {
        self.sums.clear();
        self.sums.resize(k * dim, 0.0);
        self.counts.clear();
        self.counts.resize(k, 0);
        (self.inertia, self.changed) = (0.0, false);
    }

    /// Adds the centred rows in `buffers` to the sums of their clusters.
    fn add(&mut self, buffers: &Buffers, dim: usize, distances: &mut [f32]) {
        let (sums, counts) = (&mut self.sums[..], &mut self.counts[..]);
        let Buffers { centred, nearest, best, .. } = buffers;
        let (rows, nearest, best) = (&centred[..], &nearest[..], &best[..]);
        let inertia = widest!(<'a> |sums: &'a mut [f64], counts: &'a mut [u64], dim: usize, rows: &'a [f32], nearest: &'a [u32], best: &'a [f32], distances: &'a mut [f32]| -> f64 {
            let mut inertia = 0.0;
            for (i, row) in rows.chunks_exact(dim).enumerate() {
                let cluster = nearest[i] as usize;
                counts[cluster] += 1;
                let (blocks, rest) = row.as_chunks::<LANES>();
                let sums = &mut sums[cluster * dim..(cluster + 1) * dim];
                let (sum_blocks, sum_rest) = sums.as_chunks_mut::<LANES>();
                let mut norms = [0.0f32; LANES];
                for (block, sums) in blocks.iter().zip(sum_blocks) {
                    for lane in 0..LANES {
                        sums[lane] += f64::from(block[lane]);
                        norms[lane] = block[lane].mul_add(block[lane], norms[lane]);
                    }
                }
                for ((&value, sum), norm) in rest.iter().zip(sum_rest).zip(&mut norms) {
                    *sum += f64::from(value);
                    *norm += value * value;
                }
                let norm = linalg::fold_lanes(norms, |a, b| a + b);
                let distance = norm - 2.0 * best[i];
                distances[i] = if distance > 0.0 { distance } else { 0.0 };
                inertia += f64::from(distances[i]);
            }
            inertia
        });
        self.inertia += inertia;
    }
}
