//! Diagonal Gaussian mixtures: the model, its posteriors and its fitting.
//!
//! ```text
//! p(x) = Σ_k w_k N(x; μ_k, σ²_k)      γ_k(x) = w_k N(x; μ_k, σ²_k) / p(x)
//! ```
//!
//! `K` components of `D` dimensions; weights `K`, means and variances `K × D`, f32.
//! [`Evaluator`] computes posteriors and their sums over blocks of rows, [k-means](crate::clustering)
//! starts a fit, [`em`] and [`minibatch`] are the two ways to fit. Source: PSM10 and SPMV13 in
//! `docs/REFERENCES.md`.

mod averages;
pub mod em;
mod known;
pub mod memory;
pub mod minibatch;
mod mixture;
mod model;
mod params;
mod posteriors;
mod report;
mod scratch;
mod sharp;
mod statistics;

use ndarray::ArrayView2;

pub use crate::clustering as kmeans;
pub use averages::Averages;
pub use mixture::Mixture;
pub use model::Gmm;
pub use params::{Family, FloorReference, Method, Params};
pub(crate) use posteriors::inverse_power_of_two;
pub use posteriors::{Component, Evaluator};
pub use report::{Fit, FitReport, StopReason};
pub use scratch::Scratch;
pub use statistics::{Assignment, Found, Statistics};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Seed;

/// Fits a mixture to `rows` (`N × D`): k-means++ and k-means, then EM or mini-batch EM; from
/// [`Params::restarts`] starts, the first of equals.
///
/// # Errors
/// [`Error::Setting`] when there are fewer rows than components or another family is asked for,
/// [`Error::Numerical`] when a row has a NaN or an infinity, [`Error::Interrupted`] when the caller asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    params.validate()?;
    let family = params.family;
    let others = "gaussian for a Gaussian mixture; other families are fitted in a run (`fvtool run`, `fit-gmm`)";
    Error::require(family == Family::Gaussian, "gmm.family", family.name(), others)?;
    Error::require(
        params.components <= rows.nrows(),
        "gmm.components",
        params.components,
        &format!("at most the number of training rows ({})", rows.nrows()),
    )?;
    require_finite(rows)?;
    let floors = em::variance_floors(rows, params);
    let mut best = fit_once(rows, params, &floors, seed, progress)?;
    let mut restarts = vec![best.mean_log_likelihood()];
    for restart in 1..params.restarts {
        let seed = Seed(seed.stream("gmm restarts", restart as u64).next_u64());
        let fit = fit_once(rows, params, &floors, seed, progress)?;
        restarts.push(fit.mean_log_likelihood());
        if fit.mean_log_likelihood() > best.mean_log_likelihood() {
            best = fit;
        }
    }
    best.report.restarts = restarts;
    Ok(best)
}

/// Refuses rows with a NaN or an infinity.
///
/// # Errors
/// [`Error::Numerical`] naming the first such row.
pub fn require_finite(rows: ArrayView2<'_, f32>) -> Result<()> {
    let values = rows.as_slice().expect("training rows are row-major");
    let Some(place) = crate::linalg::first_not_finite(values) else { return Ok(()) };
    Err(Error::Numerical {
        what: "mixture fit",
        problem: format!(
            "training row {} has a NaN or an infinity; leave such descriptors out",
            place / rows.ncols()
        ),
    })
}

fn fit_once(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    floors: &[f64],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    let clusters = kmeans::fit(rows, params.components, params.kmeans_iterations, seed, progress)?;
    let start = Mixture::from_clusters(rows, &clusters, floors);
    let mut fit = match params.method {
        Method::Em => em::fit(rows, start, floors, params, progress)?,
        Method::MiniBatch => minibatch::fit(rows, start, floors, params, seed, progress)?,
    };
    fit.report.kmeans_inertia = clusters.inertia;
    Ok(fit)
}
