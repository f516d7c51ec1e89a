//! Image classification with Fisher vectors on a plain CPU.
//!
//! Data flow one way, and the modules read in that order:
//!
//! ```text
//! dataset → image → network → descriptors → projection → gmm → generative → encoding → layer → svm →
//! evaluation → explanation
//! ```
//!
//! [`describer`] joins those from an image to its vector; [`pipeline`] runs all of them over a data set
//! and keeps what they make in a folder; [`compare`] sets two such folders side by side,
//! [`cross_validation`] holds out every image once.
//!
//! Conventions, everywhere: matrices are row-major with one observation a row; pixel coordinates
//! are 0-based, x right, y down, (0, 0) the centre of the top-left pixel; data are `f32`, sums over
//! many rows `f64`; a stage takes arrays and a parameter struct and returns a value, and the number
//! of threads never changes a bit of it.

pub mod artifacts;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clustering;
pub mod compare;
pub mod config;
pub mod cross_validation;
pub mod dataset;
pub mod describer;
pub mod descriptors;
mod drawing;
pub mod encoding;
pub mod error;
pub mod evaluation;
pub mod explain;
pub mod explanation;
pub mod export;
pub mod files;
pub mod generative;
pub mod gmm;
pub mod image;
pub mod layer;
pub mod linalg;
pub mod memory;
pub mod names;
pub mod network;
pub mod parameters;
pub mod part;
pub mod pipeline;
pub mod plain;
pub mod position;
pub mod progress;
pub mod projection;
pub mod random;
pub mod ranking;
pub mod report;
pub mod revise;
pub mod store;
pub mod svm;
pub mod words;

pub use error::{Error, Result};

/// The code of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The code of docs/EXTENDING.md, the same.
#[cfg(doctest)]
#[doc = include_str!("../docs/EXTENDING.md")]
struct Extending;
