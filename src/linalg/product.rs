//! Matrix products through `faer`, on contiguous `ndarray` views.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

/// `C ← A·B` for `A: M × K`, `B: K × N`, `C: M × N`. Every operand is contiguous, row-major or
/// transposed row-major. Sequential.
///
/// # Panics
/// When the shapes do not fit or an operand is not contiguous.
pub fn multiply<T: faer::traits::ComplexField>(
    c: ArrayViewMut2<'_, T>,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
) {
    product(c, Accum::Replace, a, b);
}

/// `C ← C + A·B`; otherwise as [`multiply`].
///
/// # Panics
/// When the shapes do not fit or an operand is not contiguous.
pub fn multiply_add<T: faer::traits::ComplexField>(
    c: ArrayViewMut2<'_, T>,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
) {
    product(c, Accum::Add, a, b);
}

fn product<T: faer::traits::ComplexField>(
    c: ArrayViewMut2<'_, T>,
    beta: Accum,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
) {
    assert_eq!(a.ncols(), b.nrows(), "inner dimensions of a product");
    assert_eq!(c.dim(), (a.nrows(), b.ncols()), "result of a product");
    faer::linalg::matmul::matmul(view_mut(c), beta, view(&a), view(&b), T::one_impl(), Par::Seq);
}

/// Adds `XᵀX` of an `N × D` block to the lower triangle of `D × D` `c`; the upper triangle is left
/// as it is. Half the work of a full product.
///
/// # Panics
/// When the shapes do not fit or an operand is not contiguous.
pub fn gram<T: faer::traits::ComplexField>(c: ArrayViewMut2<'_, T>, x: ArrayView2<'_, T>) {
    assert_eq!(c.dim(), (x.ncols(), x.ncols()), "result of a Gram product");
    triangular::matmul(
        view_mut(c),
        BlockStructure::TriangularLower,
        Accum::Add,
        view(&x).transpose(),
        BlockStructure::Rectangular,
        view(&x),
        BlockStructure::Rectangular,
        T::one_impl(),
        Par::Seq,
    );
}

/// Adds `XᵀX` of `x` (rows × `columns`) to the lower triangle of `c` (`columns × columns`); entries
/// above the diagonal come to hold anything. For many columns: in parallel over stripes of `c`, each of
/// the same bits on any number of threads.
///
/// # Panics
/// When the sizes disagree.
pub fn add_wide_gram(c: &mut [f64], x: &[f64], columns: usize) {
    /// Rows of a stripe.
    const STRIPE: usize = 256;
    assert_eq!(c.len(), columns * columns, "size of a Gram matrix");
    assert!(columns > 0 && x.len().is_multiple_of(columns), "whole rows of a Gram matrix");
    let x = MatRef::from_row_major_slice(x, x.len() / columns, columns);
    let stripes = c.par_chunks_mut(STRIPE * columns).enumerate().with_max_len(1);
    // The longest first, so that threads end together.
    stripes.rev().for_each(|(number, stripe)| {
        let (start, height) = (number * STRIPE, stripe.len() / columns);
        let end = start + height;
        let to = MatMut::from_row_major_slice_mut(stripe, height, columns).subcols_mut(0, end);
        let (left, right) = (x.subcols(start, height).transpose(), x.subcols(0, end));
        faer::linalg::matmul::matmul(to, Accum::Add, left, right, 1.0, Par::Seq);
    });
}

fn view<'a, T>(array: &'a ArrayView2<'_, T>) -> MatRef<'a, T> {
    let (rows, columns) = array.dim();
    if let Some(values) = array.as_slice() {
        MatRef::from_row_major_slice(values, rows, columns)
    } else {
        let values = array.as_slice_memory_order().expect("operands of a product are contiguous");
        MatRef::from_column_major_slice(values, rows, columns)
    }
}

fn view_mut<T>(array: ArrayViewMut2<'_, T>) -> MatMut<'_, T> {
    let (rows, columns) = array.dim();
    let values = array.into_slice().expect("the result of a product is row-major");
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

/// Copies the lower triangle of a square matrix onto its upper triangle.
pub fn mirror_lower<T: Copy>(c: &mut Array2<T>) {
    for i in 0..c.nrows() {
        for j in i + 1..c.ncols() {
            c[[i, j]] = c[[j, i]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn random(rows: usize, columns: usize, item: u64) -> Array2<f64> {
        let mut stream = Seed(1).stream("product", item);
        Array2::from_shape_simple_fn((rows, columns), || stream.normal())
    }

    #[test]
    fn products_match_ndarray_for_both_layouts() {
        let (a, b) = (random(37, 19, 0), random(19, 23, 1));
        let expected = a.dot(&b);
        let bt = b.t().as_standard_layout().into_owned();
        let mut c = Array2::zeros((37, 23));
        multiply(c.view_mut(), a.view(), b.view());
        assert!((&c - &expected).iter().all(|d| d.abs() < 1e-13));
        multiply_add(c.view_mut(), a.view(), bt.t());
        assert!((&c - 2.0 * &expected).iter().all(|d| d.abs() < 1e-13));
    }

    /// Whole stripes, and a rest.
    #[test]
    fn a_wide_gram_is_the_product() {
        for columns in [1, 256, 530] {
            let x = random(7, columns, 3);
            let mut c = vec![1.0; columns * columns];
            add_wide_gram(&mut c, x.as_slice().unwrap(), columns);
            let expected = x.t().dot(&x);
            for i in 0..columns {
                for j in 0..=i {
                    assert!((c[i * columns + j] - 1.0 - expected[[i, j]]).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn gram_fills_the_lower_triangle_only() {
        let x = random(41, 9, 2);
        let mut c = Array2::zeros((9, 9));
        gram(c.view_mut(), x.view());
        assert_eq!(c[[0, 8]], 0.0);
        mirror_lower(&mut c);
        assert!((&c - &x.t().dot(&x)).iter().all(|d| d.abs() < 1e-13));
    }
}
