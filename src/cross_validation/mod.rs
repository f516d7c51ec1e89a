//! Cross-validation of a run's settings on all images of a data folder, or on those of a split.
//!
//! ```text
//! images ─ folds (classes spread, groups together) ─ for each fold: train on the others, score it ─ measures
//! ```
//!
//! | models | projection and mixture | classifier |
//! |---|---|---|
//! | [`Models::Once`] | fitted once, to all images, without their labels | of each fold |
//! | [`Models::EachFold`] | fitted anew to the training images of each fold | of each fold |
//!
//! The first takes little more time than one run. Its vectors have seen the held-out images, not what they show;
//! the second gives the figures that a new image would get, in as many times the time as there are folds.
//!
//! Results lie in `cross-validation/` of the run folder: figures as JSON, a page, and a table of what was
//! predicted for each image. With [`Models::EachFold`] every fold has a run folder of its own below it, which
//! goes on where it was stopped.

mod options;
mod page;
mod report;
mod run;

pub use options::{Models, Options};
pub use report::Report;
pub use run::{Done, cross_validate};
