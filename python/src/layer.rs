//! The layer that learns with its features, forwards and backwards.

use fvtool::gmm::Mixture;
use fvtool::layer::Layer;
use fvtool::layer::root::normalise;
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::arrays::{Rows, of_matrix};
use crate::errors::argument;
use crate::mixture::of_argument;

/// What `fisher_layer` hands back: the vector, and the derivative of the loss with respect to the rows.
type Passed<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyArray2<f32>>);

/// The layer of `fvtool fit-layer` on the rows (N×D, float32) of one image: the vector of 2·K·D values
/// (means, then variances, component by component; smooth root, unit length), and ∂L/∂rows (N×D) where
/// `gradient` is ∂L/∂vector. The mixture is a constant of the derivative.
#[pyfunction]
#[pyo3(text_signature = "(rows, gmm, gradient)")]
pub fn fisher_layer<'py>(
    py: Python<'py>,
    rows: &Bound<'py, PyAny>,
    gmm: &Bound<'py, PyAny>,
    gradient: PyReadonlyArray1<'py, f32>,
) -> PyResult<Passed<'py>> {
    let (rows, gmm) = (Rows::of("rows", rows)?, of_argument(gmm)?);
    let view = rows.view()?;
    let layer = Layer::<f32>::new(&Mixture::from(&gmm));
    let (_, d) = layer.dim();
    if view.ncols() != d {
        let text = format!("{} values a row; the mixture has {d} dimensions", view.ncols());
        return Err(argument("rows", text));
    }
    if gradient.len() != layer.len() {
        let text = format!("{} values; the vector has {}", gradient.len(), layer.len());
        return Err(argument("gradient", text));
    }
    let passed = layer.forward(view);
    let normalised = normalise(passed.gradients.view());
    let values = gradient.as_slice().map_err(|error| argument("gradient", error))?;
    let gradient = ndarray::Array1::from(values.to_vec());
    let of_gradients = normalised.backward(passed.gradients.view(), gradient.view());
    let of_rows = layer.backward(&passed, of_gradients.view());
    Ok((PyArray1::from_vec(py, normalised.vector.to_vec()), of_matrix(py, of_rows)?))
}
