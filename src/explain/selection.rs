//! Which pairs of image and class are explained.

use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::words::{did_you_mean, listed};

/// Which images and classes are explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Classes by name; all when empty.
    pub classes: Vec<String>,
    /// Images by id; all when empty.
    pub images: Vec<String>,
    /// Which pairs of image and class.
    pub only: Only,
    /// The highest scored of each class, so many; 0 takes all.
    pub top: usize,
}

/// Pairs of image and class by label and score (positive: recognised).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// The image shows the class.
    Present,
    /// It shows the class and is recognised.
    TruePositives,
    /// It does not show the class, yet is recognised.
    FalsePositives,
    /// It shows the class and is not recognised.
    FalseNegatives,
    /// The image does not show the class that it is taken for: that of its highest score.
    Mistakes,
    /// Every pair.
    All,
}

impl Only {
    /// `wins` where the class has the image's highest score.
    pub(super) fn takes(self, label: Label, score: f32, wins: bool) -> bool {
        match self {
            Self::Present => label == Label::Yes,
            Self::TruePositives => label == Label::Yes && score > 0.0,
            Self::FalsePositives => label == Label::No && score > 0.0,
            Self::FalseNegatives => label == Label::Yes && score <= 0.0,
            Self::Mistakes => label == Label::No && wins,
            Self::All => true,
        }
    }
}

/// One image and the classes that it is explained for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) item: usize,
    pub(super) classes: Vec<usize>,
}

/// A component of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) channel: usize,
    pub(super) component: usize,
}

/// The place of a class by its name.
pub(super) fn class_index(classes: &[String], name: &str) -> Result<usize> {
    classes.iter().position(|class| class == name).ok_or_else(|| {
        let near = did_you_mean(name, classes);
        let problem = format!("not a class of the run; its classes are {}{near}", listed(classes));
        Error::data(format!("class `{name}`"), problem)
    })
}
