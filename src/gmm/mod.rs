//! Diagonal Gaussian mixtures: the model, its posteriors and its fitting.
//!
//! ```text
//! p(x) = Σ_k w_k N(x; μ_k, σ²_k)      γ_k(x) = w_k N(x; μ_k, σ²_k) / p(x)
//! ```
//!
//! `K` components of `D` dimensions; weights `K`, means and variances `K × D`, f32.
//! [`Evaluator`] computes posteriors and their sums over blocks of rows, [`kmeans`] starts a fit,
//! [`em`] and [`minibatch`] are the two ways to fit. Source: PSM10 and SPMV13 in
//! `docs/REFERENCES.md`.

pub mod em;
pub mod kmeans;
mod known;
pub mod memory;
pub mod minibatch;
mod posteriors;
mod sharp;
mod statistics;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::BLOCK_ROWS;
use crate::parameters::above;
use crate::progress::Progress;
use crate::random::Seed;

pub use posteriors::{Component, Evaluator, Scratch};
pub use statistics::{Assignment, Found, Statistics};

/// Rows of one task when `rows` are summed in parallel and the tasks' sums added in order. It
/// depends on the number of rows alone, so that the result does not depend on the number of threads;
/// about [`TASKS`] tasks, so that threads end together and the sums need little memory.
fn task_rows(rows: usize) -> usize {
    rows.div_ceil(TASKS).next_multiple_of(BLOCK_ROWS)
}

/// Most tasks that a sum over rows is cut into.
const TASKS: usize = 64;

crate::parameters! {
    /// Settings of the mixture (group `gmm`).
    #[group = "gmm"]
    pub struct Params {
        /// Number of Gaussian components K.
        pub components: usize = 256, in 1..=65_536;
        /// How the mixture is fitted: `em` (all rows in every iteration) or `mini-batch` (exponential moving averages over batches).
        pub method: Method = Method::Em;
        /// Largest number of iterations of EM, or of batches of mini-batch EM.
        pub max_iterations: usize = 100, in 1..=100_000;
        /// EM stops when the relative change of the mean log-likelihood falls below this; 0 runs all iterations.
        pub tolerance: f64 = 1e-5, in 0.0.., when "method = em": |p| p.method == Method::Em;
        /// Lloyd iterations of the k-means that starts the fit; 0 keeps the k-means++ centres.
        pub kmeans_iterations: usize = 50, in 0..;
        /// Number of fits from different starts; the one of the highest likelihood is kept.
        pub restarts: usize = 1, in 1..=100;
        /// Smallest variance, relative to the data's variance.
        pub variance_floor: f64 = 1e-4, in above(0.0).up_to(1.0);
        /// What `variance_floor` is relative to: the variance of the same `dimension`, or the `largest` variance of any dimension (VLFeat).
        pub floor_reference: FloorReference = FloorReference::Dimension;
        /// Rows in a batch.
        pub batch_rows: usize = 8192, in 2..,
            when "method = mini-batch": |p| p.method == Method::MiniBatch;
        /// Memory of the moving averages, the λ of Korsch et al.
        pub decay: f64 = 0.9, in 0.0..1.0,
            when "method = mini-batch": |p| p.method == Method::MiniBatch;
    }
}

/// How a mixture is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Exact expectation maximisation over all rows.
    Em,
    /// Exponential moving averages of per-batch EM steps.
    MiniBatch,
}

/// What the variance floor is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloorReference {
    /// The variance of the same dimension over all rows.
    Dimension,
    /// The largest variance of any dimension over all rows.
    Largest,
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}

/// A diagonal Gaussian mixture. Weights are positive and sum to 1, variances are positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Gmm {
    weights: Vec<f32>,
    means: Array2<f32>,
    variances: Array2<f32>,
}

