//! Settings of the classifier.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::backend::Limits;
use super::penalty::{Loss, Penalty};
use crate::{Error, Result};

/// How the optimum is found. [`Solver::Dual`] and [`Solver::Gram`] solve the same problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// `gram` up to [`GRAM_ROWS`] rows, `dual` above.
    Auto,
    /// Dual coordinate descent over blocks of rows; needs no `n × n` matrix.
    Dual,
    /// Dual coordinate descent on the `n × n` Gram matrix of `4·n²` bytes.
    Gram,
    /// Sequential minimal optimisation (linfa-svm) on the Gram matrix: the bias is not
    /// regularised, as in libsvm. Hinge loss only.
    Smo,
}

/// How errors on positive and negative images compare, before `positive_weight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every image counts the same.
    Equal,
    /// A positive counts (number of negatives)/(number of positives) times, class by class.
    Balanced,
}

/// How several channels become one classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// One machine a class on vectors joined by the channels' weights (early fusion).
    Weights,
    /// The same, with weights chosen on held-out images.
    Learned,
    /// One machine a class and channel, their scores averaged by the channels' weights (late fusion).
    Scores,
}

/// Whether scores get a sigmoid that makes them probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Scores only.
    None,
    /// Platt scaling on scores of images that the scoring model had not seen (`svm.folds`).
    Platt,
}

/// Most rows for which [`Solver::Auto`] forms a Gram matrix: 1.6 GB of f32.
pub const GRAM_ROWS: usize = 20_000;

crate::parameters! {
    /// Settings of the classifier, group `svm`. The default is VLFeat's recipe.
    #[group = "svm"]
    pub struct Params {
        /// How the optimum is found: `auto`, `dual`, `gram` or `smo` (free bias).
        pub solver: Solver = Solver::Auto;
        /// What an error costs: `hinge` or `squared-hinge`.
        pub loss: Loss = Loss::Hinge;
        /// Weight of errors against the size of the weights.
        pub c: f64 = 10.0, in 1e-12..=1e12, when "c_grid = []": |p| p.c_grid.is_empty();
        /// Values of C to choose from by cross-validated mean average precision; the choice replaces
        /// `c`.
        pub c_grid: Vec<f64> = Vec::new(), in 1e-12..=1e12;
        /// Parts that the training images are split into for cross-validation.
        pub folds: usize = 5, in 2..=100,
            when "c_grid, fusion = learned or calibration = platt": |p| p.cross_validates();
        /// How errors on positive and negative images compare: `equal` (every image counts the same)
        /// or `balanced` (a positive counts negatives/positives times).
        pub balance: Balance = Balance::Equal;
        /// Weight of an error on a positive image, on top of `balance`.
        pub positive_weight: f64 = 1.0, in 1e-6..=1e6;
        /// Relative duality gap (primal − dual)/primal at which a class is done.
        /// Products in f32 let it fall to about 1e-6 times C, no further.
        pub tolerance: f64 = 1e-3, in 1e-6..=0.5;
        /// Largest number of passes over the images for a class.
        pub max_epochs: usize = 1000, in 1..;
        /// How several channels become one classifier: `weights` (one classifier of the vectors joined
        /// by the channels' weights), `learned` (the same with weights that rank held-out images best)
        /// or `scores` (a classifier for each channel, their scores averaged by the channels' weights).
        pub fusion: Fusion = Fusion::Weights;
        /// Visual words that the classifier is trained without: numbers of components, as `17`, after the channel's name where there are several, as `sift:17`.
        pub without_words: Vec<String> = Vec::new();
        /// Training images that it is trained without, by id.
        pub without_images: Vec<String> = Vec::new();
        /// Table of labels of training images that are wrong, CSV with `image` and `suggested`, as `fvtool check` writes it.
        pub corrections: PathBuf = PathBuf::new();
        /// Whether to fit probabilities: `none` or `platt` (out-of-fold).
        pub calibration: Calibration = Calibration::None;
    }
}

impl Params {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        // The ranges keep every dual variable and objective within f32.
        self.check_ranges()?;
        let fits = self.solver != Solver::Smo || self.loss == Loss::Hinge;
        Error::require(fits, "svm.loss", "squared-hinge", "hinge when svm.solver is smo")?;
        let alone = self.fusion != Fusion::Scores || self.c_grid.is_empty();
        let grid = format!("{:?}", self.c_grid);
        Error::require(alone, "svm.c_grid", grid, "empty when svm.fusion is scores")
    }

    /// The settings without those that a run applies to vectors and labels before they are trained on: words, images
    /// and corrections, by their names.
    pub fn of_rows(&self) -> Self {
        let none = Self::default();
        Self {
            without_words: none.without_words,
            without_images: none.without_images,
            corrections: none.corrections,
            ..self.clone()
        }
    }

    /// Refuses settings that name words or images: rows have none.
    pub(super) fn require_of_rows(&self) -> Result<()> {
        let range = "empty where rows have no names of words or images: a run applies it";
        for (key, is_empty) in [
            ("svm.without_words", self.without_words.is_empty()),
            ("svm.without_images", self.without_images.is_empty()),
            ("svm.corrections", self.corrections.as_os_str().is_empty()),
        ] {
            Error::require(is_empty, key, "set", range)?;
        }
        Ok(())
    }

    /// Whether machines are trained on a part of the images to be tried on the others.
    fn cross_validates(&self) -> bool {
        !self.c_grid.is_empty()
            || self.fusion == Fusion::Learned
            || self.calibration == Calibration::Platt
    }

    pub(super) fn limits(&self, trial: bool) -> Limits {
        Limits { tolerance: self.tolerance, max_epochs: self.max_epochs, trial }
    }

    pub(super) fn penalty(&self, sign: &[f32], c: f64) -> Penalty {
        let count = |wanted: f32| sign.iter().filter(|&&y| y == wanted).count() as f64;
        let balance = match self.balance {
            Balance::Equal => 1.0,
            Balance::Balanced => count(-1.0) / count(1.0),
        };
        Penalty { loss: self.loss, positive: c * balance * self.positive_weight, negative: c }
    }
}
