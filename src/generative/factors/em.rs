//! Expectation maximisation of a mixture of factor analysers.
//!
//! With `d = x − μ_k`, the factors' posterior mean `ẑ = β d`, `β = Λᵀ Σ⁻¹`, and its covariance `I − βΛ`, sums
//! over rows weighted by `γ_nk`:
//!
//! ```text
//! S⁰ = Σ γ     S¹ = Σ γ d     S² = Σ γ d²     C = Σ γ d ẑᵀ     Z = Σ γ E[z zᵀ] = S⁰ (I − βΛ) + β C
//! [Λ | shift] ← [C | S¹] B⁻¹      B = ( Z   β S¹ ; (β S¹)ᵀ   S⁰ )      μ ← μ + shift
//! Ψ ← diag( S² − [Λ | shift] [C | S¹]ᵀ ) / S⁰,  at least the floor     w ← S⁰ / N
//! ```
//!
//! (GH97, with a `Ψ` for each component.) The fit starts from a Gaussian mixture: rows are given to their
//! most probable components, whose strongest axes, in units of its deviations, become loadings. Posteriors of
//! [`SMALLEST`] and less are left out. A component without rows stays as it is.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::FactorAnalysers;
use crate::error::{Error, Result};
use crate::generative::components::{evaluate, select};
use crate::generative::report::{FamilyReport, at_floor, free_values};
use crate::generative::scratch::Scratch;
use crate::generative::tasks::over_tasks;
use crate::generative::traits::Components;
use crate::gmm::em::{EMPTY_ROWS, has_settled, variance_floors};
use crate::gmm::{self, Assignment, Evaluator, Family, Gmm, Params, StopReason};
use crate::progress::Progress;
use crate::widest;

/// Posteriors at or below this do not count.
pub const SMALLEST: f32 = 1e-6;

/// The share of a dimension's variance that the start leaves to itself, at least, and the least variance that
/// it gives to a factor, in units of the component's own: a loading of 0 would stay 0.
const LEAST_SHARE: f64 = 0.1;
const LEAST_VARIANCE: f64 = 0.01;

/// Fits `rows` (`N × D`) from a Gaussian mixture.
///
/// # Errors
/// [`Error::Numerical`] when a row is not finite or a component cannot be solved,
/// [`Error::Interrupted`] when asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    start: gmm::Fit,
    params: &Params,
    progress: &dyn Progress,
) -> Result<(FactorAnalysers, FamilyReport)> {
    let n = rows.nrows() as f64;
    let floors = variance_floors(rows, params);
    let mut model = of_gaussian(rows, &start.gmm, params.factors, &floors, progress)?;
    let (mut history, mut stop) = (Vec::new(), StopReason::IterationLimit);
    progress.begin("EM of factor-analysers", params.max_iterations as u64, "iterations");
    for _ in 0..params.max_iterations {
        let sums = expectation(&model, rows, progress)?;
        let likelihood = sums.log_likelihood / n;
        if has_settled(&history, likelihood, params) {
            stop = StopReason::Converged;
            break;
        }
        history.push(likelihood);
        model = maximisation(&model, &sums, &floors)?;
        progress.advance(1);
    }
    // Turning the factors changes no density.
    let model = with_factors_in_order(&model)?;
    history.push(expectation(&model, rows, progress)?.log_likelihood / n);
    progress.end();
    let free = free_values(Components::parts(&model));
    let report = FamilyReport::of(Family::FactorAnalysers, history, stop, rows.nrows(), free);
    let floored = at_floor(model.noise(), &floors);
    let report = report.of_mixture(model.weights(), floored, start.report);
    Ok((model, report))
}

