//! Arrays of other programs: NumPy's `.npy` files of f32, mapped.

use std::path::{Path, PathBuf};

use ndarray::{ArrayView2, ArrayViewD, Ix2};
use ndarray_npy::ViewNpyExt;

use super::map::Mapped;
use crate::error::{Error, Result};

/// A file that holds an array of f32 in C order.
#[derive(Debug)]
pub struct Npy {
    path: PathBuf,
    bytes: Mapped,
}

impl Npy {
    /// Opens a file. What its header promises is compared with its size; nothing is read yet.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Artifact`] when it is no such array.
    pub fn open(path: &Path) -> Result<Self> {
        let npy = Self { path: path.to_owned(), bytes: Mapped::open(path)? };
        npy.checked()?;
        Ok(npy)
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The array.
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        self.checked().expect("checked when it was opened")
    }

    /// The array, if it has rows and columns.
    ///
    /// # Errors
    /// [`Error::Artifact`] when it has another number of axes.
    pub fn matrix(&self) -> Result<ArrayView2<'_, f32>> {
        let view = self.view();
        let problem = format!("expected a 2-D array, got shape {:?}", view.shape());
        view.into_dimensionality::<Ix2>().map_err(|_| Error::artifact(&self.path, problem))
    }

    fn checked(&self) -> Result<ArrayViewD<'_, f32>> {
        let refuse = |why: &str| {
            let problem = format!(
                "not an .npy file of f32 ({why}); save it with numpy.save as C-ordered float32"
            );
            Error::artifact(&self.path, problem)
        };
        let view = ArrayViewD::<f32>::view_npy(self.bytes.as_slice());
        let view = view.map_err(|e| refuse(&e.to_string()))?;
        if view.is_standard_layout() { Ok(view) } else { Err(refuse("it is in Fortran order")) }
    }
}
