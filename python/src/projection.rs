//! Principal component analysis.

use fvtool::position::Position;
use fvtool::projection::{Append, Covariance, Projection};
use ndarray::{Array1, Array2};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{Rows, matrix, of_matrix, of_view, vector};
use crate::busy::busy;
use crate::errors::{argument, of_library};
use crate::settings::of_group;

/// A projection: `transform` gives `(rows − mean) · componentsᵀ`.
#[pyclass(name = "PCA", module = "fvtool", frozen)]
#[derive(Clone)]
pub struct Pca(pub Projection);

#[pymethods]
impl Pca {
    #[new]
    #[pyo3(signature = (mean, components, variances, kept = 1.0, l2 = false, append = "none"))]
    fn new(
        mean: &Bound<'_, PyAny>,
        components: &Bound<'_, PyAny>,
        variances: &Bound<'_, PyAny>,
        kept: f64,
        l2: bool,
        append: &str,
    ) -> PyResult<Self> {
        let append = match append {
            "none" => Append::None,
            "xy" => Append::Xy,
            "xys" => Append::Xys,
            other => return Err(argument("append", format!("`{other}`; none, xy or xys"))),
        };
        let mean = Array1::from(vector("mean", mean)?);
        let (components, variances) =
            (matrix("components", components)?, vector("variances", variances)?);
        Projection::from_parts(mean, components, variances, kept, l2, append)
            .map(Self)
            .map_err(of_library)
    }

    /// The mean of the rows that it was fitted to, D values.
    #[getter]
    fn mean<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.0.mean().to_vec())
    }

    /// One component a row, k×D; divided by their deviations when whitened.
    #[getter]
    fn components<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        of_view(py, self.0.components())
    }

    /// Variance along each component, k values, descending.
    #[getter]
    fn variances<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, self.0.variances())
    }

    /// Share of the variance that the components keep, 0 to 1.
    #[getter]
    fn kept(&self) -> f64 {
        self.0.kept()
    }

    /// Whether results are brought to unit length.
    #[getter]
    fn l2(&self) -> bool {
        self.0.l2()
    }

    /// What is appended to each result: `none`, `xy` or `xys`.
    #[getter]
    fn append(&self) -> &'static str {
        match self.0.append() {
            Append::None => "none",
            Append::Xy => "xy",
            Append::Xys => "xys",
        }
    }

    /// Projects rows (N×D) to N×k float32. Where positions are appended (`append`), they are N×3: x and y
    /// from 0 to 1, and the width of a bin over √(W·H).
    #[pyo3(signature = (rows, positions = None))]
    fn transform<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        positions: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = Rows::of("rows", rows)?;
        let view = rows.view()?;
        let positions = match positions {
            Some(given) => {
                let given = matrix("positions", given)?;
                if given.ncols() != 3 {
                    return Err(argument("positions", "three columns are needed: x, y, scale"));
                }
                let position = |row: ndarray::ArrayView1<'_, f32>| Position {
                    x: row[0],
                    y: row[1],
                    scale: row[2],
                };
                given.rows().into_iter().map(position).collect()
            }
            None if self.0.append().is_empty() => vec![Position::at(0.5, 0.5); view.nrows()],
            None => {
                let text = "missing; this projection appends them to every row";
                return Err(argument("positions", text));
            }
        };
        let projected = busy(py, None, |_| {
            let mut out = Array2::zeros((view.nrows(), self.0.output_dim()));
            let values = out.as_slice_mut().expect("a new array is in one piece");
            self.0.apply(view, &positions, &mut Vec::new(), values)?;
            Ok(out)
        })?;
        of_matrix(py, projected)
    }

    #[expect(clippy::type_complexity, reason = "the arguments of `new`")]
    fn __getnewargs__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(
        Bound<'py, PyArray1<f32>>,
        Bound<'py, PyArray2<f32>>,
        Bound<'py, PyArray1<f32>>,
        f64,
        bool,
        &'static str,
    )> {
        let (kept, l2, append) = (self.kept(), self.l2(), self.append());
        Ok((self.mean(py), self.components(py)?, self.variances(py), kept, l2, append))
    }

    fn __repr__(&self) -> String {
        format!("PCA({} to {} values)", self.0.input_dim(), self.0.output_dim())
    }
}

/// Fits a projection to rows (N×D, at least 2) that keeps `dimension` values; `settings` are those of the
/// group `pca` (`whiten=True`, `l2=True`).
#[pyfunction]
#[pyo3(signature = (rows, dimension, *, threads = None, **settings))]
pub fn fit_pca(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    dimension: usize,
    threads: Option<usize>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Pca> {
    let mut params = of_group("pca", settings)?.pca;
    params.dimension = dimension;
    let rows = Rows::some("rows", rows)?;
    let view = rows.view()?;
    busy(py, threads, |watch| {
        let mut covariance = Covariance::new(view.row(0));
        covariance.add(view, watch)?;
        Projection::fit(&covariance, &params, watch).map(Pca)
    })
}
