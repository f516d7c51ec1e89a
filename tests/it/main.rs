//! The integration tests, one binary: each file says what it holds.

#![allow(clippy::unwrap_used, clippy::neg_cmp_op_on_partial_ord)]
mod dataset;
mod descriptors;
mod encoding;
mod evaluation;
mod evaluation_report;
mod gmm;
mod image;
mod projection;
mod support;
mod svm;
mod synthetic;
