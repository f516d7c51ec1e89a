//! Rows of a matrix that may live in memory or in mapped files.

use ndarray::ArrayView2;

/// An `N × dim` matrix read row by row, whatever stores it.
pub trait Rows: Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Values in a row.
    fn dim(&self) -> usize;

    /// Row `i` as f32. `scratch` is used where the stored form is another one (f16), so that a
    /// caller keeps one per worker.
    fn row<'a>(&'a self, i: usize, scratch: &'a mut Vec<f32>) -> &'a [f32];

    /// True when there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Rows for ArrayView2<'_, f32> {
    fn len(&self) -> usize {
        self.nrows()
    }

    fn dim(&self) -> usize {
        self.ncols()
    }

    fn row<'a>(&'a self, i: usize, _: &'a mut Vec<f32>) -> &'a [f32] {
        let values = self.as_slice().expect("rows are row-major");
        &values[i * self.ncols()..(i + 1) * self.ncols()]
    }
}
