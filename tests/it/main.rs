//! The integration tests, one binary: each file says what it holds.

mod descriptors;
mod image;
mod support;
