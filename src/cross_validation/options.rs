//! How a run is cross-validated.

use serde::Serialize;

/// What is fitted anew for each fold, beside the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Models {
    /// Nothing: projection and mixture are those of all images.
    Once,
    /// Projection and mixture.
    EachFold,
}

/// How a run is cross-validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The split; [`crate::dataset::ALL`] for all images.
    pub split: String,
    /// Folds, 2 or more.
    pub folds: usize,
    /// Repeats with other folds, 1 or more.
    pub repeats: usize,
    /// What is fitted anew.
    pub models: Models,
}
