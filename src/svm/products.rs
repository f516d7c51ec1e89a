//! The vectorised inner loops: rows against many weight vectors at once.
//!
//! Rows come as segments (the same columns of up to four rows), weights as an `M × P` block of the
//! same columns for `M` machines. Four rows meet four machines in registers, so that a value read
//! from memory is used four times. The widest instructions are found at run time (`pulp`); lanes
//! are added in a fixed order, so one machine always gives the same bits.

use pulp::{Arch, Simd, WithSimd};

/// Rows that go through the registers together.
pub(super) const ROWS: usize = 4;

/// `out[m][r] ← weights[m] · rows[r]` for every machine `m` and each of the four rows.
pub(super) fn dots(rows: [&[f32]; ROWS], weights: &[f32], out: &mut [[f32; ROWS]]) {
    debug_assert_eq!(weights.len(), rows[0].len() * out.len());
    Arch::new().dispatch(Dots { rows, weights, out });
}

/// `weights[m] ← weights[m] + Σ_r factors[m][r] · rows[r]` for every machine `m`.
pub(super) fn add_rows(weights: &mut [f32], factors: &[[f32; ROWS]], rows: [&[f32]; ROWS]) {
    debug_assert_eq!(weights.len(), rows[0].len() * factors.len());
    Arch::new().dispatch(AddRows { weights, factors, rows });
}

struct Dots<'a> {
    rows: [&'a [f32]; ROWS],
    weights: &'a [f32],
    out: &'a mut [[f32; ROWS]],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.rows[0].len();
        if width == 0 {
            return self.out.fill([0.0; ROWS]);
        }
        let mut weights = self.weights.chunks_exact(ROWS * width);
        let mut out = self.out.chunks_exact_mut(ROWS);
        for (w, o) in weights.by_ref().zip(out.by_ref()) {
            let mut machines = w.chunks_exact(width);
            let w: [&[f32]; ROWS] =
                std::array::from_fn(|_| machines.next().expect("four machines"));
            o.copy_from_slice(&tile(simd, self.rows, w));
        }
        for (w, o) in weights.remainder().chunks_exact(width).zip(out.into_remainder()) {
            [*o] = tile(simd, self.rows, [w]);
        }
    }
}

/// The `M × 4` products of `M` weight segments with four row segments.
#[inline(always)]
fn tile<S: Simd, const M: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    weights: [&[f32]; M],
) -> [[f32; ROWS]; M] {
    let (x, x_rest) = split_all::<S, ROWS>(rows);
    let (w, w_rest) = split_all::<S, M>(weights);
    let blocks = x[0].len();
    let x = x.map(|segment| &segment[..blocks]);
    let w = w.map(|segment| &segment[..blocks]);
    let mut sums = [[simd.splat_f32s(0.0); ROWS]; M];
    for k in 0..blocks {
        let x: [S::f32s; ROWS] = std::array::from_fn(|r| x[r][k]);
        for m in 0..M {
            for r in 0..ROWS {
                sums[m][r] = simd.mul_add_f32s(w[m][k], x[r], sums[m][r]);
            }
        }
    }
    let mut out = [[0.0; ROWS]; M];
    for m in 0..M {
        for r in 0..ROWS {
            let rest: f32 = w_rest[m].iter().zip(x_rest[r]).map(|(w, x)| w * x).sum();
            out[m][r] = simd.reduce_sum_f32s(sums[m][r]) + rest;
        }
    }
    out
}

#[inline(always)]
fn split_all<S: Simd, const N: usize>(segments: [&[f32]; N]) -> ([&[S::f32s]; N], [&[f32]; N]) {
    let both = segments.map(S::as_simd_f32s);
    (both.map(|(whole, _)| whole), both.map(|(_, rest)| rest))
}

