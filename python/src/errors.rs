//! Errors and warnings with the words of the program.

use pyo3::exceptions::{PyException, PyUserWarning};
use pyo3::prelude::*;

pyo3::create_exception!(
    fvtool,
    FvtoolError,
    PyException,
    "What fvtool cannot do, in the words of the program: what failed, and the way out."
);
pyo3::create_exception!(
    fvtool,
    FvtoolWarning,
    PyUserWarning,
    "What the program would note: nothing failed, but one should know."
);

/// The error of the library as Python's.
pub fn of_library(error: fvtool::Error) -> PyErr {
    match error {
        fvtool::Error::Interrupted => pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
        other => FvtoolError::new_err(other.to_string()),
    }
}

/// An argument that cannot be used: its name, and what is wrong with it.
pub fn argument(name: &str, problem: impl std::fmt::Display) -> PyErr {
    FvtoolError::new_err(format!("argument `{name}`: {problem}"))
}
