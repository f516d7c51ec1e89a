//! The Python module `fvtool._fvtool`: the library's functions on NumPy arrays, and the program.
//!
//! Nothing is computed here. Arrays come in as views and go out without a copy where that can be (`arrays`),
//! images become [`fvtool::image::Photo`]s (`images`), and all long work is done without Python's lock,
//! listening to Ctrl-C (`busy`). The types stand in `fvtool/__init__.pyi`.

mod arrays;
mod busy;
mod classifier;
mod describer;
mod errors;
mod explain;
mod fisher;
mod images;
mod layer;
mod mixture;
mod program;
mod projection;
mod run;
mod settings;
mod sift;

use pyo3::prelude::*;

/// Fisher vectors for image classification; see `fvtool`.
#[pymodule]
mod _fvtool {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::classifier::{Model, train};
    #[pymodule_export]
    use crate::describer::Describer;
    #[pymodule_export]
    use crate::errors::{FvtoolError, FvtoolWarning};
    #[pymodule_export]
    use crate::explain::{Heatmap, explain};
    #[pymodule_export]
    use crate::fisher::fisher_vector;
    #[pymodule_export]
    use crate::layer::fisher_layer;
    #[pymodule_export]
    use crate::mixture::{Mixture, fit_gmm};
    #[pymodule_export]
    use crate::program::main;
    #[pymodule_export]
    use crate::projection::{Pca, fit_pca};
    #[pymodule_export]
    use crate::run::Run;
    #[pymodule_export]
    use crate::sift::dense_sift;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
