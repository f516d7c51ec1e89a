//! A mixture in f64, as it is while being fitted.

use ndarray::{Array2, ArrayView2};

use super::model::Gmm;
use crate::clustering::Clusters;
use crate::error::Result;

/// A component that explains less than this many rows is empty: its mean and variance would be
/// quotients of rounding errors.
pub const EMPTY_ROWS: f64 = 1e-3;

/// A mixture in f64, as it is while being fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// `w_k`.
    pub weights: Vec<f64>,
    /// `μ_kd`, `K × D`.
    pub means: Array2<f64>,
    /// `σ²_kd`, `K × D`.
    pub variances: Array2<f64>,
}

impl From<&Gmm> for Mixture {
    fn from(gmm: &Gmm) -> Self {
        Self {
            weights: gmm.weights().iter().copied().map(f64::from).collect(),
            means: gmm.means().mapv(f64::from),
            variances: gmm.variances().mapv(f64::from),
        }
    }
}

impl Mixture {
    /// Weights, means and variances of the clusters of k-means, variances floored per dimension.
    pub fn from_clusters(rows: ArrayView2<'_, f32>, clusters: &Clusters, floors: &[f64]) -> Self {
        let (k, d) = clusters.centres.dim();
        let mut counts = vec![0.0f64; k];
        let mut sums = Array2::<f64>::zeros((k, d));
        let mut squares = Array2::<f64>::zeros((k, d));
        for (row, &cluster) in rows.rows().into_iter().zip(&clusters.assignment) {
            let cluster = cluster as usize;
            counts[cluster] += 1.0;
            let centre = clusters.centres.row(cluster);
            for (j, (&x, &c)) in row.iter().zip(centre).enumerate() {
                let difference = f64::from(x) - f64::from(c);
                sums[[cluster, j]] += difference;
                squares[[cluster, j]] += difference * difference;
            }
        }
        let mut mixture = Self {
            weights: counts.iter().map(|c| c.max(EMPTY_ROWS) / rows.nrows() as f64).collect(),
            means: clusters.centres.mapv(f64::from),
            variances: Array2::zeros((k, d)),
        };
        for i in 0..k {
            let count = counts[i].max(1.0);
            for j in 0..d {
                let shift = sums[[i, j]] / count;
                mixture.means[[i, j]] += shift;
                mixture.variances[[i, j]] =
                    (squares[[i, j]] / count - shift * shift).max(floors[j]);
            }
        }
        mixture.normalise_weights();
        mixture
    }

    /// Mean and variance of the rows that it describes, in every dimension.
    pub fn moments(&self) -> [Vec<f64>; 2] {
        let (k, d) = self.means.dim();
        let weighted =
            |f: &dyn Fn(usize) -> f64| -> f64 { (0..k).map(|i| self.weights[i] * f(i)).sum() };
        let mean: Vec<f64> = (0..d).map(|j| weighted(&|i| self.means[[i, j]])).collect();
        let variance = |j: usize| {
            weighted(&|i| self.variances[[i, j]] + (self.means[[i, j]] - mean[j]).powi(2))
        };
        let variance = (0..d).map(variance).collect();
        [mean, variance]
    }

    /// The f32 model.
    ///
    /// # Errors
    /// [`crate::Error::Numerical`] when a value does not fit f32.
    pub fn to_gmm(&self) -> Result<Gmm> {
        // A floor below the smallest normal f32 must not become a variance of 0.
        let variance = |v: f64| (v as f32).max(f32::MIN_POSITIVE);
        Gmm::new(
            self.weights.iter().map(|&w| w as f32).collect(),
            self.means.mapv(|m| m as f32),
            self.variances.mapv(variance),
        )
    }

    pub(super) fn normalise_weights(&mut self) {
        let sum: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|w| *w /= sum);
    }
}
