//! Arrays of other programs: NumPy's `.npy` files of f32.

use std::path::Path;

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::ViewNpyExt;

use super::map::Mapped;
use crate::error::{Error, Result};

/// Reads an array of f32 in C order. What its header promises is compared with the size of the file
/// before anything is allocated.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Artifact`] when it is no such array.
pub fn read_npy(path: &Path) -> Result<ArrayD<f32>> {
    let bytes = Mapped::open(path)?;
    array(bytes.as_slice()).map_err(|why| {
        let problem = format!(
            "not an .npy file of f32 ({why}); save it with numpy.save as C-ordered float32"
        );
        Error::artifact(path, problem)
    })
}

fn array(bytes: &[u8]) -> Result<ArrayD<f32>, String> {
    let view = ArrayViewD::<f32>::view_npy(bytes).map_err(|e| e.to_string())?;
    if !view.is_standard_layout() {
        return Err("it is in Fortran order".to_owned());
    }
    Ok(view.to_owned())
}