impl Gmm {
    /// A mixture of `weights` (`K`), `means` and `variances` (`K × D`, variances and not standard
    /// deviations). The weights are scaled to sum to 1.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Numerical`] when a weight is negative, a
    /// variance not positive, or any value not finite.
    ///
    /// ```
    /// use ndarray::array;
    /// let gmm = fvtool::gmm::Gmm::new(vec![3.0, 1.0], array![[0.0], [2.0]], array![[1.0], [4.0]])?;
    /// assert_eq!(gmm.weights(), [0.75, 0.25]);
    /// assert_eq!((gmm.components(), gmm.dim()), (2, 1));
    /// # Ok::<(), fvtool::Error>(())
    /// ```
    pub fn new(weights: Vec<f32>, means: Array2<f32>, variances: Array2<f32>) -> Result<Self> {
        let shape = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        shape("weights of a mixture", means.nrows(), weights.len())?;
        shape("variances of a mixture (components)", means.nrows(), variances.nrows())?;
        shape("variances of a mixture (dimensions)", means.ncols(), variances.ncols())?;
        let valid = !weights.is_empty()
            && means.ncols() > 0
            && weights.iter().all(|w| w.is_finite() && *w >= 0.0)
            && means.iter().all(|m| m.is_finite())
            && variances.iter().all(|v| v.is_finite() && *v > 0.0);
        let sum: f64 = weights.iter().copied().map(f64::from).sum();
        if !valid || sum <= 0.0 {
            return Err(Error::Numerical {
                what: "mixture",
                problem: "weights must be 0 or more with a positive sum, variances positive, all values finite".into(),
            });
        }
        let weights = weights.iter().map(|&w| (f64::from(w) / sum) as f32).collect();
        let (means, variances) =
            (means.as_standard_layout().into_owned(), variances.as_standard_layout().into_owned());
        Ok(Self { weights, means, variances })
    }

    /// Number of components `K`.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// Number of dimensions `D`.
    pub fn dim(&self) -> usize {
        self.means.ncols()
    }

    /// Weights `w_k`, summing to 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Means `μ_kd`, `K × D`.
    pub fn means(&self) -> ArrayView2<'_, f32> {
        self.means.view()
    }

    /// Variances `σ²_kd`, `K × D`.
    pub fn variances(&self) -> ArrayView2<'_, f32> {
        self.variances.view()
    }
}

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The log-likelihood changed by less than the tolerance.
    Converged,
    /// The iteration limit was reached.
    IterationLimit,
}

/// What happened during a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Mean log-likelihood per row before each M-step, and last under the returned mixture. For
    /// mini-batch EM: of each batch, and last over all rows.
    pub mean_log_likelihood: Vec<f64>,
    /// Why it ended.
    pub stop: StopReason,
    /// Rows fitted to.
    pub rows: usize,
    /// Smallest component weight.
    pub min_weight: f64,
    /// Largest component weight.
    pub max_weight: f64,
    /// Components with at least one variance at the floor.
    pub floored_components: usize,
    /// Emptied components that were re-seeded: iteration and component.
    pub reseeded: Vec<(usize, usize)>,
    /// Mean log-likelihood per row that every start led to; the highest is that of the mixture.
    pub restarts: Vec<f64>,
    /// Sum of squared distances after each k-means iteration.
    pub kmeans_inertia: Vec<f64>,
    /// Bayesian information criterion (lower is better).
    pub bic: f64,
    /// Akaike information criterion (lower is better).
    pub aic: f64,
}

/// A fitted mixture with the history of its fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The mixture.
    pub gmm: Gmm,
    /// How it came about.
    pub report: FitReport,
}

impl Fit {
    /// Mean log-likelihood per row under the mixture.
    fn mean_log_likelihood(&self) -> f64 {
        self.report.mean_log_likelihood.last().copied().unwrap_or(f64::NEG_INFINITY)
    }
}

/// Fits a mixture to `rows` (`N × D`): k-means++ and k-means, then EM or mini-batch EM; from
/// [`Params::restarts`] starts, the first of equals.
///
/// # Errors
/// [`Error::Setting`] when there are fewer rows than components, [`Error::Numerical`] when a row
/// has a NaN or an infinity, [`Error::Interrupted`] when the caller asked to stop.
pub fn fit(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    params.validate()?;
    Error::require(
        params.components <= rows.nrows(),
        "gmm.components",
        params.components,
        &format!("at most the number of training rows ({})", rows.nrows()),
    )?;
    let values = rows.as_slice().expect("training rows are row-major");
    if let Some(place) = crate::linalg::first_not_finite(values) {
        return Err(Error::Numerical {
            what: "mixture fit",
            problem: format!(
                "training row {} has a NaN or an infinity; leave such descriptors out",
                place / rows.ncols()
            ),
        });
    }
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

fn fit_once(
    rows: ArrayView2<'_, f32>,
    params: &Params,
    floors: &[f64],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fit> {
    let clusters = kmeans::fit(rows, params.components, params.kmeans_iterations, seed, progress)?;
    let start = em::Mixture::from_clusters(rows, &clusters, floors);
    let mut fit = match params.method {
        Method::Em => em::fit(rows, start, floors, params, progress)?,
        Method::MiniBatch => minibatch::fit(rows, start, floors, params, seed, progress)?,
    };
    fit.report.kmeans_inertia = clusters.inertia;
    Ok(fit)
}
