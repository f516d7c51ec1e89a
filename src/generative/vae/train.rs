//! Training of the autoencoder: Adam on the lower bound, batch by batch.
//!
//! Batches are consecutive slices of a seeded permutation of the rows, drawn anew every pass; one draw ε a
//! row and pass. A batch is cut into pieces of [`PIECE`] rows, whose gradients are added in order.
//! Adam (KB15 in `docs/REFERENCES.md`) with its usual constants. There are as many passes as `max_iterations`, but not
//! more than [`PASSES`]: after these the bound of descriptors has settled, and more cost more.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::Vae;
use super::network::{Network, Pass, Sizes};
use crate::error::{Error, Result};
use crate::generative::parts::Sums;
use crate::generative::report::FamilyReport;
use crate::generative::scratch::Scratch;
use crate::generative::tasks::over_tasks;
use crate::generative::traits::Generative;
use crate::gmm::em::variance_floors;
use crate::gmm::{Assignment, Family, Params, StopReason, require_finite};
use crate::linalg::Pool;
use crate::progress::Progress;
use crate::random::Seed;

/// Most passes over the rows.
pub const PASSES: usize = 15;
/// Rows in a batch, and in the pieces that it is cut into.
pub const BATCH: usize = 256;
/// Rows of a piece of a batch.
pub const PIECE: usize = 64;
/// Step of Adam.
const LEARNING_RATE: f64 = 1e-3;
/// How long Adam remembers gradients and their squares.
const MEMORY: [f64; 2] = [0.9, 0.999];
/// What keeps Adam's quotient finite.
const EPSILON: f64 = 1e-8;
/// A column of less variance over the training rows (standardised ones) says nothing: its unit is 0 but for a
/// few rows, and divided by so little these would drown all else.
const LEAST_VARIANCE: f64 = 1e-8;
/// Parameters that one task of Adam updates.
const STRIPE: usize = 16_384;

/// Trains an autoencoder on `rows` (`N × D`).
///
/// # Errors
/// [`Error::Setting`] when there are fewer than two rows, [`Error::Numerical`] when a row is not finite, no
/// dimension varies, or the training broke off; [`Error::Interrupted`].
pub fn fit(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<(Vae, FamilyReport)> {
    let (n, dim) = rows.dim();
    Error::require(n >= 2, "sample.rows", n, "at least 2 rows to train an autoencoder")?;
    require_finite(rows)?;
    let sizes = Sizes { dim, code: params.factors, hidden: params.hidden };
    let (centre, scale) = unit_of(rows)?;
    // The floor of the variance, in the network's unit.
    let floor = |floor: f64| 0.5 * (floor / f64::from(scale).powi(2)).ln();
    let floors: Vec<f64> = variance_floors(rows, params).into_iter().map(floor).collect();
    let network = Network::random(sizes, &mut seed.stream("vae", 0));
    let passes = params.max_iterations.min(PASSES);
    let mut training = Training {
        first: vec![0.0; sizes.len()],
        second: vec![0.0; sizes.len()],
        steps: 0,
        network,
        floors: &floors,
    };
    let mut history = Vec::new();
    let mut order: Vec<usize> = (0..n).collect();
    let standardised = |row: usize| {
        let values = rows.row(row);
        let values = values.to_slice().expect("training rows are row-major");
        let each = values.iter().zip(&centre);
        each.map(|(&x, &c)| (f64::from(x) - f64::from(c)) / f64::from(scale)).collect::<Vec<_>>()
    };
    progress.begin("training of the vae", passes as u64, "passes");
    for pass in 0..passes {
        seed.stream("vae order", pass as u64).shuffle(&mut order);
        let mut noise = seed.stream("vae noise", pass as u64);
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let values: Vec<f64> = batch.iter().flat_map(|&row| standardised(row)).collect();
            let noise: Vec<f64> = (0..batch.len() * sizes.code).map(|_| noise.normal()).collect();
            sum += training.step(&values, &noise);
        }
        let bound = sum / n as f64;
        if !bound.is_finite() {
            return Err(broken());
        }
        // Densities of x, not of its standardised values.
        history.push(bound - dim as f64 * f64::from(scale).ln());
        progress.advance(1);
    }
    let floored = training.network.log_deviations().iter().zip(&floors);
    let floored = floored.filter(|(log, floor)| *log <= floor).count();
    let parameters: Vec<f32> = training.network.values().iter().map(|&v| v as f32).collect();
    let none = || Array2::zeros((sizes.hidden + 1, dim));
    let model = Vae::new(sizes, centre, scale, parameters, none(), none()).map_err(|_| broken())?;
    let model = measured(model, rows, progress)?;
    history.push(bound_of(&model, rows, seed, progress)? / n as f64);
    progress.end();
    let stop = StopReason::IterationLimit;
    let report = FamilyReport::of(Family::Vae, history, stop, n, sizes.len());
    Ok((model, FamilyReport { floored, ..report }))
}

fn broken() -> Error {
    Error::Numerical {
        what: "training of the autoencoder",
        problem: "its values left the numbers; scale the descriptors, or set fewer gmm.hidden"
            .into(),
    }
}

