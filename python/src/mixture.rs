//! Gaussian mixtures.

use fvtool::gmm::{self, Evaluator, FitReport, Gmm};
use fvtool::random::Seed;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{Rows, matrix, of_json, of_matrix, of_view, vector};
use crate::busy::busy;
use crate::errors::{argument, of_library};
use crate::settings::of_group;

/// A mixture of K Gaussians in D dimensions, each with variances of its own and no covariances.
#[pyclass(name = "GMM", module = "fvtool", frozen)]
pub struct Mixture {
    gmm: Gmm,
    report: Option<FitReport>,
}

impl From<Gmm> for Mixture {
    fn from(gmm: Gmm) -> Self {
        Self { gmm, report: None }
    }
}

/// The mixture of an argument: fvtool's, or scikit-learn's with diagonal covariances.
pub fn of_argument(given: &Bound<'_, PyAny>) -> PyResult<Gmm> {
    if let Ok(own) = given.cast::<Mixture>() {
        return Ok(own.get().gmm.clone());
    }
    let part = |name: &str| {
        given.getattr(name).map_err(|_| {
            argument("gmm", "a fvtool.GMM, or a fitted GaussianMixture of scikit-learn, is needed")
        })
    };
    let (weights, means) = (part("weights_")?, part("means_")?);
    let kind: String = part("covariance_type")?.extract()?;
    if kind != "diag" {
        let text = format!("covariances of type `{kind}`; fit it with covariance_type=\"diag\"");
        return Err(argument("gmm", text));
    }
    let variances = matrix("gmm.covariances_", &part("covariances_")?)?;
    Gmm::new(vector("gmm.weights_", &weights)?, matrix("gmm.means_", &means)?, variances)
        .map_err(of_library)
}

#[pymethods]
impl Mixture {
    #[new]
    fn new(
        weights: &Bound<'_, PyAny>,
        means: &Bound<'_, PyAny>,
        variances: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let weights = vector("weights", weights)?;
        let (means, variances) = (matrix("means", means)?, matrix("variances", variances)?);
        Gmm::new(weights, means, variances).map(Self::from).map_err(of_library)
    }

    /// Weights of the components, K values that add up to 1.
    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, self.gmm.weights())
    }

    /// Means, K×D.
    #[getter]
    fn means<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_view(py, self.gmm.means())
    }

    /// Variances (not deviations), K×D.
    #[getter]
    fn variances<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_view(py, self.gmm.variances())
    }

    /// How the fit went: likelihood after each step, why it stopped, …; `None` where nothing was fitted.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.report)
    }

    /// Probability of each component for each row (N×D): N×K float32, rows adding up to 1.
    fn posteriors<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_matrix(py, self.evaluate(py, rows)?.0)
    }

    /// Natural logarithm of the density at each row (N×D): N float64.
    fn log_likelihood<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        Ok(PyArray1::from_vec(py, self.evaluate(py, rows)?.1))
    }

    #[expect(clippy::type_complexity, reason = "the arguments of `new`")]
    fn __getnewargs__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray1<f32>>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>)>
    {
        Ok((self.weights(py), self.means(py)?, self.variances(py)?))
    }

    fn __repr__(&self) -> String {
        format!("GMM({} components of {} values)", self.gmm.components(), self.gmm.dim())
    }
}

impl Mixture {
    fn evaluate(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
    ) -> PyResult<(ndarray::Array2<f32>, Vec<f64>)> {
        let rows = Rows::of("rows", rows)?;
        let view = rows.view()?;
        busy(py, None, |_| Evaluator::new(&self.gmm).posteriors(view))
    }
}

/// Fits a mixture to rows (N×D): k-means, then expectation maximisation. `settings` are those of the group
/// `gmm` (`max_iterations=50`, `tolerance=1e-4`, `method="mini-batch"`, …). The number of threads changes
/// no bit.
#[pyfunction]
#[pyo3(signature = (rows, n_components, *, seed = 1, threads = None, **settings))]
pub fn fit_gmm(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    n_components: usize,
    seed: u64,
    threads: Option<usize>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Mixture> {
    let mut params = of_group("gmm", settings)?.gmm;
    params.components = n_components;
    let rows = Rows::some("rows", rows)?;
    let view = rows.view()?;
    let fit = busy(py, threads, |watch| gmm::fit(view, &params, Seed(seed), watch))?;
    Ok(Mixture { gmm: fit.gmm, report: Some(fit.report) })
}
