//! The projection while it is learned: `z = V (x − m)`, then what the settings of the projection ask for.
//!
//! ```text
//! h = z          or z/‖z‖ (`pca.l2`)          then the descriptor's position, where it is appended
//! ∂L/∂z = ∂L/∂h  or (g − h ⟨h, g⟩)/‖z‖        ∂L/∂V = Σ_n ∂L/∂z_n (x_n − m)ᵀ
//! ```
//!
//! `V` is `D × D₀`, rows `x` are `N × D₀`. The mean `m` stays that of the training descriptors: a shift of
//! `z` is a shift of the mixture, which EM follows. [`Projection`] does the same on what is kept.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use super::float::Float;
use crate::linalg;
use crate::position::Position;
use crate::projection::{Append, Projection};

/// The trainable projection.
#[derive(Debug, Clone)]
pub struct Front<T> {
    /// `V`, `D × D₀`.
    pub components: Array2<T>,
    mean: Array1<T>,
    l2: bool,
    append: Append,
}

/// What one image's rows became.
#[derive(Debug, Clone)]
pub struct Projected<T> {
    /// `h`, with what is appended, `N × D_out`.
    pub rows: Array2<T>,
    /// `‖z‖`, `N`; empty without `pca.l2`.
    lengths: Vec<T>,
}

impl<T: Float> Front<T> {
    /// Starts where a fitted projection is.
    pub fn of(projection: &Projection) -> Self {
        Self {
            components: projection.components().mapv(|v| T::of(f64::from(v))),
            mean: projection.mean().mapv(|v| T::of(f64::from(v))),
            l2: projection.l2(),
            append: projection.append(),
        }
    }

    /// Projects `rows` (`N × D₀`), one position a row.
    ///
    /// # Panics
    /// When the sizes disagree.
    pub fn forward(&self, rows: ArrayView2<'_, T>, positions: &[Position]) -> Projected<T> {
        let ((n, k), zero) = ((rows.nrows(), self.components.nrows()), T::of(0.0));
        assert_eq!(n, positions.len(), "positions of descriptors");
        let mut z = Array2::from_elem((n, k), zero);
        if n > 0 {
            linalg::multiply(z.view_mut(), rows, self.components.t());
        }
        z -= &self.components.dot(&self.mean);
        let mut lengths = Vec::new();
        if self.l2 {
            for mut row in z.rows_mut() {
                let length = row.dot(&row).sqrt();
                if length > zero {
                    row.mapv_inplace(|v| v / length);
                }
                lengths.push(length);
            }
        }
        if self.append.is_empty() {
            return Projected { rows: z, lengths };
        }
        let mut out = Array2::from_elem((n, k + self.append.len()), zero);
        out.slice_mut(s![.., ..k]).assign(&z);
        for (mut row, position) in out.rows_mut().into_iter().zip(positions) {
            let values = self.append.values(*position);
            for (j, &value) in values[..self.append.len()].iter().enumerate() {
                row[k + j] = T::of(f64::from(value));
            }
        }
        Projected { rows: out, lengths }
    }

    /// `∂L/∂V` (`D × D₀`) from `∂L/∂h` of an image.
    ///
    /// # Panics
    /// When the sizes disagree.
    pub fn backward(
        &self,
        rows: ArrayView2<'_, T>,
        projected: &Projected<T>,
        of_rows: &Array2<T>,
    ) -> Array2<T> {
        let (k, d) = self.components.dim();
        let mut of_z = of_rows.slice(s![.., ..k]).as_standard_layout().into_owned();
        if self.l2 {
            let all =
                of_z.rows_mut().into_iter().zip(projected.rows.rows()).zip(&projected.lengths);
            for ((mut g, h), &length) in all {
                // A descriptor at the mean has no direction, and does not learn one.
                if length <= T::of(0.0) {
                    g.fill(T::of(0.0));
                    continue;
                }
                let h = h.slice(s![..k]);
                let along = h.dot(&g);
                g.zip_mut_with(&h, |g, &h| *g = (*g - h * along) / length);
            }
        }
        let mut out = Array2::from_elem((k, d), T::of(0.0));
        if rows.nrows() > 0 {
            linalg::multiply(out.view_mut(), of_z.t(), rows);
        }
        let sums = of_z.sum_axis(Axis(0));
        for (mut row, &sum) in out.rows_mut().into_iter().zip(&sums) {
            row.scaled_add(-sum, &self.mean);
        }
        out
    }
}