struct AddRows<'a> {
    weights: &'a mut [f32],
    factors: &'a [[f32; ROWS]],
    rows: [&'a [f32]; ROWS],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.rows[0].len();
        if width == 0 {
            return;
        }
        let (x, x_rest) = split_all::<S, ROWS>(self.rows);
        let blocks = x[0].len();
        let x = x.map(|segment| &segment[..blocks]);
        for (w, factors) in self.weights.chunks_exact_mut(width).zip(self.factors) {
            if factors.iter().all(|&f| f == 0.0) {
                continue;
            }
            let (w, w_rest) = S::as_mut_simd_f32s(w);
            let f = factors.map(|f| simd.splat_f32s(f));
            for (k, w) in w[..blocks].iter_mut().enumerate() {
                let mut sum = *w;
                for r in 0..ROWS {
                    sum = simd.mul_add_f32s(f[r], x[r][k], sum);
                }
                *w = sum;
            }
            for (k, w) in w_rest.iter_mut().enumerate() {
                for r in 0..ROWS {
                    *w += factors[r] * x_rest[r][k];
                }
            }
        }
    }
}

/// `y ← y + a·x`, for use inside a dispatched loop.
#[inline(always)]
pub(super) fn axpy<S: Simd>(simd: S, y: &mut [f32], a: f32, x: &[f32]) {
    let (y, y_rest) = S::as_mut_simd_f32s(y);
    let (x, x_rest) = S::as_simd_f32s(x);
    let factor = simd.splat_f32s(a);
    for (y, x) in y.iter_mut().zip(x) {
        *y = simd.mul_add_f32s(factor, *x, *y);
    }
    for (y, x) in y_rest.iter_mut().zip(x_rest) {
        *y += a * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn random(count: usize, item: u64) -> Vec<f32> {
        let mut stream = Seed(3).stream("svm products", item);
        (0..count).map(|_| stream.normal() as f32).collect()
    }

    /// Every width around the vector lengths, and machine counts around the register tile.
    #[test]
    fn vectorised_loops_match_the_plain_ones() {
        for width in [0, 1, 7, 15, 16, 17, 64, 133] {
            for machines in [1, 3, 4, 5, 9] {
                let x = random(ROWS * width, 0);
                let rows: [&[f32]; ROWS] = std::array::from_fn(|r| &x[r * width..(r + 1) * width]);
                let mut w = random(machines * width, 1);
                let mut got = vec![[f32::NAN; ROWS]; machines];
                dots(rows, &w, &mut got);
                let factors = random(machines * ROWS, 2);
                let factors: Vec<[f32; ROWS]> = factors.as_chunks().0.to_vec();
                let mut expected_w: Vec<f64> = w.iter().map(|&v| f64::from(v)).collect();
                for m in 0..machines {
                    for r in 0..ROWS {
                        let expected = crate::linalg::dot(&w[m * width..(m + 1) * width], rows[r]);
                        // Sums of up to 133 products of order one in f32.
                        assert!(
                            (f64::from(got[m][r]) - expected).abs() < 1e-4,
                            "{width} {machines}"
                        );
                        for k in 0..width {
                            expected_w[m * width + k] +=
                                f64::from(factors[m][r]) * f64::from(rows[r][k]);
                        }
                    }
                }
                add_rows(&mut w, &factors, rows);
                for (got, expected) in w.iter().zip(&expected_w) {
                    assert!((f64::from(*got) - expected).abs() < 1e-5, "{width} {machines}");
                }
            }
        }
    }

    #[test]
    fn axpy_matches_the_plain_loop() {
        struct Run<'a>(&'a mut [f32], &'a [f32]);
        impl WithSimd for Run<'_> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                axpy(simd, self.0, -0.75, self.1);
            }
        }
        for width in [0, 1, 15, 16, 17, 90] {
            let (mut y, x) = (random(width, 5), random(width, 6));
            let expected: Vec<f32> = y.iter().zip(&x).map(|(y, x)| y - 0.75 * x).collect();
            Arch::new().dispatch(Run(&mut y, &x));
            assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
