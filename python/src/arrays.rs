//! Arrays, in and out.

use ndarray::{Array2, ArrayView2};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::errors::argument;

/// A matrix of numbers, one observation a row, as f32 in one piece.
pub struct Rows<'py> {
    name: &'static str,
    array: PyReadonlyArray2<'py, f32>,
}

impl<'py> Rows<'py> {
    /// Takes anything that NumPy makes a matrix of numbers of; `name` is that of the argument.
    pub fn of(name: &'static str, given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = in_one_piece(name, given, "float32")?;
        let Ok(array) = array.extract::<PyReadonlyArray2<'py, f32>>() else {
            let shape: String = array.getattr("shape")?.str()?.to_string();
            let text = format!(
                "an array of shape {shape}; it must have two axes, one row for each \
                                observation"
            );
            return Err(argument(name, text));
        };
        if array.shape()[1] == 0 {
            return Err(argument(name, "the rows have no values"));
        }
        Ok(Self { name, array })
    }

    /// The same, of at least one row.
    pub fn some(name: &'static str, given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let rows = Self::of(name, given)?;
        if rows.array.shape()[0] == 0 {
            return Err(argument(name, "no rows"));
        }
        Ok(rows)
    }

    /// The rows.
    pub fn view(&self) -> PyResult<ArrayView2<'_, f32>> {
        let values = self.array.as_slice().map_err(|error| argument(self.name, error))?;
        let shape = (self.array.shape()[0], self.array.shape()[1]);
        Ok(ArrayView2::from_shape(shape, values).expect("as many values as the shape says"))
    }
}

/// An array of numbers as C-contiguous `dtype`, not copied where it is that already.
pub fn in_one_piece<'py>(
    name: &str,
    given: &Bound<'py, PyAny>,
    dtype: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let numpy = given.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (given,));
    let array = array.map_err(|error| argument(name, format!("no array: {error}")))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !matches!(kind.as_str(), "b" | "i" | "u" | "f") {
        let dtype: String = array.getattr("dtype")?.str()?.to_string();
        return Err(argument(name, format!("an array of {dtype}; real numbers are needed")));
    }
    let options = [("dtype", dtype)].into_py_dict(given.py())?;
    // What does not fit f32 becomes an infinity, which whoever takes the rows refuses in its own words.
    let silence = [("over", "ignore")].into_py_dict(given.py())?;
    let silence = numpy.call_method("errstate", (), Some(&silence))?;
    silence.call_method0("__enter__")?;
    let converted = numpy.call_method("ascontiguousarray", (array,), Some(&options));
    silence.call_method1("__exit__", (given.py().None(), given.py().None(), given.py().None()))?;
    converted
}

/// A vector of f32 of an argument.
pub fn vector(name: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let array = in_one_piece(name, given, "float32")?;
    let array = array.cast::<PyArray1<f32>>().map_err(|_| argument(name, "one axis is needed"))?;
    Ok(array.to_vec()?)
}

/// A matrix of f32 of an argument.
pub fn matrix(name: &'static str, given: &Bound<'_, PyAny>) -> PyResult<Array2<f32>> {
    Ok(Rows::of(name, given)?.view()?.to_owned())
}

/// A new array of a matrix, which is used up.
pub fn of_matrix<T: numpy::Element>(
    py: Python<'_>,
    matrix: Array2<T>,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let shape = matrix.dim();
    // A matrix in another order would be a bug: nothing here makes one.
    let values = matrix.into_raw_vec_and_offset().0;
    of_values(py, values, [shape.0, shape.1])
}

/// A new array of values in row-major order.
pub fn of_values<T: numpy::Element>(
    py: Python<'_>,
    values: Vec<T>,
    shape: [usize; 2],
) -> PyResult<Bound<'_, PyArray2<T>>> {
    PyArray1::from_vec(py, values).reshape(shape)
}

/// A new array of a view.
pub fn of_view<'py>(
    py: Python<'py>,
    view: ArrayView2<'_, f32>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    of_matrix(py, view.as_standard_layout().into_owned())
}

/// JSON as Python's own values.
pub fn of_json<'py>(py: Python<'py>, value: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value)
        .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}
