//! Rows of a matrix that may live in memory or in mapped files.

use std::ops::Range;

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

    /// The values of row `i` in the given columns. A store in another form than f32 overrides this,
    /// so that a pass over panels of columns converts each value once.
    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        &self.row(i, scratch)[columns]
    }

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
