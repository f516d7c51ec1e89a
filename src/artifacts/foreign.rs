//! Tensors of a safetensors file that another program wrote.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::files;

/// Most bytes of such a file: models, not data.
const MOST_BYTES: u64 = 1 << 31;

/// The bytes of a file, read whole.
#[derive(Debug)]
pub struct Foreign {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Foreign {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read or holds more than 2 GiB, [`Error::Data`] when it is no
    /// safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = files::read(path, MOST_BYTES).map_err(Error::io("read", path))?;
        let foreign = Self { path: path.to_owned(), bytes };
        foreign.tensors().map(|_| ())?;
        Ok(foreign)
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|e| Error::data(&self.path, format!("not a safetensors file ({e})")))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the whole file, in hexadecimal digits.
    pub fn hash(&self) -> String {
        blake3::hash(&self.bytes).to_hex().to_string()
    }

    /// A tensor of 32-bit floats: its shape and values; nothing where there is none of that name.
    ///
    /// # Errors
    /// [`Error::Data`] for another type, and for a value that is NaN or infinite.
    pub fn f32(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(name) else { return Ok(None) };
        let refused =
            |problem: String| Error::data(&self.path, format!("tensor `{name}` {problem}"));
        if view.dtype() != Dtype::F32 {
            return Err(refused(format!(
                "is of type {:?}; write it as 32-bit floats",
                view.dtype()
            )));
        }
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        match crate::linalg::first_not_finite(&values) {
            Some(place) => Err(refused(format!("has a NaN or an infinity (value {place})"))),
            None => Ok(Some((view.shape().to_vec(), values))),
        }
    }
}
