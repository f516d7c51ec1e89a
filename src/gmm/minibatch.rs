//! Mini-batch EM with exponential moving averages (Korsch et al., eq. 3–9).
//!
//! Batch `t` gives `w, μ, σ²` by one EM step from the present mixture; the next mixture is what the moving
//! averages ([`Averages`]) of these estimate.
//!
//! The paper's eq. 5 averages the variance (not the standard deviation), as here. Batches are
//! consecutive slices of a seeded permutation of the rows, drawn anew every pass.

use ndarray::{ArrayView2, Axis};

use super::averages::Averages;
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
    let mut averages = Averages::new(&mixture, params.decay);
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

        mixture = averages.add(&new);
        progress.advance(1);
    }
    let final_sums = summation.sum(&Evaluator::of_mixture(&mixture), rows, progress)?;
    history.push(final_sums.log_likelihood / n as f64);
    progress.end();
    let stop = StopReason::IterationLimit;
    let report = FitReport::of(&mixture, floors, history, stop, n as f64, Vec::new());
    Ok(Fit { gmm: mixture.to_gmm()?, report })
}
