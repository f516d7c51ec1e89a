//! Streamed covariance: sums of rows and of their products in f64 about a fixed row.
//!
//! Memory does not grow with the number of rows. The bits do not depend on the number of threads.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS, LANES};
use crate::progress::Progress;
use crate::widest;

/// Rows whose products are summed in one go: 128 KB of 128 values each.
const CHUNK_ROWS: usize = 128;

/// From so many rows on, the products of a chunk are added up in f32 before they join the others in f64.
/// The rounding averages out over the chunks: below 1e-8 of the deviations' products with normal values,
/// 5e-7 with values of few digits far from zero. With fewer rows f64 takes no time that counts.
const F32_ROWS: usize = 1 << 19;

/// Wider rows are multiplied by a product made for large matrices.
const WIDE: usize = 512;

/// Wide rows multiplied in one go: 16 MB of 4,096 values each.
const WIDE_CHUNK_ROWS: usize = 512;

/// Sums of rows and of their products, from which a projection is fitted.
#[derive(Debug, Clone)]
pub struct Covariance {
    rows: u64,
    /// Subtracted from every row first, so that products keep their digits.
    origin: Array1<f64>,
    sums: Array1<f64>,
    /// Lower triangle of `Σ (x − o)(x − o)ᵀ`, filled up with zeros to whole vectors.
    products: Array2<f64>,
}

impl Covariance {
    /// No rows yet; `origin` (`D` values) should lie near the data, its first row for example.
    pub fn new(origin: ArrayView1<'_, f32>) -> Self {
        let d = origin.len();
        Self {
            rows: 0,
            origin: origin.mapv(f64::from),
            sums: Array1::zeros(d),
            products: Array2::zeros([d.next_multiple_of(LANES); 2]),
        }
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Values of a row, `D`.
    pub fn dim(&self) -> usize {
        self.origin.len()
    }

    /// Adds rows (`N × D`), in parallel over fixed blocks whose sums are added in order.
    ///
    /// # Errors
    /// [`Error::Shape`] when `D` differs, [`Error::Numerical`] on a NaN or an infinity,
    /// [`Error::Interrupted`].
    pub fn add(&mut self, rows: ArrayView2<'_, f32>, progress: &dyn Progress) -> Result<()> {
        let d = self.origin.len();
        if rows.ncols() != d {
            return Err(Error::Shape {
                what: "rows of a covariance",
                expected: d,
                got: rows.ncols(),
            });
        }
        if d > WIDE {
            self.add_wide(rows, progress)?;
        } else {
            self.add_narrow(rows, progress)?;
        }
        if self.sums.iter().chain(&self.products).any(|v| !v.is_finite()) {
            return Err(Error::Numerical {
                what: "covariance",
                problem: "a training descriptor has a NaN, an infinity or a value whose square \
                          does not fit; leave it out"
                    .into(),
            });
        }
        Ok(())
    }

    /// Parts of the rows in parallel, each with sums of its own.
    fn add_narrow(&mut self, rows: ArrayView2<'_, f32>, progress: &dyn Progress) -> Result<()> {
        /// Rows that one worker sums before its sum joins the others.
        const PART_ROWS: usize = 32 * BLOCK_ROWS;
        /// Parts summed in parallel before they are added up; bounds the memory.
        const PARTS: usize = 16;
        for batch in rows.axis_chunks_iter(Axis(0), PARTS * PART_ROWS) {
            let parts: Vec<ArrayView2<'_, f32>> =
                batch.axis_chunks_iter(Axis(0), PART_ROWS).collect();
            let in_f32 = rows.nrows() >= F32_ROWS;
            let sum = |part| match progress.interrupted() {
                true => Err(Error::Interrupted),
                false if in_f32 => Ok(self.sum_part::<f32>(part)),
                false => Ok(self.sum_part::<f64>(part)),
            };
            let sums: Result<Vec<(Array1<f64>, Array2<f64>)>> =
                parts.into_par_iter().map(sum).collect();
            for (sums, products) in sums? {
                self.sums += &sums;
                self.products += &products;
            }
            self.rows += batch.nrows() as u64;
        }
        Ok(())
    }

    /// One chunk of rows after the other, all of its products in parallel: a sum for each part would
    /// need gigabytes.
    fn add_wide(&mut self, rows: ArrayView2<'_, f32>, progress: &dyn Progress) -> Result<()> {
        let (d, padded) = (self.origin.len(), self.products.ncols());
        let values = rows.as_slice().expect("training rows are row-major");
        let mut shifted = vec![0.0f64; WIDE_CHUNK_ROWS.min(rows.nrows()) * padded];
        for rows in values.chunks(WIDE_CHUNK_ROWS * d) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let shifted = &mut shifted[..rows.len() / d * padded];
            let origin = self.origin.as_slice().expect("an origin is contiguous");
            shift(rows, origin, shifted, self.sums.as_slice_mut().expect("sums are contiguous"));
            let products = self.products.as_slice_mut().expect("products are row-major");
            linalg::add_wide_gram(products, shifted, padded);
            self.rows += (rows.len() / d) as u64;
        }
        Ok(())
    }

