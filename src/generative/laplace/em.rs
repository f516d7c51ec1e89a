//! Expectation maximisation of a mixture of Laplace distributions.
//!
//! ```text
//! E   γ_nk = w_k p_k(x_n) / p(x_n)
//! M   w_k = Σ_n γ_nk / N      m_kd = weighted median of x_nd, weights γ_nk
//!     b_kd = Σ_n γ_nk |x_nd − m_kd| / Σ_n γ_nk,  at least √(variance floor / 2)
//! ```
//!
//! The fit starts from a Gaussian mixture's weights and means, and the `b` of its variances. So that pairs fit
//! into memory, posteriors of [`SMALLEST`] and less move nothing, nor do those beyond the [`MOST_PAIRS`]
//! largest of a row. A component without rows stays where it is.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::Laplace;
use crate::error::{Error, Result};
use crate::generative::components::evaluate;
use crate::generative::report::{FamilyReport, at_floor, free_values};
use crate::generative::scratch::Scratch;
use crate::generative::tasks::over_tasks;
use crate::generative::traits::Components;
use crate::gmm::em::{EMPTY_ROWS, has_settled, variance_floors};
use crate::gmm::{self, Family, Params, StopReason};
use crate::progress::Progress;

/// Posteriors at or below this do not count in the M step.
pub const SMALLEST: f32 = 1e-4;

/// Components that a row counts for in the M step, at most.
pub const MOST_PAIRS: usize = 16;

/// Fits `rows` (`N × D`) from a Gaussian mixture.
///
/// # Errors
/// [`Error::Numerical`] when a row is not finite, [`Error::Interrupted`] when asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    start: gmm::Fit,
    params: &Params,
    progress: &dyn Progress,
) -> Result<(Laplace, FamilyReport)> {
    let n = rows.nrows() as f64;
    let floors: Vec<f64> =
        variance_floors(rows, params).into_iter().map(|floor| (floor / 2.0).sqrt()).collect();
    let mut model = of_gaussian(&start, &floors)?;
    let (mut history, mut stop) = (Vec::new(), StopReason::IterationLimit);
    progress.begin("EM of laplace", params.max_iterations as u64, "iterations");
    for _ in 0..params.max_iterations {
        let Expectation { log_likelihood, pairs } = expectation(&model, rows, progress)?;
        let likelihood = log_likelihood / n;
        if has_settled(&history, likelihood, params) {
            stop = StopReason::Converged;
            break;
        }
        history.push(likelihood);
        model = maximisation(&model, rows, &pairs, &floors)?;
        progress.advance(1);
    }
    history.push(expectation(&model, rows, progress)?.log_likelihood / n);
    progress.end();
    let free = free_values(Components::parts(&model));
    let report = FamilyReport::of(Family::Laplace, history, stop, rows.nrows(), free);
    let floored = at_floor(model.scales(), &floors);
    let report = report.of_mixture(model.weights(), floored, start.report);
    Ok((model, report))
}

/// The mixture of the same weights, places and variances.
fn of_gaussian(start: &gmm::Fit, floors: &[f64]) -> Result<Laplace> {
    let mut scales = start.gmm.variances().mapv(|variance| (f64::from(variance) / 2.0).sqrt());
    for mut row in scales.rows_mut() {
        row.iter_mut().zip(floors).for_each(|(scale, &floor)| *scale = scale.max(floor));
    }
    let scales = scales.mapv(|scale| (scale as f32).max(f32::MIN_POSITIVE));
    Laplace::new(start.gmm.weights().to_vec(), start.gmm.means().to_owned(), scales)
}

/// What the E step gives.
struct Expectation {
    log_likelihood: f64,
    /// (row, posterior) pairs of each component, rows ascending.
    pairs: Vec<Vec<(u32, f32)>>,
}

