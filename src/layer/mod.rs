//! A Fisher layer that learns with its features: projection, mixture and a linear classifier together.
//!
//! ```text
//! x ─ V(x − m) ─ h ─ posteriors, sums ─ F ─ smooth root, unit length ─ v ─ W v + b ─ loss
//!     Front           Layer                 normalise                     Head
//! ```
//!
//! The projection and the classifier follow the derivative of the loss (Adam); the mixture follows the
//! projected descriptors by mini-batch EM with moving averages, as in Korsch, Bodesheim & Denzler
//! (`docs/REFERENCES.md`). What is kept are a projection and a mixture like those of PCA and EM, so that
//! encoding, classifier and explanations stay as they are.
//!
//! Three things that the paper leaves out: learning starts from PCA and EM, with averages that stand there
//! already (else what the classifier sees jumps); the root is smooth ([`root`]); the classifier's steps are
//! longer than the projection's.

pub mod adam;
mod encode;
mod float;
mod front;
pub mod head;
#[cfg(test)]
mod learning_tests;
pub mod memory;
mod params;
pub mod root;
mod state;
#[cfg(test)]
mod tests;
mod train;

pub use encode::{BatchSums, Layer, Passed};
pub use float::Float;
pub use front::{Front, Projected};
pub use params::Params;
pub use state::{Epoch, Learned, State};
pub use train::{Fit, Image, Lesson, Stop, fit};
