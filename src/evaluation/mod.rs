//! How good the scores of a split are: average precision, ROC, accuracy, confusion, and reports.
//!
//! For each class the images are ranked by score ([`ranking`]); images that are ignored for the
//! class leave before anything is counted, so they are neither true nor false positives and can
//! never stand at the top. From the ranking come the precision-recall [`curve`], the three
//! definitions of [`average_precision`], always all reported under their names, and [`roc`]. Where
//! every image has one class, [`confusion`] counts predictions.
//!
//! - Equal scores count together ([`ranking`] names the source): no measure depends on the order of the
//!   list, and one score for all images gives the share of positives as average precision, ½ as ROC area
//!   and equal-error rate, and one in `C` as accuracy. How many scores are tied is counted.
//! - A score of −∞ stands for "no score", as of an image that could not be read: it leaves, as an ignored
//!   one does, and is counted.
//! - A NaN is an error that names image and class.
//! - A class without positives has no average precision; it is left out of the mean and counted.
//!
//! [`decision`] says what scores decide (precision, recall, F1). [`bootstrap`] puts an interval beside every
//! measure, [`cross`] takes them over the folds of a cross-validation. [`paired`] sets two classifiers side by side, [`disagreement`] finds the images that one of them gets
//! right alone. [`svg`] and [`html`] draw a report; nothing here reads or writes files.
//!
//! Source: VOC devkit 2007 and 2010, Faw06, ET93, Rij79.

pub mod average_precision;
pub mod bootstrap;
pub mod confusion;
pub mod cross;
pub mod curve;
pub mod decision;
pub mod disagreement;
mod figures;
pub mod html;
pub mod leak;
mod measures;
pub mod paired;
mod params;
pub mod ranking;
mod report;
pub mod roc;
mod scored;
mod scores;
pub mod svg;
pub mod voc_results;

pub use confusion::{Accuracy, Confusion};
pub use decision::Decision;
pub use figures::{ClassFigures, Figures};
pub use measures::evaluate;
pub use params::{Params, Threshold};
pub(crate) use report::ends_in_percent;
pub use report::{ClassReport, Map, Report};
pub use scored::Scored;
pub use scores::Scores;
