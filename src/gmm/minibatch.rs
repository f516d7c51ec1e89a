//! Mini-batch EM with exponential moving averages (Korsch et al., eq. 3–9).
//!
//! Batch `t` gives `w, μ, σ²` by one EM step from the present mixture; then, for each of them,
//!
//! ```text
//! a[t] = λ a[t−1] + (1 − λ) a_new,      mixture[t] = a[t] / (1 − λᵗ),      a[0] = 0
//! ```
//!
//! The paper's eq. 5 averages the variance (not the standard deviation), as here. Batches are
//! consecutive slices of a seeded permutation of the rows, drawn anew every pass.

use ndarray::{Array2, ArrayView2, Axis};

use super::em;
use super::mixture::{EMPTY_ROWS, Mixture};
use super::params::Params;
use super::posteriors::Evaluator;
use super::report::{Fit, FitReport, StopReason};
use super::statistics::Summation;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Seed;

/// Fits `rows` (`N × D`) from a starting mixture with `params.max_iterations` batches.
///
/// # Errors
/// [`Error::Numerical`] on a NaN or an infinity, [`Error::Interrupted`] when asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    start: Mixture,
    floors: &[f64],
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    let n = rows.nrows();
    let batch_rows = params.batch_rows.min(n);
    let mut mixture = start;
    let mut average = Mixture {
        weights: vec![0.0; mixture.weights.len()],
        means: Array2::zeros(mixture.means.dim()),
        variances: Array2::zeros(mixture.variances.dim()),
    };
    let mut order: Vec<usize> = (0..n).collect();
    let mut next = n;
    let mut history = Vec::new();
    let mut summation = Summation::default();
    progress.begin("mini-batch EM", params.max_iterations as u64, "batches");
    for t in 1..=params.max_iterations {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        if next + batch_rows > n {
            seed.stream("mini-batch", t as u64).shuffle(&mut order);
            next = 0;
        }
        let batch = rows.select(Axis(0), &order[next..next + batch_rows]);
        next += batch_rows;

        let evaluator = Evaluator::of_mixture(&mixture);
        let sums = summation.sum(&evaluator, batch.view(), progress)?;
        history.push(sums.log_likelihood / batch_rows as f64);
        let mut new = em::maximisation(&evaluator, &sums, floors);
        // A component that this batch did not reach keeps a weight it can come back from.
        let least = EMPTY_ROWS / batch_rows as f64;
        new.weights.iter_mut().for_each(|w| *w = w.max(least));

        let correction = 1.0 - params.decay.powi(i32::try_from(t).unwrap_or(i32::MAX));
        let blend = |old: &mut f64, new: &f64| {
            *old = params.decay * *old + (1.0 - params.decay) * new;
            *old / correction
        };
        let average_all = |old: &mut Array2<f64>, new: &Array2<f64>| {
            let mut out = new.clone();
            ndarray::Zip::from(&mut out).and(old).and(new).for_each(|o, a, b| *o = blend(a, b));
            out
        };
        let weights: Vec<f64> =
            average.weights.iter_mut().zip(&new.weights).map(|(a, b)| blend(a, b)).collect();
        let sum: f64 = weights.iter().sum();
        mixture = Mixture {
            weights: weights.iter().map(|w| w / sum).collect(),
            means: average_all(&mut average.means, &new.means),
            variances: average_all(&mut average.variances, &new.variances),
        };
        progress.advance(1);
    }
    let final_sums = summation.sum(&Evaluator::of_mixture(&mixture), rows, progress)?;
    history.push(final_sums.log_likelihood / n as f64);
    progress.end();
    let stop = StopReason::IterationLimit;
    let report = FitReport::of(&mixture, floors, history, stop, n as f64, Vec::new());
    Ok(Fit { gmm: mixture.to_gmm()?, report })
}