    fn sum_part<T: Kept>(&self, part: ArrayView2<'_, f32>) -> (Array1<f64>, Array2<f64>) {
        let (d, padded) = (self.origin.len(), self.products.ncols());
        let origin = self.origin.as_slice().expect("an origin is contiguous");
        let mut sums = Array1::zeros(d);
        let mut products = Array2::zeros((padded, padded));
        let mut shifted = vec![T::default(); CHUNK_ROWS * padded];
        let mut of_chunk = Vec::new();
        let rows = part.as_slice().expect("training rows are row-major");
        for rows in rows.chunks(CHUNK_ROWS * d) {
            let shifted = &mut shifted[..rows.len() / d * padded];
            shift(rows, origin, shifted, sums.as_slice_mut().expect("sums are contiguous"));
            let products = products.as_slice_mut().expect("products are row-major");
            T::add_products(products, shifted, padded, &mut of_chunk);
        }
        (sums, products)
    }

    /// The mean of the rows so far.
    pub fn mean(&self) -> Array1<f64> {
        &self.origin + &(&self.sums / self.rows as f64)
    }

    /// The covariance of the rows so far, divided by `N − 1`.
    pub fn covariance(&self) -> Array2<f64> {
        let n = self.rows as f64;
        let d = self.origin.len();
        let mut c = self.products.slice(s![..d, ..d]).to_owned();
        linalg::mirror_lower(&mut c);
        for ((i, j), value) in c.indexed_iter_mut() {
            *value = (*value - self.sums[i] * self.sums[j] / n) / (n - 1.0);
        }
        c
    }
}

/// A float that a chunk's differences are kept in and their products are added up in.
trait Kept: Copy + Default {
    fn keep(difference: f64) -> Self;

    /// `products += Σ r rᵀ` over the rows `r` of `shifted` (chunk × `padded`); lower triangle.
    fn add_products(
        products: &mut [f64],
        shifted: &[Self],
        padded: usize,
        of_chunk: &mut Vec<Self>,
    );
}

impl Kept for f64 {
    #[inline(always)]
    fn keep(difference: f64) -> Self {
        difference
    }

    fn add_products(products: &mut [f64], shifted: &[f64], padded: usize, _: &mut Vec<f64>) {
        linalg::add_gram(products, shifted, padded);
    }
}

impl Kept for f32 {
    #[inline(always)]
    fn keep(difference: f64) -> Self {
        difference as f32
    }

    fn add_products(products: &mut [f64], shifted: &[f32], padded: usize, of_chunk: &mut Vec<f32>) {
        of_chunk.clear();
        of_chunk.resize(products.len(), 0.0);
        linalg::add_gram_f32(of_chunk, shifted, padded);
        linalg::add_to_f64(products, of_chunk);
    }
}

/// `x − origin` for every row of `rows` (rows × `origin.len()`) into the leading columns of
/// `shifted`, whose rows may be longer; added up in `sums`.
fn shift<T: Kept>(rows: &[f32], origin: &[f64], shifted: &mut [T], sums: &mut [f64]) {
    let padded = shifted.len() / (rows.len() / origin.len());
    widest!(<'a; T: Kept> |rows: &'a [f32], origin: &'a [f64], shifted: &'a mut [T], sums: &'a mut [f64], padded: usize| -> () {
        let d = origin.len();
        let (origin, sums) = (&origin[..d], &mut sums[..d]);
        for (row, out) in rows.chunks_exact(d).zip(shifted.chunks_exact_mut(padded)) {
            let out = &mut out[..d];
            for j in 0..d {
                let difference = f64::from(row[j]) - origin[j];
                out[j] = T::keep(difference);
                sums[j] += difference;
            }
        }
    });
}
