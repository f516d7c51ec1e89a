//! Generative models of descriptors, whose scores make Fisher vectors.
//!
//! A model with density `p(x | θ)` gives the vector of `N` descriptors
//!
//! ```text
//! F^{−½} · 1/N Σ_n ( ∇_θ ln p(x_n | θ) − m )      F ≈ diag( information of one descriptor )
//! ```
//!
//! with `m` the score's expectation: 0 for the mixtures (but for weights), measured for the autoencoder.
//!
//! | `gmm.family` | model | parts of the vector, by order | values |
//! |---|---|---|---|
//! | `gaussian` | [`Gmm`](crate::gmm::Gmm) | 0 weights, 1 means, 2 variances | K, KD, KD |
//! | `laplace` | [`Laplace`] | 0 weights, 1 locations, 2 scales | K, KD, KD |
//! | `factor-analysers` | [`FactorAnalysers`] | 0 weights, 1 means, 2 variances, 3 loadings | K, KD, KD, KDq |
//! | `vae` | [`Vae`] | 1 the decoder's last layer: H units and a bias | (H + 1)D |
//!
//! The Gaussian mixture has a way of its own through [`crate::gmm`]; the others are behind one trait,
//! [`Generative`], and the mixtures among them behind [`Components`]. All of it is in f64, by blocks of
//! rows. docs/FAMILIES.md has the formulas, their sources, and what each family is worth.

pub(crate) mod components;
pub mod factors;
mod fit;
pub mod laplace;
pub mod memory;
mod model;
mod parts;
mod report;
mod scratch;
mod tasks;
mod traits;
pub mod vae;

pub use factors::FactorAnalysers;
pub use fit::{Fit, fit};
pub use laplace::Laplace;
pub use model::Model;
pub use parts::{Parts, Sums};
pub use report::{FamilyReport, Report};
pub use scratch::{Products, Scratch};
pub use traits::{Components, Generative};
pub use vae::Vae;
