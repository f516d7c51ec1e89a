//! The model of a mixture: weights, means and variances in f32.

use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};
use crate::random::Stream;

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

    /// `count` rows drawn from the mixture: a component by its weight, then a normal with its means and
    /// variances.
    pub fn draw(&self, count: usize, stream: &mut Stream) -> Array2<f32> {
        let mut cumulative = Vec::with_capacity(self.components());
        let mut sum = 0.0;
        for &weight in &self.weights {
            sum += f64::from(weight);
            cumulative.push(sum);
        }
        let mut rows = Array2::zeros((count, self.dim()));
        let sigmas = self.variances.mapv(|variance| f64::from(variance).sqrt());
        for mut row in rows.rows_mut() {
            let at = stream.unit() * sum;
            let component = cumulative.partition_point(|c| *c <= at).min(self.components() - 1);
            let of_component = self.means.row(component).into_iter().zip(sigmas.row(component));
            for (value, (&mean, sigma)) in row.iter_mut().zip(of_component) {
                *value = (f64::from(mean) + sigma * stream.normal()) as f32;
            }
        }
        rows
    }
}