fn expectation(
    model: &Laplace,
    rows: ArrayView2<'_, f32>,
    progress: &dyn Progress,
) -> Result<Expectation> {
    if u32::try_from(rows.nrows()).is_err() {
        let range = format!("fewer than 2^32 for gmm.family = {}", Family::Laplace.name());
        return Err(Error::setting("sample.rows", rows.nrows(), range));
    }
    let components = model.weights.len();
    let start = || Expectation { log_likelihood: 0.0, pairs: vec![Vec::new(); components] };
    let shares =
        over_tasks(rows, progress, start, |block, first, scratch: &mut Scratch, share| {
            evaluate(model, block, scratch)?;
            share.log_likelihood += scratch.log_likelihood.iter().sum::<f64>();
            let mut largest: Vec<(usize, f32)> = Vec::new();
            for (row, gammas) in (first as u32..).zip(scratch.posteriors.chunks_exact(components)) {
                let gammas = gammas.iter().map(|&gamma| gamma as f32).enumerate();
                largest.clear();
                largest.extend(gammas.filter(|pair| pair.1 > SMALLEST));
                if largest.len() > MOST_PAIRS {
                    largest.sort_by(|a, b| b.1.total_cmp(&a.1));
                    largest.truncate(MOST_PAIRS);
                }
                largest
                    .iter()
                    .for_each(|&(component, gamma)| share.pairs[component].push((row, gamma)));
            }
            Ok(())
        })?;
    let mut all = start();
    for share in shares {
        all.log_likelihood += share.log_likelihood;
        all.pairs.iter_mut().zip(share.pairs).for_each(|(all, pairs)| all.extend(pairs));
    }
    Ok(all)
}

fn maximisation(
    model: &Laplace,
    rows: ArrayView2<'_, f32>,
    pairs: &[Vec<(u32, f32)>],
    floors: &[f64],
) -> Result<Laplace> {
    let (k, d) = model.locations.dim();
    let masses: Vec<f64> =
        pairs.iter().map(|pairs| pairs.iter().map(|pair| f64::from(pair.1)).sum()).collect();
    // A component that has emptied must be able to come back.
    let weights = masses.iter().map(|mass| mass.max(EMPTY_ROWS) as f32).collect();
    let fitted: Vec<(f32, f32)> = (0..k * d)
        .into_par_iter()
        .map_init(Vec::new, |values, place| {
            let (component, j) = (place / d, place % d);
            if masses[component] < EMPTY_ROWS {
                return (model.locations[[component, j]], model.scales[[component, j]]);
            }
            values.clear();
            let value = |&(row, gamma): &(u32, f32)| (rows[[row as usize, j]], gamma);
            values.extend(pairs[component].iter().map(value));
            let median = weighted_median(values, masses[component]);
            let apart = |&(x, gamma): &(f32, f32)| {
                f64::from(gamma) * (f64::from(x) - f64::from(median)).abs()
            };
            // In the order of the rows, which the search for the median has lost.
            let apart: f64 = pairs[component].iter().map(|pair| apart(&value(pair))).sum();
            let scale = (apart / masses[component]).max(floors[j]) as f32;
            (median, scale.max(f32::MIN_POSITIVE))
        })
        .collect();
    let array = |of: fn(&(f32, f32)) -> f32| {
        Array2::from_shape_vec((k, d), fitted.iter().map(of).collect()).expect("K × D values")
    };
    Laplace::new(weights, array(|fit| fit.0), array(|fit| fit.1))
}

/// The smallest value up to which the weights are at least half of their `total`.
fn weighted_median(values: &mut [(f32, f32)], total: f64) -> f32 {
    let (mut rest, mut below) = (values, 0.0);
    while rest.len() > 1 {
        let middle = (rest.len() - 1) / 2;
        rest.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0));
        let (lower, upper) = rest.split_at_mut(middle + 1);
        let weight: f64 = lower.iter().map(|value| f64::from(value.1)).sum();
        if below + weight >= total / 2.0 {
            rest = lower;
        } else {
            below += weight;
            rest = upper;
        }
    }
    rest[0].0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn weighted_medians_are_those_of_sorted_values() {
        let mut stream = Seed(1).stream("medians", 0);
        for n in [1, 2, 3, 10, 1001] {
            for round in 0..20 {
                // Few different values, so that there are equal ones.
                let mut values: Vec<(f32, f32)> = (0..n)
                    .map(|_| (stream.below(30) as f32 - 15.0, stream.unit() as f32 + 0.01))
                    .collect();
                let total: f64 = values.iter().map(|value| f64::from(value.1)).sum();
                let mut sorted = values.clone();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut sum = 0.0;
                let expected = sorted.iter().find(|value| {
                    sum += f64::from(value.1);
                    sum >= total / 2.0
                });
                let got = weighted_median(&mut values, total);
                assert_eq!(got, expected.unwrap().0, "{n} values, round {round}");
            }
        }
    }
}
