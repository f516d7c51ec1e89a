//! The integration tests, one binary: each file says what it holds.

mod dataset;
mod support;
mod synthetic;
