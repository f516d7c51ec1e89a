//! What a check found, in one form for all checks.

use std::path::PathBuf;

use serde::Serialize;

use crate::evaluation::leak::Without;
use crate::plain;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The same pixels in two splits.
    Leak,
    /// Nearly the same picture in two splits.
    NearLeak,
    /// Copies with different labels.
    Contradiction,
    /// The same pixels twice in a split.
    ExactCopy,
    /// Nearly the same picture twice in a split.
    NearCopy,
    /// A label against which the classifier is sure.
    LabelSuspect,
    /// A file that cannot be used.
    Unreadable,
    /// An image of one colour.
    Blank,
    /// An image of few pixels.
    Tiny,
    /// An image unlike all others.
    Outlier,
    /// A class with few images, or few beside others.
    Imbalance,
}

impl Check {
    /// All, the gravest first.
    pub const ALL: [Self; 11] = [
        Self::Leak,
        Self::NearLeak,
        Self::Contradiction,
        Self::LabelSuspect,
        Self::ExactCopy,
        Self::NearCopy,
        Self::Unreadable,
        Self::Blank,
        Self::Tiny,
        Self::Outlier,
        Self::Imbalance,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Leak => "training images among the test images",
            Self::NearLeak => "near copies of training images among the test images",
            Self::Contradiction => "copies with different labels",
            Self::ExactCopy => "copies within a split",
            Self::NearCopy => "near copies within a split",
            Self::LabelSuspect => "labels that look wrong",
            Self::Unreadable => "files that cannot be used",
            Self::Blank => "blank images",
            Self::Tiny => "tiny images",
            Self::Outlier => "images unlike all others",
            Self::Imbalance => "uneven classes",
        }
    }

    /// What it means.
    pub fn means(self) -> &'static str {
        match self {
            Self::Leak | Self::NearLeak => {
                "the classifier knows them, so that the measures say too much"
            }
            Self::Contradiction => "one of the labels is wrong, or the classes overlap",
            Self::ExactCopy | Self::NearCopy => "each counts, so that one picture counts twice",
            Self::LabelSuspect => {
                "a classifier that has not seen the image is surer of something else than it is of images \
                 that are labelled so"
            }
            Self::Unreadable => "no stage uses them, and no figure counts them",
            Self::Blank => "there is nothing in them to learn from",
            Self::Tiny => "few descriptors fit into them",
            Self::Outlier => "another subject, another instrument, or a broken file",
            Self::Imbalance => "what is said of a small class rests on little",
        }
    }

    /// What to do about it.
    pub fn to_do(self) -> &'static str {
        match self {
            Self::Leak | Self::NearLeak => {
                "take them out of one of the splits; until then believe the measures without them"
            }
            Self::Contradiction => "look at both, correct the label or leave both out",
            Self::ExactCopy | Self::NearCopy => {
                "keep one of each, or see to it that all of a group are in the same split"
            }
            Self::LabelSuspect => "look at them, the first ones first, and correct what is wrong",
            Self::Unreadable => "repair or remove them",
            Self::Blank | Self::Tiny | Self::Outlier => {
                "look at them; leave out what does not belong"
            }
            Self::Imbalance => {
                "add images, or look at each class's figures and not at the mean alone"
            }
        }
    }
}

/// An image of a split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Named {
    /// The split.
    pub split: String,
    /// The image's id.
    pub id: String,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How sure it is, from 0 to 1.
    pub score: f64,
    /// The images, of which the first is the one to look at.
    pub images: Vec<Named>,
    /// The finding in words.
    pub summary: String,
    /// The label in question, where a label is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the label should perhaps be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested: Option<String>,
}

/// All that was checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The splits with their numbers of images.
    pub splits: Vec<(String, usize)>,
    /// Checks that were made; the others need a run.
    pub checked: Vec<Check>,
    /// What was found, the gravest check first and the surest finding of each.
    pub findings: Vec<Finding>,
    /// Measures of evaluated splits with training images, with and without these.
    pub measures: Vec<Measures>,
    /// The table of findings.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "table_text")]
    pub table: Option<PathBuf>,
}

fn table_text<S: serde::Serializer>(table: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    match table {
        Some(path) => plain::path_text(path, to),
        None => to.serialize_none(),
    }
}

/// Measures of a split in which training images stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// The split.
    pub split: String,
    /// Images of it that are copies or near copies of training images.
    pub copies: usize,
    /// All measures, over all images.
    pub with: Without,
    /// The same without the copies; none where nothing is left.
    pub without: Option<Without>,
}

impl CheckReport {
    /// The findings of a check.
    pub fn of(&self, check: Check) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.check == check)
    }
}
