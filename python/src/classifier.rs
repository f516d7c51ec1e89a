//! Linear support vector machines: what is behind `fvtool.Classifier`.

use fvtool::config::Config;
use fvtool::dataset::Label;
use fvtool::svm::{self, ClassReport, Selection, Sigmoid};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::arrays::{Rows, matrix, of_json, of_matrix, of_view, vector};
use crate::busy::busy;
use crate::errors::{argument, of_library};
use crate::settings::overrides;

/// A trained classifier of M classes.
#[pyclass(module = "fvtool._fvtool", frozen)]
pub struct Model(pub svm::Model);

#[pymethods]
impl Model {
    /// Of its parts: names, M×dim, M values, and what the training says of itself, in JSON.
    #[new]
    fn new(
        classes: Vec<String>,
        weights: &Bound<'_, PyAny>,
        bias: &Bound<'_, PyAny>,
        report: &str,
    ) -> PyResult<Self> {
        let read = serde_json::from_str::<Report>(report);
        let (sigmoids, reports, selection) =
            read.map_err(|error| argument("report", format!("not of a classifier: {error}")))?;
        let (weights, bias) = (matrix("weights", weights)?, vector("bias", bias)?);
        svm::Model::new(classes, weights, bias, sigmoids, reports, selection)
            .map(Self)
            .map_err(of_library)
    }

    /// Names of the classes.
    #[getter]
    pub fn classes(&self) -> Vec<String> {
        self.0.classes.clone()
    }

    /// M×dim.
    #[getter]
    pub fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_view(py, self.0.weights.view())
    }

    /// M values.
    #[getter]
    pub fn bias<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, &self.0.bias)
    }

    /// `(a, b)` of each class's sigmoid 1/(1 + exp(a·score + b)); `None` where it was not calibrated.
    #[getter]
    pub fn sigmoids(&self) -> Vec<Option<(f64, f64)>> {
        self.0.sigmoids.iter().map(|sigmoid| sigmoid.map(|s| (s.a, s.b))).collect()
    }

    /// How the training of each class ended.
    #[getter]
    fn reports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.0.reports)
    }

    /// How C was chosen, where it was.
    #[getter]
    fn selection<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        of_json(py, &self.0.selection)
    }

    /// Scores of vectors (N×dim), N×M.
    fn scores<'py>(
        &self,
        py: Python<'py>,
        vectors: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = Rows::of("X", vectors)?;
        let view = rows.view()?;
        of_matrix(py, busy(py, threads, |_| self.0.scores(&view))?)
    }

    /// Probabilities of scores (N×M), N×M; NaN for a class that was not calibrated.
    fn probabilities<'py>(
        &self,
        py: Python<'py>,
        scores: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let mut values = matrix("scores", scores)?;
        for mut row in values.rows_mut() {
            let found = self.0.probabilities(&row.to_vec());
            row.iter_mut().zip(found).for_each(|(to, found)| *to = found.unwrap_or(f32::NAN));
        }
        of_matrix(py, values)
    }

    #[expect(clippy::type_complexity, reason = "the arguments of `new`")]
    fn __getnewargs__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Vec<String>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f32>>, String)> {
        let report = (&self.0.sigmoids, &self.0.reports, &self.0.selection);
        let report = serde_json::to_string(&report)
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        Ok((self.classes(), self.weights(py)?, self.bias(py), report))
    }
}

type Report = (Vec<Option<Sigmoid>>, Vec<ClassReport>, Option<Selection>);

/// Trains a classifier on vectors (N×dim) and labels (N×M: 1 yes, 0 ignored, −1 no), with settings of the
/// group `svm`.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    vectors: &Bound<'_, PyAny>,
    labels: Vec<Vec<i8>>,
    classes: Vec<String>,
    settings: &Bound<'_, PyAny>,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Model> {
    let config = Config::default().with_overrides(&overrides(Some(settings))?);
    let params = config.map_err(of_library)?.svm;
    let rows = Rows::of("X", vectors)?;
    let view = rows.view()?;
    let label = |row: Vec<i8>| row.into_iter().map(Label::from_number).collect();
    let labels: Vec<Vec<Label>> = labels.into_iter().map(label).collect();
    let seed = fvtool::random::Seed(seed);
    busy(py, threads, |watch| svm::train(&view, &labels, &classes, &params, seed, watch).map(Model))
}
