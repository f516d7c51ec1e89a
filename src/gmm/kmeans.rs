//! k-means: k-means++ seeding (Arthur & Vassilvitskii 2007), then Lloyd iterations.
//!
//! Rows are assigned by `argmax_k x·c_k − ½‖c_k‖²`, one matrix product a block, on rows centred at
//! the data's mean. Sums are taken over fixed parts of rows and added in order, so that the result
//! is the same for any number of threads. An emptied cluster moves to the row furthest from its
//! centre.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::PART_ROWS;
use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS};
use crate::progress::Progress;
use crate::random::Seed;
use crate::widest;

/// k-means++ looks at this many rows per centre, drawn at random; more does not help a start.
const SEEDING_ROWS_PER_CENTRE: usize = 128;

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

/// One part's share of a Lloyd iteration.
struct Part {
    sums: Array2<f64>,
    counts: Vec<u64>,
    inertia: f64,
    changed: bool,
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
    let mean = mean_of_rows(rows);
    let mut assignment = vec![u32::MAX; rows.nrows()];
    let mut distances = vec![0.0f32; rows.nrows()];
    let mut inertia = Vec::new();
    progress.begin("k-means", iterations as u64, "iterations");
    for iteration in 0..=iterations {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let parts = assign(rows, &mean, &centres, &mut assignment, &mut distances);
        inertia.push(parts.iter().map(|part| part.inertia).sum());
        if iteration == iterations || !parts.iter().any(|part| part.changed) {
            break;
        }
        update(rows, &parts, &distances, &mut centres);
        progress.advance(1);
    }
    progress.end();
    Ok(Clusters { centres, assignment, inertia })
}

/// Buffers of one worker.
struct Buffers {
    centred: Array2<f32>,
    scores: Array2<f32>,
    nearest: Vec<u32>,
    best: Vec<f32>,
}

/// Assigns every row to its nearest centre and sums the rows of each.
fn assign(
    rows: ArrayView2<'_, f32>,
    mean: &[f32],
    centres: &Array2<f32>,
    assignment: &mut [u32],
    distances: &mut [f32],
) -> Vec<Part> {
    let (k, dim) = centres.dim();
    let centred = centres - &ArrayView2::from_shape((1, dim), mean).expect("one row of means");
    let half_norms: Vec<f32> = centred
        .rows()
        .into_iter()
        .map(|c| (-0.5 * c.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>()) as f32)
        .collect();
    let buffers = || Buffers {
        centred: Array2::zeros((BLOCK_ROWS, dim)),
        scores: Array2::zeros((BLOCK_ROWS, k)),
        nearest: vec![0; BLOCK_ROWS],
        best: vec![0.0; BLOCK_ROWS],
    };
    let values = rows.as_slice().expect("training rows are row-major");
    values
        .par_chunks(PART_ROWS * dim)
        .zip(assignment.par_chunks_mut(PART_ROWS))
        .zip(distances.par_chunks_mut(PART_ROWS))
        .map_init(buffers, |buffers, ((values, assignment), distances)| {
            let mut part = Part {
                sums: Array2::zeros((k, dim)),
                counts: vec![0; k],
                inertia: 0.0,
                changed: false,
            };
            for ((values, assignment), distances) in values
                .chunks(BLOCK_ROWS * dim)
                .zip(assignment.chunks_mut(BLOCK_ROWS))
                .zip(distances.chunks_mut(BLOCK_ROWS))
            {
                let n = assignment.len();
                let mut x = buffers.centred.slice_mut(s![..n, ..]);
                subtract_from_rows(values, mean, contiguous(&mut x));
                let mut scores = buffers.scores.slice_mut(s![..n, ..]);
                linalg::multiply(scores.view_mut(), x.view(), centred.t());
                let scores = contiguous(&mut scores);
                linalg::add_to_rows(scores, &half_norms);
                let (nearest, best) = (&mut buffers.nearest[..n], &mut buffers.best[..n]);
                linalg::argmax_rows(scores, k, nearest, best);
                part.changed |= assignment != nearest;
                assignment.copy_from_slice(nearest);
                part.add(contiguous(&mut x), nearest, best, distances);
            }
            // Back to the data's own coordinates.
            for (mut sums, &count) in part.sums.rows_mut().into_iter().zip(&part.counts) {
                sums.iter_mut().zip(mean).for_each(|(sum, &m)| *sum += f64::from(m) * count as f64);
            }
            part
        })
        .collect()
}

fn contiguous<'a>(rows: &'a mut ArrayViewMut2<'_, f32>) -> &'a mut [f32] {
    rows.as_slice_mut().expect("leading rows of a buffer are contiguous")
}

impl Part {
    /// Adds rows to the sums of their clusters; `best` is `x·c − ½‖c‖²` of the nearest centre.
    fn add(&mut self, rows: &[f32], nearest: &[u32], best: &[f32], distances: &mut [f32]) {
        let dim = self.sums.ncols();
        let (sums, counts) =
            (self.sums.as_slice_mut().expect("sums are row-major"), &mut self.counts);
        let inertia = widest!(<'a> |sums: &'a mut [f64], counts: &'a mut [u64], dim: usize, rows: &'a [f32], nearest: &'a [u32], best: &'a [f32], distances: &'a mut [f32]| -> f64 {
            let mut inertia = 0.0;
            for (i, row) in rows.chunks_exact(dim).enumerate() {
                let cluster = nearest[i] as usize;
                counts[cluster] += 1;
                let mut norms = [0.0f32; 16];
                let sums = &mut sums[cluster * dim..(cluster + 1) * dim];
                for (j, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += f64::from(value);
                    norms[j % 16] += value * value;
                }
                let mut norm = 0.0;
                for lane in norms {
                    norm += lane;
                }
                let distance = norm - 2.0 * best[i];
                distances[i] = if distance > 0.0 { distance } else { 0.0 };
                inertia += f64::from(distances[i]);
            }
            inertia
        });
        self.inertia += inertia;
    }
}

fn subtract_from_rows(rows: &[f32], mean: &[f32], out: &mut [f32]) {
    widest!(<'a> |rows: &'a [f32], mean: &'a [f32], out: &'a mut [f32]| -> () {
        for (row, out) in rows.chunks_exact(mean.len()).zip(out.chunks_exact_mut(mean.len())) {
            for j in 0..mean.len() {
                out[j] = row[j] - mean[j];
            }
        }
    });
}

/// New centres: the means of their rows; emptied ones take the rows furthest from their centres.
fn update(rows: ArrayView2<'_, f32>, parts: &[Part], distances: &[f32], centres: &mut Array2<f32>) {
    let mut emptied = Vec::new();
    for k in 0..centres.nrows() {
        let count: u64 = parts.iter().map(|part| part.counts[k]).sum();
        if count == 0 {
            emptied.push(k);
            continue;
        }
        for j in 0..centres.ncols() {
            let sum: f64 = parts.iter().map(|part| part.sums[[k, j]]).sum();
            centres[[k, j]] = (sum / count as f64) as f32;
        }
    }
    if emptied.is_empty() {
        return;
    }
    let mut furthest: Vec<usize> = (0..distances.len()).collect();
    furthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
    for (k, row) in emptied.into_iter().zip(furthest) {
        centres.row_mut(k).assign(&rows.row(row));
    }
}

/// Mean of all rows, summed in f64.
pub(super) fn mean_of_rows(rows: ArrayView2<'_, f32>) -> Vec<f32> {
    let mut sums = vec![0.0f64; rows.ncols()];
    for row in rows.rows() {
        sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    sums.iter().map(|sum| (sum / rows.nrows().max(1) as f64) as f32).collect()
}
