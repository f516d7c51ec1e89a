//! Settings of the mixture and of its fit.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::parameters::above;

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
    /// [`crate::Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}
