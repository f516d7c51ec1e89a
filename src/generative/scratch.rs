//! Memory that evaluating and summing blocks of rows uses again and again.

use ndarray::ArrayView2;

use super::parts::Parts;
use crate::error::{Error, Result};
use crate::linalg::first_not_finite;

/// Buffers of one worker. What they hold never changes a result.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A block of rows in f64, `B × D`.
    pub(super) rows: Vec<f64>,
    /// `ln w_k p_k(x)`, and then the posteriors, `B × K`.
    pub(super) posteriors: Vec<f64>,
    /// `ln p(x)` per row.
    pub(crate) log_likelihood: Vec<f64>,
    /// (row, posterior) pairs that count, a list for each component.
    pub(super) pairs: Vec<Vec<(u32, f32)>>,
    /// The rows of some pairs.
    pub(super) gathered: Vec<f64>,
    /// The columns of some pairs.
    pub(super) columns: Vec<f64>,
    pub(super) products: Products,
}

/// Buffers for products of a block with a model's matrices.
#[derive(Debug, Default)]
pub struct Products(pub(super) [Vec<f64>; 8]);

impl Scratch {
    /// Takes a block of rows in f64.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Numerical`] on a NaN or an infinity.
    pub(super) fn take(&mut self, parts: Parts, rows: ArrayView2<'_, f32>) -> Result<()> {
        let (expected, got) = (parts.dim, rows.ncols());
        if expected != got {
            return Err(Error::Shape { what: "descriptors for a model", expected, got });
        }
        let values = rows.to_slice().expect("descriptors are row-major");
        if let Some(place) = first_not_finite(values) {
            let row = place / expected;
            return Err(Error::Numerical {
                what: "posteriors",
                problem: format!("descriptor {row} of a block has a NaN or an infinity"),
            });
        }
        self.rows.clear();
        self.rows.extend(values.iter().copied().map(f64::from));
        Ok(())
    }
}
