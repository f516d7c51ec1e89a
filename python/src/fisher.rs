//! The Fisher vector of rows under a mixture.

use fvtool::encoding::normalise::Step;
use fvtool::encoding::{encode_with, spatial::Grid};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::Rows;
use crate::busy::busy;
use crate::errors::argument;
use crate::mixture::of_argument;
use crate::settings::of_group;

/// The Fisher vector of rows (N×D) under a mixture of K components: float32, for each of `orders` in turn K
/// values (order 0: weights) or K·D (1: means, 2: variances), component by component.
///
/// `gmm` is a `fvtool.GMM`, or a `GaussianMixture` of scikit-learn with diagonal covariances. `improved`
/// takes signed square roots and then brings the vector to unit length. `settings` are those of the group
/// `encoding` (`power=0.3`, `assignment="hard"`, …).
#[pyfunction]
#[pyo3(
    signature = (rows, gmm, *, improved = false, orders = vec![1, 2], **settings),
    text_signature = "(rows, gmm, *, improved=False, orders=(1, 2), **settings)"
)]
pub fn fisher_vector<'py>(
    py: Python<'py>,
    rows: &Bound<'py, PyAny>,
    gmm: &Bound<'py, PyAny>,
    improved: bool,
    orders: Vec<u8>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let given = |name: &str| settings.is_some_and(|all| all.contains(name).unwrap_or(false));
    let mut params = of_group("encoding", settings)?.encoding;
    if params.regions != [Grid::WHOLE] || params.mirrored {
        let text = "rows have no place in an image; FisherVectorizer encodes regions of images";
        return Err(argument(if params.mirrored { "mirrored" } else { "regions" }, text));
    }
    params.orders = orders;
    if !given("posterior_threshold") {
        params.posterior_threshold = 0.0;
    }
    if !given("region_steps") {
        params.region_steps = Vec::new();
    }
    if !given("vector_steps") {
        params.vector_steps = if improved { vec![Step::Power, Step::L2] } else { Vec::new() };
    }
    let (rows, gmm) = (Rows::of("rows", rows)?, of_argument(gmm)?);
    let view = rows.view()?;
    let vector = busy(py, None, |_| encode_with(&gmm, view, &params))?;
    Ok(PyArray1::from_vec(py, vector))
}
