//! What a fit gives: the mixture and how it came about.

use serde::{Deserialize, Serialize};

use super::mixture::Mixture;
use super::model::Gmm;

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
    /// Whether a layer learned it with its features: the log-likelihoods are then those of epochs, and none
    /// where another program did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_layer: bool,
}

impl FitReport {
    /// The report of a finished fit; `history` ends with the mean log-likelihood of `mixture`.
    pub(super) fn of(
        mixture: &Mixture,
        floors: &[f64],
        history: Vec<f64>,
        stop: StopReason,
        rows: f64,
        reseeded: Vec<(usize, usize)>,
    ) -> Self {
        let (k, d) = mixture.means.dim();
        let free = (2 * k * d + k - 1) as f64;
        let total = history.last().copied().unwrap_or(f64::NAN) * rows;
        Self {
            mean_log_likelihood: history,
            stop,
            rows: rows as usize,
            min_weight: mixture.weights.iter().copied().fold(f64::INFINITY, f64::min),
            max_weight: mixture.weights.iter().copied().fold(0.0, f64::max),
            floored_components: mixture
                .variances
                .rows()
                .into_iter()
                .filter(|row| row.iter().zip(floors).any(|(v, floor)| v <= floor))
                .count(),
            reseeded,
            restarts: Vec::new(),
            kmeans_inertia: Vec::new(),
            bic: free * rows.ln() - 2.0 * total,
            aic: 2.0 * free - 2.0 * total,
            of_layer: false,
        }
    }

    /// The report of a mixture that a layer learned; `history` has the mean log-likelihood of every epoch,
    /// and is empty for one that another program learned.
    pub fn of_layer(gmm: &Gmm, history: Vec<f64>, rows: usize) -> Self {
        let (mixture, stop) = (Mixture::from(gmm), StopReason::IterationLimit);
        let known = !history.is_empty();
        let report = Self::of(&mixture, &[], history, stop, rows as f64, Vec::new());
        // Nothing is known of the fit of a foreign mixture, and JSON has no NaN.
        let of_fit = |value: f64| if known { value } else { 0.0 };
        Self { bic: of_fit(report.bic), aic: of_fit(report.aic), of_layer: true, ..report }
    }
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
    pub(super) fn mean_log_likelihood(&self) -> f64 {
        self.report.mean_log_likelihood.last().copied().unwrap_or(f64::NEG_INFINITY)
    }
}
