//! Vectors as they are stored, and as they are read back: training and serving see the same values.
//!
//! ```text
//! f32          the vector
//! f16          nearest f16, refused beyond ±65504 or where too much of the vector is lost near 0
//! compressed   three levels and one scale for every 40 values (`artifacts::compress`)
//! ```

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::artifacts::{Values, compress, compressed_len, expand};
use crate::encoding::Storage;
use crate::error::{Error, Result};
use crate::linalg;

/// The least step of f16: half of it is lost of a value near 0.
const SMALLEST_F16: f64 = 1.0 / (1 << 24) as f64;

/// The share of a vector's length that may be lost of small values.
const LOST: f64 = 1e-2;

/// Vectors one after the other, as a file holds them.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// As they are.
    F32(Vec<f32>),
    /// Rounded.
    F16(Vec<f16>),
    /// [`compressed_len`] bytes for each.
    Compressed(Vec<u8>),
}

impl Stored {
    /// None yet.
    pub fn new(storage: Storage) -> Self {
        match storage {
            Storage::F32 => Self::F32(Vec::new()),
            Storage::F16 => Self::F16(Vec::new()),
            Storage::Compressed => Self::Compressed(Vec::new()),
        }
    }

    /// Takes one vector, or nothing of it.
    ///
    /// # Errors
    /// [`Error::Numerical`] when values leave the range of what is stored, at either end.
    pub fn push(&mut self, vector: &[f32]) -> Result<()> {
        if !matches!(self, Self::F32(_)) {
            let norm = linalg::norm(vector);
            if norm > 0.0 && SMALLEST_F16 * (vector.len() as f64).sqrt() > LOST * norm {
                return Err(out_of_range("too small for 16 bits"));
            }
        }
        match self {
            Self::F32(all) => all.extend_from_slice(vector),
            Self::F16(all) => {
                let before = all.len();
                all.resize(before + vector.len(), f16::ZERO);
                all[before..].convert_from_f32_slice(vector);
                if !all[before..].iter().all(|value| value.is_finite()) {
                    all.truncate(before);
                    return Err(out_of_range("beyond the range of `f16`"));
                }
            }
            Self::Compressed(all) => {
                let before = all.len();
                compress(vector, all).inspect_err(|_| all.truncate(before))?;
            }
        }
        Ok(())
    }

    /// Stored values for one vector of `dim` values.
    pub fn width(&self, dim: usize) -> usize {
        match self {
            Self::F32(_) | Self::F16(_) => dim,
            Self::Compressed(_) => compressed_len(dim),
        }
    }

    /// Their values, [`width`](Self::width) for each vector.
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::F32(all) => Values::F32(all),
            Self::F16(all) => Values::F16(all),
            Self::Compressed(all) => Values::U8(all),
        }
    }
}

fn out_of_range(why: &str) -> Error {
    let problem = format!("values are {why}; normalise them, or set encoding.storage to f32");
    Error::Numerical { what: "Fisher vector", problem }
}

/// Replaces a vector by what is read back after it was stored.
///
/// # Errors
/// [`Error::Numerical`] when a value leaves the range of what is stored; the vector is then as it was.
pub fn store(storage: Storage, vector: &mut [f32]) -> Result<()> {
    if storage == Storage::F32 {
        return Ok(());
    }
    let mut stored = Stored::new(storage);
    stored.push(vector)?;
    match stored {
        Stored::F32(_) => {}
        Stored::F16(values) => values.convert_to_f32_slice(vector),
        Stored::Compressed(bytes) => expand(&bytes, 0..vector.len(), vector),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f16 ends at 65504. A vector beyond it costs its image, not the shard.
    #[test]
    fn a_vector_out_of_range_leaves_nothing_behind() {
        let large = [0.5, 1e6, 2.0];
        for storage in [Storage::F16, Storage::Compressed] {
            let mut stored = Stored::new(storage);
            let text = stored.push(&large).unwrap_err().to_string();
            assert!(text.contains("beyond the range") && text.contains("f32"), "{text}");
            assert!(matches!(stored.values(), Values::F16([]) | Values::U8([])));
            stored.push(&[0.5, 1.0, 2.0]).unwrap();
            let width = stored.width(3);
            assert!(match stored.values() {
                Values::F16(all) => all.len() == width,
                Values::U8(all) => all.len() == width,
                Values::F32(_) | Values::I8(_) | Values::U32(_) => false,
            });
        }
        for storage in [Storage::F16, Storage::Compressed] {
            let mut stored = Stored::new(storage);
            // Values that f16 takes for 0, or for 6e-8; and the same beside one that counts.
            for small in [[1e-9, -1e-8, 3e-9], [1e-45, 0.0, 0.0], [2e-7, 2e-7, 1e-7]] {
                let text = stored.push(&small).unwrap_err().to_string();
                assert!(text.contains("too small") && text.contains("f32"), "{text}");
            }
            assert!(matches!(stored.values(), Values::F16([]) | Values::U8([])));
            for fine in [[0.0; 3], [1e-9, 1.0, 1e-9]] {
                stored.push(&fine).unwrap();
            }
            let mut vector = [0.5, -0.25, 1e-9];
            store(storage, &mut vector).unwrap();
            let mut again = vector;
            store(storage, &mut again).unwrap();
            assert_eq!(vector, again, "what was read back is stored as it is");
        }
        let mut stored = Stored::new(Storage::F32);
        stored.push(&[1e-45]).unwrap();
        let mut stored = Stored::new(Storage::F32);
        stored.push(&large).unwrap();
        assert!(matches!(stored.values(), Values::F32([0.5, 1e6, 2.0])));
    }
}