/// The start: the mixture's means and variances, and for each component the strongest axes of its rows.
fn of_gaussian(
    rows: ArrayView2<'_, f32>,
    gmm: &Gmm,
    factors: usize,
    floors: &[f64],
    progress: &dyn Progress,
) -> Result<FactorAnalysers> {
    let (k, d) = (gmm.components(), gmm.dim());
    let evaluator = Evaluator::new(gmm);
    let lists = over_tasks(
        rows,
        progress,
        || vec![Vec::new(); k],
        |block, first, scratch: &mut gmm::Scratch, lists: &mut Vec<Vec<usize>>| {
            evaluator.assign(block, Assignment::Hard, scratch, &mut |component, at, found| {
                let of_block = found.iter().map(|&(row, _)| first + at + row as usize);
                lists[component].extend(of_block);
            })
        },
    )?;
    let of_component = |component: usize| -> Result<(Vec<f32>, Vec<f32>)> {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let variances = gmm.variances().row(component).mapv(f64::from).to_vec();
        let scales: Vec<f64> = variances.iter().map(|v| v.sqrt()).collect();
        let means = gmm.means();
        let mut covariance = Mat::<f64>::zeros(d, d);
        let (mut z, mut count) = (vec![0.0; d], 0.0);
        for &row in lists.iter().flat_map(|lists| &lists[component]) {
            for (j, z) in z.iter_mut().enumerate() {
                let apart = f64::from(rows[[row, j]]) - f64::from(means[[component, j]]);
                *z = apart / scales[j];
            }
            for i in 0..d {
                for j in 0..=i {
                    covariance[(i, j)] += z[i] * z[j];
                }
            }
            count += 1.0;
        }
        let unsolved = |_| unsolved(component);
        let solved = covariance.self_adjoint_eigen(Side::Lower).map_err(unsolved)?;
        let value = |f: usize| solved.S().column_vector()[d - 1 - f] / f64::max(count, 1.0);
        let rest = (factors..d).map(value).sum::<f64>() / (d - factors) as f64;
        let mut loadings = vec![0.0f32; d * factors];
        let mut noise = vec![0.0f32; d];
        for j in 0..d {
            let mut common = 0.0;
            for f in 0..factors {
                let along = solved.U()[(j, d - 1 - f)];
                let loading = along * (value(f) - rest).max(LEAST_VARIANCE).sqrt();
                common += loading * loading;
                loadings[j * factors + f] = (loading * scales[j]) as f32;
            }
            let own = variances[j] * (1.0 - common).max(LEAST_SHARE);
            noise[j] = (own.max(floors[j]) as f32).max(f32::MIN_POSITIVE);
        }
        Ok((loadings, noise))
    };
    let parts = (0..k).into_par_iter().map(of_component).collect::<Result<Vec<_>>>()?;
    let (loadings, noise): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    FactorAnalysers::new(
        gmm.weights().to_vec(),
        gmm.means().to_owned(),
        array(k, d * factors, loadings.concat()),
        array(k, d, noise.concat()),
    )
}

fn array(rows: usize, columns: usize, values: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values).expect("as many values as rows and columns")
}

fn unsolved(component: usize) -> Error {
    Error::Numerical {
        what: "fit of factor analysers",
        problem: format!(
            "component {component} cannot be solved; are descriptors too extreme? Scale them down, or set \
             fewer gmm.factors"
        ),
    }
}

/// What the E step gives: for each component `S⁰ | S¹ | S² | C`.
struct Moments {
    log_likelihood: f64,
    values: Array2<f64>,
}

/// Where the sums of a component stand in a row of [`Moments`].
fn width(dim: usize, factors: usize) -> usize {
    1 + 2 * dim + dim * factors
}

fn expectation(
    model: &FactorAnalysers,
    rows: ArrayView2<'_, f32>,
    progress: &dyn Progress,
) -> Result<Moments> {
    let (k, d, q) = (model.weights.len(), model.means.ncols(), model.factors());
    let start = || Moments { log_likelihood: 0.0, values: Array2::zeros((k, width(d, q))) };
    let means: Vec<Vec<f64>> = (0..k).map(|component| model.mean(component)).collect();
    let shares = over_tasks(rows, progress, start, |block, _, scratch: &mut Scratch, share| {
        evaluate(model, block, scratch)?;
        select(model, Assignment::Soft { threshold: SMALLEST }, scratch);
        share.log_likelihood += scratch.log_likelihood.iter().sum::<f64>();
        let mut factors = vec![0.0; q];
        for (component, pairs) in scratch.pairs.iter().enumerate() {
            let (of_component, mean) = (&model.components[component], &means[component]);
            let mut sums = share.values.row_mut(component);
            let sums = sums.as_slice_mut().expect("sums are row-major");
            for &(row, gamma) in pairs {
                let row = &scratch.rows[row as usize * d..][..d];
                of_component.factors_of(row, mean, &mut factors);
                add_row(row, mean, f64::from(gamma), &factors, sums);
            }
        }
        Ok(())
    })?;
    let mut all = start();
    for share in shares {
        all.log_likelihood += share.log_likelihood;
        all.values += &share.values;
    }
    Ok(all)
}

/// Adds `γ | γ d | γ d² | γ d ẑᵀ`.
fn add_row(row: &[f64], mean: &[f64], gamma: f64, factors: &[f64], sums: &mut [f64]) {
    widest!(<'a> |row: &'a [f64], mean: &'a [f64], gamma: f64, factors: &'a [f64], sums: &'a mut [f64]| -> () {
        let (d, q) = (row.len(), factors.len());
        let (mass, sums) = sums.split_at_mut(1);
        let (first, sums) = sums.split_at_mut(d);
        let (second, cross) = sums.split_at_mut(d);
        mass[0] += gamma;
        for j in 0..d {
            let apart = row[j] - mean[j];
            let weighted = gamma * apart;
            first[j] += weighted;
            second[j] += weighted * apart;
        }
        for (j, cross) in cross.chunks_exact_mut(q).enumerate() {
            let weighted = gamma * (row[j] - mean[j]);
            cross.iter_mut().zip(factors).for_each(|(cross, z)| *cross += weighted * z);
        }
    });
}

