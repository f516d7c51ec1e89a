//! Gram matrix of rows: `C ← C + XᵀX`, lower triangle, in f64 or f32.
//!
//! Tiles of the triangle stay in registers over all the rows of a call. Twice as fast as faer's
//! triangular product, which is made for large matrices, at the 128 columns of a descriptor.

use pulp::Simd;

use super::lanes::LANES;
use crate::widest;

/// One function for each type of float: what `pulp` calls its vectors and what it does with them.
macro_rules! gram {
    (
        $(#[doc = $doc:literal])+
        $name:ident, $float:ty, $lanes:ident, $view:ident, $view_mut:ident, $splat:ident, $add:ident, $mul_add:ident
    ) => {
        $(#[doc = $doc])+
        pub fn $name(c: &mut [$float], x: &[$float], columns: usize) {
            assert!(columns.is_multiple_of(LANES), "columns of a Gram matrix fill vectors");
            assert_eq!(c.len(), columns * columns, "size of a Gram matrix");
            assert!(columns == 0 || x.len().is_multiple_of(columns), "whole rows of a Gram matrix");
            if columns == 0 {
                return;
            }
            widest!(<'a> simd: S, |c: &'a mut [$float], x: &'a [$float], columns: usize| -> () {
                // As many sums as there are registers, less those that hold the factors.
                if 2 * S::F64_LANES == LANES {
                    add_tiles::<S, 8>(simd, c, x, columns);
                } else {
                    add_tiles::<S, 4>(simd, c, x, columns);
                }
            });

            /// Tiles of `ROWS` rows and up to three registers of columns, those that reach below the
            /// diagonal.
            #[inline(always)]
            fn add_tiles<S: Simd, const ROWS: usize>(
                simd: S,
                c: &mut [$float],
                x: &[$float],
                columns: usize,
            ) {
                for top in (0..columns).step_by(ROWS) {
                    let end = (top + ROWS).div_ceil(S::$lanes) * S::$lanes;
                    let mut left = 0;
                    while left < end {
                        let vectors = match (end - left) / S::$lanes {
                            1 => 1,
                            // Two of two keep more registers busy than three and one.
                            2 | 4 => 2,
                            _ => 3,
                        };
                        match vectors {
                            1 => add_tile::<S, ROWS, 1>(simd, c, x, columns, top, left),
                            2 => add_tile::<S, ROWS, 2>(simd, c, x, columns, top, left),
                            _ => add_tile::<S, ROWS, 3>(simd, c, x, columns, top, left),
                        }
                        left += vectors * S::$lanes;
                    }
                }
            }

            #[inline(always)]
            fn add_tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
                simd: S,
                c: &mut [$float],
                x: &[$float],
                columns: usize,
                top: usize,
                left: usize,
            ) {
                let width = VECTORS * S::$lanes;
                let mut sums = [[simd.$splat(0.0); VECTORS]; ROWS];
                for row in x.chunks_exact(columns) {
                    let a = &row[top..top + ROWS];
                    let b = S::$view(&row[left..left + width]).0;
                    for i in 0..ROWS {
                        let factor = simd.$splat(a[i]);
                        for v in 0..VECTORS {
                            sums[i][v] = simd.$mul_add(factor, b[v], sums[i][v]);
                        }
                    }
                }
                for (i, sums) in sums.iter().enumerate() {
                    let start = (top + i) * columns + left;
                    let to = S::$view_mut(&mut c[start..start + width]).0;
                    for v in 0..VECTORS {
                        to[v] = simd.$add(to[v], sums[v]);
                    }
                }
            }
        }
    };
}

gram! {
    /// Adds `XᵀX` of `x` (rows × `columns`) to the lower triangle of `c` (`columns × columns`); entries
    /// above the diagonal are left unspecified. Sequential; fastest for rows that fit the second-level
    /// cache.
    ///
    /// # Panics
    /// When `columns` is no multiple of [`LANES`] (fill up with columns of zeros) or the sizes disagree.
    add_gram, f64, F64_LANES, as_simd_f64s, as_mut_simd_f64s, splat_f64s, add_f64s, mul_add_e_f64s
}

gram! {
    /// As [`add_gram`], in f32.
    ///
    /// # Panics
    /// As [`add_gram`].
    add_gram_f32, f32, F32_LANES, as_simd_f32s, as_mut_simd_f32s, splat_f32s, add_f32s, mul_add_e_f32s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn the_lower_triangle_is_the_product_in_f64() {
        for (rows, columns) in [(1, 16), (300, 48), (129, 80), (40, 128), (5, 208)] {
            let mut stream = Seed(2).stream("gram", columns as u64);
            let x: Vec<f64> = (0..rows * columns).map(|_| stream.normal()).collect();
            let mut c = vec![1.0; columns * columns];
            add_gram(&mut c, &x, columns);
            let at = |row: usize, column: usize| x[row * columns + column];
            for i in 0..columns {
                for j in 0..=i {
                    let exact: f64 = (0..rows).map(|n| at(n, i) * at(n, j)).sum();
                    let size: f64 = (0..rows).map(|n| (at(n, i) * at(n, j)).abs()).sum();
                    let error = (c[i * columns + j] - 1.0 - exact).abs();
                    assert!(error <= 1e-13 * size.max(1.0), "{rows} × {columns}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn the_lower_triangle_is_the_product_in_f32() {
        for (rows, columns) in [(1, 16), (300, 48), (129, 80), (40, 128), (5, 208)] {
            let mut stream = Seed(2).stream("gram", columns as u64);
            let x: Vec<f32> = (0..rows * columns).map(|_| stream.normal() as f32).collect();
            let mut c = vec![1.0f32; columns * columns];
            add_gram_f32(&mut c, &x, columns);
            let at = |row: usize, column: usize| f64::from(x[row * columns + column]);
            for i in 0..columns {
                for j in 0..=i {
                    let exact: f64 = (0..rows).map(|n| at(n, i) * at(n, j)).sum();
                    let size: f64 = (0..rows).map(|n| (at(n, i) * at(n, j)).abs()).sum();
                    let error = (f64::from(c[i * columns + j]) - 1.0 - exact).abs();
                    assert!(error <= 1e-5 * size.max(1.0), "{rows} × {columns}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn no_rows_and_no_columns_change_nothing() {
        let mut c = vec![2.0; 256];
        add_gram(&mut c, &[], 16);
        assert!(c.iter().all(|&v| v == 2.0));
        add_gram(&mut [], &[], 0);
    }
}
