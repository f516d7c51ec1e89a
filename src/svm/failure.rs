//! The error of a training that cannot go on.

use crate::Error;

/// Training failed for the reason given, with a way out.
pub(super) fn failed(problem: impl Into<String>) -> Error {
    Error::Numerical { what: "training the SVM", problem: problem.into() }
}
