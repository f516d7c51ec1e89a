//! The program itself.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the program with these arguments, of which the first is its name, and gives its exit code. What the
/// grammar refuses, and `--help`, end the process.
#[pyfunction]
pub fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| fvtool::cli::main(arguments))
}
