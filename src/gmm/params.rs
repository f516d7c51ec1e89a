//! Settings of the mixture and of its fit.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parameters::above;

crate::parameters! {
    /// Settings of the mixture (group `gmm`).
    #[group = "gmm"]
    pub struct Params {
        /// Number of components K of the mixture.
        pub components: usize = 256, in 1..=65_536, when "family = gaussian, laplace or factor-analysers": |p| p.family.is_mixture();
        /// The model of descriptors whose gradients make the vector: `gaussian` (a mixture of Gaussians with diagonal covariances), `laplace` (a mixture of Laplace distributions), `factor-analysers` (a mixture of Gaussians whose covariances are a diagonal and a few factors), or `vae` (a variational autoencoder). docs/FAMILIES.md says what each is worth.
        pub family: Family = Family::Gaussian;
        /// Factors q of each component (`factor-analysers`), or values of the code (`vae`); fewer than the descriptors have values.
        pub factors: usize = 8, in 1..=1024, when "family = factor-analysers or vae": |p| p.family.has_factors();
        /// Units H of the last hidden layer, whose weights the vector is the gradient of.
        pub hidden: usize = 64, in 1..=65_536, when "family = vae": |p| p.family == Family::Vae;
        /// How the Gaussian mixture is fitted: `em` (all rows in every iteration) or `mini-batch` (exponential moving averages over batches). The fits of `laplace` and `factor-analysers` start from it and go on with EM.
        pub method: Method = Method::Em, when "family = gaussian, laplace or factor-analysers": |p| p.family.is_mixture();
        /// Largest number of iterations of EM, or of batches of mini-batch EM; for `vae`, of passes over the rows, of which there are 15 at most.
        pub max_iterations: usize = 100, in 1..=100_000;
        /// EM stops when the relative change of the mean log-likelihood falls below this; 0 runs all iterations.
        pub tolerance: f64 = 1e-5, in 0.0..,
            when "method = em, or family = laplace or factor-analysers": |p| p.runs_em();
        /// Lloyd iterations of the k-means that starts the fit; 0 keeps the k-means++ centres.
        pub kmeans_iterations: usize = 50, in 0.., when "family = gaussian, laplace or factor-analysers": |p| p.family.is_mixture();
        /// Number of fits of the Gaussian mixture from different starts; the one of the highest likelihood is kept.
        pub restarts: usize = 1, in 1..=100, when "family = gaussian, laplace or factor-analysers": |p| p.family.is_mixture();
        /// Smallest variance, relative to the data's variance.
        pub variance_floor: f64 = 1e-4, in above(0.0).up_to(1.0);
        /// What `variance_floor` is relative to: the variance of the same `dimension`, or the `largest` variance of any dimension (VLFeat).
        pub floor_reference: FloorReference = FloorReference::Dimension;
        /// Rows in a batch.
        pub batch_rows: usize = 8192, in 2..,
            when "method = mini-batch": |p| p.runs_batches();
        /// Memory of the moving averages, the λ of Korsch et al.
        pub decay: f64 = 0.9, in 0.0..1.0,
            when "method = mini-batch": |p| p.runs_batches();
    }
}

/// The kind of model that descriptors are taken for draws of; [`crate::generative`] has the others than the
/// Gaussian one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A mixture of Gaussians with diagonal covariances.
    #[default]
    Gaussian,
    /// A mixture of Laplace distributions.
    Laplace,
    /// A mixture of factor analysers.
    FactorAnalysers,
    /// A variational autoencoder.
    Vae,
}

impl Family {
    /// Whether it is a mixture of components.
    pub fn is_mixture(self) -> bool {
        self != Self::Vae
    }

    /// Whether `gmm.factors` says something of it.
    pub fn has_factors(self) -> bool {
        matches!(self, Self::FactorAnalysers | Self::Vae)
    }

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Laplace => "laplace",
            Self::FactorAnalysers => "factor-analysers",
            Self::Vae => "vae",
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
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

    /// Whether EM over all rows runs, alone or after mini-batch EM.
    fn runs_em(&self) -> bool {
        match self.family {
            Family::Gaussian => self.method == Method::Em,
            Family::Laplace | Family::FactorAnalysers => true,
            Family::Vae => false,
        }
    }

    fn runs_batches(&self) -> bool {
        self.family.is_mixture() && self.method == Method::MiniBatch
    }

    /// Refuses more factors than rows of `dim` values leave room for.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check_factors(&self, dim: usize) -> Result<()> {
        Error::require(
            !self.family.has_factors() || self.factors < dim,
            "gmm.factors",
            self.factors,
            &format!(
                "fewer than the {dim} values of a projected descriptor (pca.dimension and what \
                 pca.append adds)"
            ),
        )
    }
}
