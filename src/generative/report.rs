//! What happened during a fit.

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::parts::Parts;
use crate::gmm::{Family, FitReport, StopReason};

/// What happened during a fit, as the artifact holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Report {
    /// Of another family than the Gaussian one, told by its `family`.
    Family(FamilyReport),
    /// Of a Gaussian mixture.
    Gaussian(FitReport),
}

impl Report {
    /// Rows fitted to.
    pub fn rows(&self) -> usize {
        match self {
            Self::Family(report) => report.rows,
            Self::Gaussian(report) => report.rows,
        }
    }

    /// What was made larger, after each iteration.
    pub fn history(&self) -> &[f64] {
        match self {
            Self::Family(report) => &report.mean_log_likelihood,
            Self::Gaussian(report) => &report.mean_log_likelihood,
        }
    }

    /// Whether a layer learned the model with its features; [`history`](Self::history) is then that of its
    /// epochs.
    pub fn is_of_layer(&self) -> bool {
        matches!(self, Self::Gaussian(report) if report.of_layer)
    }
}

/// What happened during the fit of another family than the Gaussian one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FamilyReport {
    /// The family.
    pub family: Family,
    /// Mean log-likelihood per row before each M-step, and last under the returned model. For the
    /// autoencoder: its lower bound, the mean over each pass and last over all rows.
    pub mean_log_likelihood: Vec<f64>,
    /// Why it ended.
    pub stop: StopReason,
    /// Rows fitted to.
    pub rows: usize,
    /// Values that were fitted, less those that others determine.
    pub free_values: usize,
    /// Smallest and largest component weight; nothing for the autoencoder.
    pub weights: Option<[f64; 2]>,
    /// Components (of the autoencoder: dimensions) with a variance at the floor.
    pub floored: usize,
    /// Bayesian information criterion (lower is better), of the bound for the autoencoder.
    pub bic: f64,
    /// The same of Akaike.
    pub aic: f64,
    /// The fit of the Gaussian mixture that this one started from.
    pub start: Option<FitReport>,
}

impl FamilyReport {
    /// The report of a finished fit; `history` ends with the mean log-likelihood of the model.
    pub(super) fn of(
        family: Family,
        history: Vec<f64>,
        stop: StopReason,
        rows: usize,
        free_values: usize,
    ) -> Self {
        let total = history.last().copied().unwrap_or(f64::NAN) * rows as f64;
        let free = free_values as f64;
        Self {
            family,
            mean_log_likelihood: history,
            stop,
            rows,
            free_values,
            weights: None,
            floored: 0,
            bic: free * (rows as f64).ln() - 2.0 * total,
            aic: 2.0 * free - 2.0 * total,
            start: None,
        }
    }

    /// The same, of a mixture that a Gaussian one was the start of.
    pub(super) fn of_mixture(self, weights: &[f32], floored: usize, start: FitReport) -> Self {
        let weights = || weights.iter().copied().map(f64::from);
        let (smallest, largest) =
            (weights().fold(f64::INFINITY, f64::min), weights().fold(0.0, f64::max));
        Self { weights: Some([smallest, largest]), floored, start: Some(start), ..self }
    }
}

/// Rows of `spreads` (a component each) with a value at or below the floor of its dimension.
pub(super) fn at_floor(spreads: ArrayView2<'_, f32>, floors: &[f64]) -> usize {
    let is_low = |row: &ArrayView1<'_, f32>| {
        row.iter().zip(floors).any(|(&spread, &floor)| spread <= floor as f32)
    };
    spreads.rows().into_iter().filter(is_low).count()
}

/// Values of a mixture of so many sizes that are free: weights sum to 1, and factors can be turned.
pub(super) fn free_values(parts: Parts) -> usize {
    let Parts { components: k, dim: d, factors: q, .. } = parts;
    let turns = q * q.saturating_sub(1) / 2;
    k * (2 * d + d * q - turns) + k - 1
}