fn maximisation(
    model: &FactorAnalysers,
    sums: &Moments,
    floors: &[f64],
) -> Result<FactorAnalysers> {
    let (k, d, q) = (model.weights.len(), model.means.ncols(), model.factors());
    let of_component = |component: usize| -> Result<[Vec<f32>; 3]> {
        let turned = &model.components[component];
        let sums = sums.values.row(component);
        let mass = sums[0];
        if mass < EMPTY_ROWS {
            let row = |array: &Array2<f32>| array.row(component).to_vec();
            return Ok([&model.means, &model.loadings, &model.noise].map(row));
        }
        // Everything below is a mean over the component's rows.
        let first = |j: usize| sums[1 + j] / mass;
        let second = |j: usize| sums[1 + d + j] / mass;
        let cross = |j: usize, f: usize| sums[1 + 2 * d + j * q + f] / mass;
        let beta = |f: usize, j: usize| {
            turned.turned[f * d + j] * turned.inverse_roots[j] / turned.norms[f].powi(2)
        };
        let size = q + 1;
        let mut system = Mat::<f64>::zeros(size, size);
        for f in 0..q {
            for g in 0..q {
                // Two ways to the same number; their mean is symmetric.
                let one: f64 = (0..d).map(|j| beta(f, j) * cross(j, g)).sum();
                let other: f64 = (0..d).map(|j| beta(g, j) * cross(j, f)).sum();
                let own = if f == g { turned.norms[f].powi(-2) } else { 0.0 };
                system[(f, g)] = own + 0.5 * (one + other);
            }
            let shift: f64 = (0..d).map(|j| beta(f, j) * first(j)).sum();
            system[(f, q)] = shift;
            system[(q, f)] = shift;
        }
        system[(q, q)] = 1.0;
        let factor = system.llt(Side::Lower).map_err(|_| unsolved(component))?;
        let right = Mat::from_fn(size, d, |f, j| if f < q { cross(j, f) } else { first(j) });
        let solved = factor.solve(&right);
        let (mut means, mut noise) = (Vec::with_capacity(d), Vec::with_capacity(d));
        let mut loadings = Vec::with_capacity(d * q);
        for (j, &floor) in floors.iter().enumerate() {
            let solution = solved.col(j);
            let explained: f64 = (0..size).map(|f| solution[f] * right[(f, j)]).sum();
            if !explained.is_finite() {
                return Err(unsolved(component));
            }
            means.push((f64::from(model.means[[component, j]]) + solution[q]) as f32);
            loadings.extend((0..q).map(|f| solution[f] as f32));
            let psi = (second(j) - explained).max(floor) as f32;
            noise.push(psi.max(f32::MIN_POSITIVE));
        }
        Ok([means, loadings, noise])
    };
    let parts = (0..k).into_par_iter().map(of_component).collect::<Result<Vec<_>>>()?;
    let all = |at: usize| -> Vec<f32> { parts.iter().flat_map(|part| part[at].clone()).collect() };
    // A component that has emptied must be able to come back.
    let weights = sums.values.column(0).iter().map(|mass| mass.max(EMPTY_ROWS) as f32).collect();
    FactorAnalysers::new(weights, array(k, d, all(0)), array(k, d * q, all(1)), array(k, d, all(2)))
}

/// The same densities, with factors that are independent given a row, the strongest first, and a positive
/// largest loading each.
fn with_factors_in_order(model: &FactorAnalysers) -> Result<FactorAnalysers> {
    let (d, q) = (model.means.ncols(), model.factors());
    let mut loadings = model.loadings.clone();
    for (mut row, component) in loadings.rows_mut().into_iter().zip(&model.components) {
        let before = row.to_vec();
        for f in 0..q {
            let turned = |j: usize| -> f64 {
                (0..q).map(|g| f64::from(before[j * q + g]) * component.turn[g * q + f]).sum()
            };
            let values: Vec<f64> = (0..d).map(turned).collect();
            let peak = values.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
            let sign = 1f64.copysign(peak);
            (0..d).for_each(|j| row[j * q + f] = (sign * values[j]) as f32);
        }
    }
    let weights = model.weights.clone();
    FactorAnalysers::new(weights, model.means.clone(), loadings, model.noise.clone())
}
