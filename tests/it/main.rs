//! The integration tests, one binary: each file says what it holds.

#![allow(clippy::unwrap_used, clippy::neg_cmp_op_on_partial_ord)]
mod architecture;
mod artifacts;
mod channels;
mod cli;
mod config;
mod dataset;
mod descriptors;
mod encoding;
mod evaluation;
mod evaluation_report;
mod explanation;
mod fusion;
mod fuzzing;
mod gmm;
mod image;
mod own_descriptors;
mod pipeline;
mod pipeline_data;
mod pipeline_explain;
mod projection;
mod reliability;
mod small_run;
mod support;
mod svm;
mod synthetic;
