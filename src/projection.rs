//! Principal component analysis: streamed covariance, fit, apply, optional whitening.
//!
//! With `m` the mean of the rows `x` (`N × D`) and `C = Σ (x − m)(x − m)ᵀ / (N − 1)`:
//!
//! ```text
//! C v_i = λ_i v_i,  λ_1 ≥ λ_2 ≥ …        y_i = v_i · (x − m)
//! whiten   y_i ← y_i / √λ_i        l2   y ← y / ‖y‖
//! ```
//!
//! The covariance is summed over blocks in f64 about a fixed row, so memory does not grow with `N`.
//! The sign of a component is fixed: its entry of largest magnitude is positive. Each descriptor's
//! position may be appended to its projection, and its scale (Sánchez, Perronnin & de Campos 2012).
//!
//! The eigenvectors come from linfa-reduction's PCA, fitted at full rank to `2D` rows whose
//! covariance is `C` (the rows of `±R`, `RᵀR = C`): with fewer components than dimensions that
//! solver is wrong for spectra like these. What it returns is checked against `C`.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_reduction::Pca;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS, LANES};
use crate::position::Position;
use crate::widest;

crate::parameters! {
    /// Settings of the projection (group `pca`).
    pub struct Params {
        /// Dimensions kept (1 up to the descriptor's own, 128 for SIFT).
        pub dimension: usize = 80,
        /// Whether each kept dimension is divided by its standard deviation.
        pub whiten: bool = false,
        /// Whether each projected descriptor is then brought to unit length, before anything is appended.
        pub l2: bool = false,
        /// What is appended to every projected descriptor: `none`, or `xy`, its centre as a share of width and height, less one half, or `xys`, also a tenth of log₂ of its bins' width over the root of the image's area.
        pub append: Append = Append::None,
    }
}

/// What is appended to a projected descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Append {
    /// Nothing.
    None,
    /// `(x/W − ½, y/H − ½)` of the descriptor's centre.
    Xy,
    /// These and `log₂(s/√(W·H))/10` of the width `s` of its bins.
    Xys,
}

impl Append {
    /// Number of values appended.
    pub fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Xy => 2,
            Self::Xys => 3,
        }
    }

    /// True when nothing is appended.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Params {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        Error::require(self.dimension >= 1, "pca.dimension", self.dimension, "at least 1")
    }
}

/// Largest admissible `‖C v − λ v‖ / λ_1` of a component that [`Projection::fit`] returns.
const LARGEST_RESIDUAL: f64 = 1e-7;

/// Added to the covariance's diagonal, relative to its largest entry, so that a Cholesky factor
/// exists when dimensions depend on each other. It moves every eigenvalue alike and no eigenvector.
const RIDGE: f64 = 1e-10;

/// When the smallest variance is below this share of the largest one, faer's eigenvectors are taken:
/// on matrices that are as good as singular linfa's solver may end in NaN, and panics then. That of
/// descriptors of photographs is a hundred times larger.
const FULL_RANK: f64 = 1e-6;

/// What an octave of scale counts for beside a whole width or height. A mixture is fitted to rows that
/// k-means grouped by distance: with the natural logarithm of SPC12 (0.69) it parted scales where it had
/// better parted patterns (docs/ABLATION.md).
const OCTAVE: f32 = 0.1;

/// Rows whose products are summed in one go: 128 KB of 128 values each.
const CHUNK_ROWS: usize = 128;

