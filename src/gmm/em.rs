//! Expectation maximisation of a diagonal mixture, exact: no posterior is dropped.
//!
//! ```text
//! E   γ_nk = w_k N(x_n; μ_k, σ²_k) / p(x_n)
//! M   w_k = S⁰_k / N      μ_k ← μ_k + S¹_k / S⁰_k      σ²_k = S²_k / S⁰_k − (S¹_k / S⁰_k)²,  at least the floor
//! ```
//!
//! Sums are taken about the means before the step ([`Statistics`]), so that variances keep their
//! digits.
//! A component whose mass falls under [`EMPTY_ROWS`] is re-seeded beside the heaviest one, and the
//! event stands in the report. VLFeat drops posteriors below 0.01/K here; this does not.

use ndarray::{Array2, ArrayView2};

pub use super::mixture::{EMPTY_ROWS, Mixture};
use super::params::{FloorReference, Params};
use super::posteriors::Evaluator;
use super::report::{Fit, FitReport, StopReason};
use super::statistics::{Statistics, Summation};
use crate::error::{Error, Result};
use crate::linalg::mean_of_rows;
use crate::progress::Progress;
use crate::widest;

/// How far, in standard deviations, a re-seeded component and its donor are moved apart.
const SPLIT_SIGMAS: f64 = 0.5;

/// Smallest variance relative to 1 when a dimension does not vary at all.
const CONSTANT_DIMENSION_VARIANCE: f64 = 1e-12;

/// Smallest admissible variance of every dimension, by `variance_floor` and `floor_reference`.
pub fn variance_floors(rows: ArrayView2<'_, f32>, params: &Params) -> Vec<f64> {
    let mean: Vec<f64> = mean_of_rows(rows).into_iter().map(f64::from).collect();
    let mut squares = vec![0.0; rows.ncols()];
    let values = rows.as_slice().expect("training rows are row-major");
    add_squares(values, &mean, &mut squares);
    let variances: Vec<f64> = squares.iter().map(|s| s / rows.nrows().max(1) as f64).collect();
    let largest = variances.iter().copied().fold(0.0, f64::max);
    let fallback = CONSTANT_DIMENSION_VARIANCE * if largest > 0.0 { largest } else { 1.0 };
    variances
        .iter()
        .map(|&variance| {
            let reference = match params.floor_reference {
                FloorReference::Dimension => variance,
                FloorReference::Largest => largest,
            };
            (params.variance_floor * reference).max(fallback)
        })
        .collect()
}

/// Adds `(x − mean)²` of every row to `squares`.
fn add_squares(rows: &[f32], mean: &[f64], squares: &mut [f64]) {
    widest!(<'a> |rows: &'a [f32], mean: &'a [f64], squares: &'a mut [f64]| -> () {
        for row in rows.chunks_exact(mean.len()) {
            for ((square, &x), m) in squares.iter_mut().zip(row).zip(mean) {
                let difference = f64::from(x) - m;
                *square += difference * difference;
            }
        }
    });
}

/// Fits `rows` (`N × D`) from a starting mixture.
///
/// # Errors
/// [`Error::Numerical`] on a NaN or an infinity, [`Error::Interrupted`] when asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    start: Mixture,
    floors: &[f64],
    params: &Params,
    progress: &dyn Progress,
) -> Result<Fit> {
    let n = rows.nrows() as f64;
    let mut mixture = start;
    let mut history = Vec::new();
    let mut reseeded = Vec::new();
    let mut summation = Summation::default();
    let mut stop = StopReason::IterationLimit;
    progress.begin("EM", params.max_iterations as u64, "iterations");
    for iteration in 0..params.max_iterations {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let evaluator = Evaluator::of_mixture(&mixture);
        let sums = summation.sum(&evaluator, rows, progress)?;
        let likelihood = sums.log_likelihood / n;
        if has_settled(&history, likelihood, params) {
            stop = StopReason::Converged;
            break;
        }
        history.push(likelihood);
        mixture = maximisation(&evaluator, &sums, floors);
        for component in reseed(&mut mixture, n) {
            progress.note(&format!(
                "EM iteration {iteration}: component {component} had emptied and was re-seeded"
            ));
            reseeded.push((iteration, component));
        }
        progress.advance(1);
    }
    let final_sums = summation.sum(&Evaluator::of_mixture(&mixture), rows, progress)?;
    history.push(final_sums.log_likelihood / n);
    progress.end();
    Ok(Fit {
        gmm: mixture.to_gmm()?,
        report: FitReport::of(&mixture, floors, history, stop, n, reseeded),
    })
}

/// Whether the mean log-likelihood has changed by less than the tolerance since the last iteration.
pub(crate) fn has_settled(history: &[f64], likelihood: f64, params: &Params) -> bool {
    let settled =
        |previous: &f64| (likelihood - previous).abs() < params.tolerance * likelihood.abs();
    history.last().is_some_and(settled)
}

/// The mixture that maximises the expected log-likelihood.
pub(super) fn maximisation(evaluator: &Evaluator, sums: &Statistics, floors: &[f64]) -> Mixture {
    let (k, d) = evaluator.means.dim();
    let (order1, order2) = (sums.order1(), sums.order2());
    let mut mixture = Mixture {
        weights: sums.order0.iter().map(|mass| mass / sums.rows as f64).collect(),
        means: Array2::zeros((k, d)),
        variances: Array2::zeros((k, d)),
    };
    for i in 0..k {
        let mass = sums.order0[i];
        for j in 0..d {
            // An empty component keeps its place until it is re-seeded.
            let (shift, variance) = if mass < EMPTY_ROWS {
                (0.0, evaluator.variances[[i, j]])
            } else {
                let shift = order1[[i, j]] / mass;
                (shift, order2[[i, j]] / mass - shift * shift)
            };
            let scale = evaluator.scale[j];
            let mean = f64::from(evaluator.scaled_means[[i, j]]) + shift;
            mixture.means[[i, j]] = scale * mean;
            mixture.variances[[i, j]] = (variance * scale * scale).max(floors[j]);
        }
    }
    mixture.normalise_weights();
    mixture
}

/// Gives every empty component half of the heaviest one, the two moved apart along all axes.
/// Returns the components concerned.
fn reseed(mixture: &mut Mixture, rows: f64) -> Vec<usize> {
    let k = mixture.weights.len();
    let emptied: Vec<usize> = (0..k).filter(|&i| mixture.weights[i] * rows < EMPTY_ROWS).collect();
    for &component in &emptied {
        let donor = (0..k)
            .max_by(|&a, &b| mixture.weights[a].total_cmp(&mixture.weights[b]).then(b.cmp(&a)))
            .expect("a mixture has components");
        let half = mixture.weights[donor] / 2.0;
        mixture.weights[donor] = half;
        mixture.weights[component] = half;
        for j in 0..mixture.means.ncols() {
            let (mean, variance) = (mixture.means[[donor, j]], mixture.variances[[donor, j]]);
            let shift = SPLIT_SIGMAS * variance.sqrt();
            mixture.means[[donor, j]] = mean - shift;
            mixture.means[[component, j]] = mean + shift;
            mixture.variances[[component, j]] = variance;
        }
    }
    if !emptied.is_empty() {
        mixture.normalise_weights();
    }
    emptied
}
