//! The error of a projection that cannot be fitted.

use crate::Error;

/// PCA failed for the reason given.
pub(super) fn failed(problem: &str) -> Error {
    Error::Numerical { what: "PCA", problem: problem.to_owned() }
}