/// The mean of the rows, and the root of their mean variance.
fn unit_of(rows: ArrayView2<'_, f32>) -> Result<(Vec<f32>, f32)> {
    let centre = crate::linalg::mean_of_rows(rows);
    let mut sum = 0.0;
    for row in rows.axis_iter(Axis(0)) {
        let square = |(&x, &c): (&f32, &f32)| (f64::from(x) - f64::from(c)).powi(2);
        sum += row.iter().zip(&centre).map(square).sum::<f64>();
    }
    let scale = (sum / rows.len() as f64).sqrt() as f32;
    if !(scale.is_normal() && scale > 0.0) {
        return Err(Error::Numerical {
            what: "training of the autoencoder",
            problem:
                "the training rows are all alike, or too extreme for f32; check the descriptors"
                    .into(),
        });
    }
    Ok((centre, scale))
}

/// A network with the state of Adam.
struct Training<'f> {
    network: Network,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
    floors: &'f [f64],
}

impl Training<'_> {
    /// One step up the bound of a batch; the sum of the bound over its rows, before it.
    fn step(&mut self, rows: &[f64], noise: &[f64]) -> f64 {
        let Sizes { dim, code, .. } = self.network.sizes();
        let network = &self.network;
        let pieces = rows.par_chunks(PIECE * dim).zip(noise.par_chunks(PIECE * code));
        let of_piece = |(rows, noise): (&[f64], &[f64])| {
            let mut pass = Pass::default();
            let mut gradient = vec![0.0; network.values().len()];
            let bound = network.bound(rows, noise, &mut pass);
            network.add_gradient(rows, &mut pass, &mut gradient);
            (bound, gradient)
        };
        let pieces: Vec<(f64, Vec<f64>)> = pieces.with_max_len(1).map(of_piece).collect();
        self.steps += 1;
        let correction = MEMORY.map(|memory| 1.0 - memory.powi(self.steps));
        let per_row = dim as f64 / rows.len() as f64;
        let values = self
            .network
            .values_mut()
            .par_chunks_mut(STRIPE)
            .zip(self.first.par_chunks_mut(STRIPE).zip(self.second.par_chunks_mut(STRIPE)));
        values.enumerate().for_each(|(stripe, (values, (first, second)))| {
            for (i, value) in values.iter_mut().enumerate() {
                let place = stripe * STRIPE + i;
                let sum: f64 = pieces.iter().map(|(_, gradient)| gradient[place]).sum();
                let gradient = sum * per_row;
                first[i] = MEMORY[0] * first[i] + (1.0 - MEMORY[0]) * gradient;
                second[i] = MEMORY[1] * second[i] + (1.0 - MEMORY[1]) * gradient * gradient;
                let [mean, square] = [first[i] / correction[0], second[i] / correction[1]];
                *value += LEARNING_RATE * mean / (square.sqrt() + EPSILON);
            }
        });
        self.network.hold_deviations(self.floors);
        pieces.iter().map(|(bound, _)| bound).sum()
    }
}

/// The model with the mean and the variance of its columns over `rows`.
fn measured(model: Vae, rows: ArrayView2<'_, f32>, progress: &dyn Progress) -> Result<Vae> {
    let Sizes { dim, hidden, .. } = model.sizes();
    let len = (hidden + 1) * dim;
    let n = rows.nrows() as f64;
    let add = |block: ArrayView2<'_, f32>, _, scratch: &mut Scratch, sums: &mut Sums| {
        model.add(block, &[1], Assignment::EXACT, scratch, sums)
    };
    let mut total = Sums::zeros(len);
    for sums in over_tasks(rows, progress, || Sums::zeros(len), add)? {
        total.add(&sums);
    }
    let mean: Vec<f64> = total.values.iter().map(|sum| sum / n).collect();
    // Squares about the mean: (r_d h_j)² summed is a product of squares.
    let squares = |block: ArrayView2<'_, f32>, _, scratch: &mut Scratch, sums: &mut Sums| {
        model.add_squares(block, scratch, sums)
    };
    let mut total = Sums::zeros(len);
    for sums in over_tasks(rows, progress, || Sums::zeros(len), squares)? {
        total.add(&sums);
    }
    let variance = |(sum, mean): (&f64, &f64)| {
        let variance = sum / n - mean * mean;
        if variance < LEAST_VARIANCE { 0.0 } else { variance as f32 }
    };
    let variances: Vec<f32> = total.values.iter().zip(&mean).map(variance).collect();
    let array = |values: Vec<f32>| {
        Array2::from_shape_vec((hidden + 1, dim), values).expect("D values for each unit")
    };
    let mean = array(mean.iter().map(|&value| value as f32).collect());
    let (centre, parameters) = (model.centre.clone(), model.parameters.clone());
    Vae::new(model.sizes(), centre, model.scale, parameters, mean, array(variances))
        .map_err(|_| broken())
}

/// The sum over `rows` of the lower bound of the log-likelihood.
fn bound_of(
    model: &Vae,
    rows: ArrayView2<'_, f32>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<f64> {
    let Sizes { dim, code, .. } = model.sizes();
    let passes = Pool::<Pass>::default();
    let add = |block: ArrayView2<'_, f32>, first: usize, scratch: &mut Scratch, sum: &mut f64| {
        scratch.take(model.parts(), block)?;
        model.standardise(&mut scratch.rows);
        let mut stream = seed.stream("vae bound", first as u64);
        let noise: Vec<f64> = (0..block.nrows() * code).map(|_| stream.normal()).collect();
        *sum += passes.with(|pass| model.network.bound(&scratch.rows, &noise, pass));
        Ok(())
    };
    let sums = over_tasks(rows, progress, || 0.0, add)?;
    let jacobian = rows.nrows() as f64 * dim as f64 * f64::from(model.scale).ln();
    Ok(sums.into_iter().sum::<f64>() - jacobian)
}