/// From so many rows on, the products of a chunk are added up in f32 before they join the others in f64.
/// The rounding averages out over the chunks: below 1e-8 of the deviations' products with normal values,
/// 5e-7 with values of few digits far from zero. With fewer rows f64 takes no time that counts.
const F32_ROWS: usize = 1 << 19;

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

    /// Adds rows (`N × D`), in parallel over fixed blocks whose sums are added in order.
    ///
    /// # Errors
    /// [`Error::Shape`] when `D` differs, [`Error::Numerical`] on a NaN or an infinity.
    pub fn add(&mut self, rows: ArrayView2<'_, f32>) -> Result<()> {
        let d = self.origin.len();
        if rows.ncols() != d {
            return Err(Error::Shape {
                what: "rows of a covariance",
                expected: d,
                got: rows.ncols(),
            });
        }
        /// Rows that one worker sums before its sum joins the others.
        const PART_ROWS: usize = 32 * BLOCK_ROWS;
        /// Parts summed in parallel before they are added up; bounds the memory.
        const PARTS: usize = 16;
        for batch in rows.axis_chunks_iter(Axis(0), PARTS * PART_ROWS) {
            let parts: Vec<ArrayView2<'_, f32>> =
                batch.axis_chunks_iter(Axis(0), PART_ROWS).collect();
            let in_f32 = rows.nrows() >= F32_ROWS;
            let sum =
                |part| if in_f32 { self.sum_part::<f32>(part) } else { self.sum_part::<f64>(part) };
            let sums: Vec<(Array1<f64>, Array2<f64>)> = parts.into_par_iter().map(sum).collect();
            for (sums, products) in sums {
                self.sums += &sums;
                self.products += &products;
            }
            self.rows += batch.nrows() as u64;
        }
        if self.sums.iter().chain(&self.products).any(|v| !v.is_finite()) {
            return Err(Error::Numerical {
                what: "covariance",
                problem: "a training descriptor has a NaN or an infinity; leave it out".into(),
            });
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

/// A fitted projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    mean: Array1<f32>,
    /// `k × D`, one component a row, already divided by its deviation when whitened.
    components: Array2<f32>,
    /// Variance along every component before whitening, descending.
    variances: Vec<f32>,
    /// Share of the data's variance that the components keep.
    kept: f64,
    /// Whether results are brought to unit length.
    l2: bool,
    append: Append,
    /// `−components · mean`.
    offsets: Vec<f32>,
    /// `components` transposed, `D × k`, as the product wants it.
    transposed: Array2<f32>,
}

impl Projection {
    /// Fits a projection to a covariance of at least two rows.
    ///
    /// # Errors
    /// [`Error::Setting`] when more dimensions are asked for than there are, or than whitening can
    /// divide by; [`Error::Numerical`] when the eigen-solve fails its check.
    pub fn fit(covariance: &Covariance, params: &Params) -> Result<Self> {
        params.validate()?;
        let d = covariance.origin.len();
        Error::require(
            params.dimension <= d,
            "pca.dimension",
            params.dimension,
            &format!("at most the descriptor's {d} dimensions"),
        )?;
        if covariance.rows < 2 {
            return Err(Error::Numerical {
                what: "PCA",
                problem: format!("{} training descriptors; at least 2 are needed", covariance.rows),
            });
        }
        let c = covariance.covariance();
        let (values, vectors) = eigen(&c)?;
        let k = params.dimension;
        let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
        let mut components = vectors.slice(s![..k, ..]).to_owned();
        if params.whiten {
            let smallest = values[0] * f64::from(f32::EPSILON);
            for (mut row, &value) in components.rows_mut().into_iter().zip(&values) {
                Error::require(
                    value > smallest,
                    "pca.dimension",
                    k,
                    "at most the number of dimensions in which descriptors vary, when whitening",
                )?;
                row /= value.sqrt();
            }
        }
        let kept = if total > 0.0 {
            values[..k].iter().map(|v| v.max(0.0)).sum::<f64>() / total
        } else {
            1.0
        };
        Self::from_parts(
            covariance.mean().mapv(|v| v as f32),
            components.mapv(|v| v as f32),
            values[..k].iter().map(|&v| v.max(0.0) as f32).collect(),
            kept,
            params.l2,
            params.append,
        )
    }

    /// A projection of stored parts: `mean` (`D`), `components` (`k × D`), variances (`k`).
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Numerical`] when a value is not finite.
    pub fn from_parts(
        mean: Array1<f32>,
        components: Array2<f32>,
        variances: Vec<f32>,
        kept: f64,
        l2: bool,
        append: Append,
    ) -> Result<Self> {
        let (k, d) = components.dim();
        if mean.len() != d {
            return Err(Error::Shape { what: "mean of a PCA", expected: d, got: mean.len() });
        }
        if variances.len() != k {
            let got = variances.len();
            return Err(Error::Shape { what: "variances of a PCA", expected: k, got });
        }
        if mean.iter().chain(&components).chain(&variances).any(|v| !v.is_finite()) {
            let problem = "a value is NaN or infinite".into();
            return Err(Error::Numerical { what: "PCA", problem });
        }
        let offset = |row: ArrayView1<'_, f32>| -> f32 {
            let dot: f64 = row.iter().zip(&mean).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            -dot as f32
        };
        let offsets = components.rows().into_iter().map(offset).collect();
        let transposed = components.t().as_standard_layout().into_owned();
        Ok(Self { mean, components, variances, kept, l2, append, offsets, transposed })
    }

    /// Dimensions of the descriptors it takes.
    pub fn input_dim(&self) -> usize {
        self.mean.len()
    }

    /// Dimensions of its results, appended values included.
    pub fn output_dim(&self) -> usize {
        self.components.nrows() + self.append.len()
    }

    /// The mean, `D`.
    pub fn mean(&self) -> ArrayView1<'_, f32> {
        self.mean.view()
    }

    /// One component a row, `k × D`.
    pub fn components(&self) -> ArrayView2<'_, f32> {
        self.components.view()
    }

    /// Variance along every component, descending.
    pub fn variances(&self) -> &[f32] {
        &self.variances
    }

    /// Share of the variance kept, 0 to 1.
    pub fn kept(&self) -> f64 {
        self.kept
    }

    /// Whether projected descriptors are brought to unit length.
    pub fn l2(&self) -> bool {
        self.l2
    }

    /// What is appended.
    pub fn append(&self) -> Append {
        self.append
    }

    /// Projects `rows` (`N × D`) into the leading rows of `out` (at least `N ×`
    /// [`output_dim`](Self::output_dim)); `positions[n]` is that of row `n`. `product` is a buffer that
    /// grows as needed.
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree.
    pub fn apply(
        &self,
        rows: ArrayView2<'_, f32>,
        positions: &[Position],
        product: &mut Vec<f32>,
        out: &mut [f32],
    ) -> Result<()> {
        let (n, k, width) = (rows.nrows(), self.components.nrows(), self.output_dim());
        let shape = |what, expected, got| {
            if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
        };
        shape("descriptors for a PCA", self.input_dim(), rows.ncols())?;
        shape("positions of descriptors", n, positions.len())?;
        shape("result of a PCA", n * width, out.len())?;
        if self.append.is_empty() {
            let out_rows = ndarray::ArrayViewMut2::from_shape((n, k), &mut *out);
            linalg::multiply(out_rows.expect("sizes agree"), rows, self.transposed.view());
            self.finish(out);
            return Ok(());
        }
        product.resize(n * k, 0.0);
        let product_rows = ndarray::ArrayViewMut2::from_shape((n, k), &mut product[..]);
        linalg::multiply(product_rows.expect("sizes agree"), rows, self.transposed.view());
        self.finish(product);
        let projected = product.chunks_exact(k).zip(out.chunks_exact_mut(width));
        for ((projected, out), position) in projected.zip(positions) {
            out[..k].copy_from_slice(projected);
            out[k] = position.x - 0.5;
            out[k + 1] = position.y - 0.5;
            if self.append == Append::Xys {
                out[k + 2] = OCTAVE * position.scale.log2();
            }
        }
        Ok(())
    }

    /// From products with the components (rows of `k`) to projections.
    fn finish(&self, products: &mut [f32]) {
        linalg::add_to_rows(products, &self.offsets);
        if self.l2 {
            for row in products.chunks_exact_mut(self.components.nrows()) {
                let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                // A descriptor at the mean has no direction.
                let scale = if length > 0.0 { (1.0 / length) as f32 } else { 0.0 };
                row.iter_mut().for_each(|v| *v *= scale);
            }
        }
    }
}

/// Eigenvalues, descending, and unit eigenvectors (rows) of a covariance.
fn eigen(c: &Array2<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    let d = c.nrows();
    let largest = c.diag().iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        // No dimension varies: any basis is right.
        return Ok((vec![0.0; d], Array2::eye(d)));
    }
    let scaled = c / largest;
    let (smallest, solved) = solve(&scaled)?;
    let mut vectors = if smallest < FULL_RANK {
        solved
    } else {
        // Rows ±√((2D − 1)/2)·R have mean 0 and covariance RᵀR = C + ridge.
        let mut factor = cholesky(&scaled, RIDGE)?;
        factor *= ((2 * d - 1) as f64 / 2.0).sqrt();
        let rows = ndarray::concatenate![Axis(0), factor, -&factor];
        let fitted = Pca::params(d)
            .fit(&DatasetBase::from(rows))
            .map_err(|e| Error::Numerical { what: "PCA", problem: e.to_string() })?;
        complete_basis(fitted.components())
    };
    let mut pairs = Vec::with_capacity(d);
    for (i, mut v) in vectors.rows_mut().into_iter().enumerate() {
        let length = v.dot(&v).sqrt();
        let peak = v.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
        v /= length.copysign(peak);
        let image = c.dot(&v);
        let value = v.dot(&image);
        let residual = (&image - &(&v * value)).mapv(|r| r * r).sum().sqrt();
        if residual.is_nan() || residual > LARGEST_RESIDUAL * largest {
            return Err(Error::Numerical {
                what: "PCA",
                problem: format!(
                    "component {i} has residual {residual:e}; the covariance cannot be solved accurately"
                ),
            });
        }
        pairs.push((value, i));
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let order: Vec<usize> = pairs.iter().map(|p| p.1).collect();
    Ok((pairs.iter().map(|p| p.0).collect(), vectors.select(Axis(0), &order)))
}

/// The smallest eigenvalue and all unit eigenvectors (rows) of a symmetric matrix.
fn solve(matrix: &Array2<f64>) -> Result<(f64, Array2<f64>)> {
    let d = matrix.nrows();
    let symmetric = faer::Mat::from_fn(d, d, |i, j| matrix[[i, j]]);
    let solved = symmetric.self_adjoint_eigen(faer::Side::Lower).map_err(|_| Error::Numerical {
        what: "PCA",
        problem: "the eigen-solve does not converge; descriptors may be constant or huge".into(),
    })?;
    let (values, vectors) = (solved.S().column_vector(), solved.U());
    let smallest = (0..d).map(|i| values[i]).fold(f64::INFINITY, f64::min);
    Ok((smallest, Array2::from_shape_fn((d, d), |(i, j)| vectors[(j, i)])))
}

/// The rows of `vectors`, and after them what is missing to a basis: directions of no variance,
/// which the solver leaves out.
fn complete_basis(vectors: &Array2<f64>) -> Array2<f64> {
    let (found, d) = vectors.dim();
    let mut basis = Array2::zeros((d, d));
    basis.slice_mut(s![..found, ..]).assign(vectors);
    for i in found..d {
        // Of the unit vectors, the one that the basis so far explains least, made orthogonal to it
        // twice, since once leaves rounding errors.
        let explained = |axis: usize| basis.slice(s![..i, axis]).mapv(|v: f64| v * v).sum();
        let axis = (0..d)
            .min_by(|&a, &b| explained(a).total_cmp(&explained(b)))
            .expect("a covariance has dimensions");
        let mut v = Array1::zeros(d);
        v[axis] = 1.0;
        for _ in 0..2 {
            for known in basis.slice(s![..i, ..]).rows() {
                v.scaled_add(-known.dot(&v), &known);
            }
            v /= v.dot(&v).sqrt();
        }
        basis.row_mut(i).assign(&v);
    }
    basis
}

/// Upper factor `R` with `RᵀR = a + ridge·I`.
fn cholesky(a: &Array2<f64>, ridge: f64) -> Result<Array2<f64>> {
    let d = a.nrows();
    let matrix = faer::Mat::from_fn(d, d, |i, j| a[[i, j]] + if i == j { ridge } else { 0.0 });
    let factor = matrix.llt(faer::Side::Lower).map_err(|_| Error::Numerical {
        what: "PCA",
        problem: "the covariance is not positive; descriptors may be constant or not finite".into(),
    })?;
    let lower = factor.L();
    Ok(Array2::from_shape_fn((d, d), |(i, j)| if j >= i { lower[(j, i)] } else { 0.0 }))
}
