//! The integration tests, one binary: each file says what it holds.

mod evaluation;
mod evaluation_report;
mod support;
