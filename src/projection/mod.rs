//! Principal component analysis: streamed covariance, fit, apply, optional whitening.
//!
//! With `m` the mean of the rows `x` (`N × D`) and `C = Σ (x − m)(x − m)ᵀ / (N − 1)`:
//!
//! ```text
//! C v_i = λ_i v_i,  λ_1 ≥ λ_2 ≥ …        y_i = v_i · (x − m)
//! whiten   y_i ← y_i / √λ_i        l2   y ← y / ‖y‖
//! ```
//!
//! The sign of a component is fixed: its entry of largest magnitude is positive. Each descriptor's
//! position may be appended to its projection, and its scale (Sánchez, Perronnin & de Campos 2012).

mod covariance;
mod eigen;
mod failure;
pub mod memory;
mod residual;

use std::ops::RangeInclusive;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::linalg;
use crate::position::Position;
use crate::progress::Progress;
use failure::failed;

pub use covariance::Covariance;

crate::parameters! {
    /// Settings of the projection (group `pca`).
    #[group = "pca"]
    pub struct Params {
        /// Dimensions kept, at most those of the descriptor (128 for SIFT, 96 for colour).
        pub dimension: usize = 80, in 1..;
        /// Whether each kept dimension is divided by its standard deviation.
        pub whiten: bool = false;
        /// Whether each projected descriptor is then scaled to unit length, before anything is appended.
        pub l2: bool = false;
        /// What is appended to every projected descriptor: `none`; `xy` appends x/W − ½ and y/H − ½ of its centre; `xys` also appends 0.1 · log₂(bin width / √(W·H)).
        pub append: Append = Append::None;
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

    /// What is appended to a descriptor here: the first [`len`](Self::len) of these.
    pub fn values(self, position: Position) -> [f32; 3] {
        let scale = if self == Self::Xys { OCTAVE * position.scale.log2() } else { 0.0 };
        [position.x - 0.5, position.y - 0.5, scale]
    }

    /// True when nothing is appended.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Params {
    /// Values of a projected descriptor, the appended ones included.
    pub fn output_dim(&self) -> usize {
        self.dimension + self.append.len()
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first setting out of range.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges()
    }
}

/// Admissible variances along the first component. A mixture's are smaller, down to its floor, and
/// have to be f32 numbers; sums of squares are larger.
const VARIANCES: RangeInclusive<f64> = 1e-24..=1e30;

/// What an octave of scale counts for beside a whole width or height. A mixture is fitted to rows that
/// k-means grouped by distance: with the natural logarithm of SPC12 (0.69) it parted scales where it had
/// better parted patterns (docs/ABLATION.md).
const OCTAVE: f32 = 0.1;

/// `ε` of [`Projection::relevance`], in lengths of a descriptor.
const RELEVANCE_EPSILON: f64 = 0.01;

/// A fitted projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    mean: Array1<f32>,
    /// `k × D`, one component a row, already divided by its deviation when whitened.
    components: Array2<f32>,
    /// Variance along every component before whitening; descending, unless they were learned.
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
    /// Whether it leaves descriptors as they are, which needs no product.
    identity: bool,
}

impl Projection {
    /// Fits a projection to a covariance of at least two rows.
    ///
    /// # Errors
    /// [`Error::Setting`] when more dimensions are asked for than there are, or than whitening can
    /// divide by; [`Error::Numerical`] when values are beyond f32 or the eigen-solve fails its check;
    /// [`Error::Interrupted`].
    pub fn fit(covariance: &Covariance, params: &Params, progress: &dyn Progress) -> Result<Self> {
        params.validate()?;
        let d = covariance.dim();
        Error::require(
            params.dimension <= d,
            "pca.dimension",
            params.dimension,
            &format!("at most the descriptor's {d} dimensions"),
        )?;
        let rows = covariance.rows();
        if rows < 2 {
            let problem = format!("{rows} training descriptors; at least 2 are needed");
            return Err(Error::Numerical { what: "PCA", problem });
        }
        let (values, vectors) = eigen::eigen(covariance.covariance(), progress)?;
        let largest = values[0];
        if largest != 0.0 && !VARIANCES.contains(&largest) {
            let way_out = if largest < 1.0 { "up" } else { "down" };
            return Err(failed(&format!(
                "the largest variance of the training descriptors is {largest:.1e}, beyond what f32 \
                 can be reckoned with ({:.0e} to {:.0e}); scale the descriptors {way_out}, or leave \
                 out those that are far from all others",
                VARIANCES.start(),
                VARIANCES.end()
            )));
        }
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

    /// This projection with learned `components` (`k × D`): variances along them, and the share of the
    /// variance in the space that they span, are those of `covariance`.
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts).
    pub fn learned(&self, components: Array2<f32>, covariance: &Covariance) -> Result<Self> {
        let c = covariance.covariance();
        let along = |v: &Array1<f64>| v.dot(&c.dot(v));
        let mut basis: Vec<Array1<f64>> = Vec::new();
        let mut variances = Vec::new();
        for row in components.rows() {
            let mut v = row.mapv(f64::from);
            variances.push(along(&v) as f32);
            let length = v.dot(&v).sqrt();
            // Twice, since one pass of Gram-Schmidt leaves rounding errors.
            for _ in 0..2 {
                basis.iter().for_each(|b| v.scaled_add(-b.dot(&v), b));
            }
            let left = v.dot(&v).sqrt();
            if left > 1e-9 * length {
                basis.push(v / left);
            }
        }
        let total = c.diag().sum();
        let kept = if total > 0.0 { basis.iter().map(along).sum::<f64>() / total } else { 1.0 };
        let mean = self.mean.clone();
        Self::from_parts(mean, components, variances, kept.min(1.0), self.l2, self.append)
    }

    /// Leaves descriptors of `dimension` values as they are.
    ///
    /// # Errors
    /// None for any dimension that fits into memory.
    pub fn identity(dimension: usize) -> Result<Self> {
        let (mean, variances) = (Array1::zeros(dimension), vec![1.0; dimension]);
        Self::from_parts(mean, Array2::eye(dimension), variances, 1.0, false, Append::None)
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
        let offset = |row: ArrayView1<'_, f32>| -dot(row, mean.view()) as f32;
        let offsets = components.rows().into_iter().map(offset).collect();
        let transposed = components.t().as_standard_layout().into_owned();
        let plain = k == d && !l2 && append.is_empty() && mean.iter().all(|&value| value == 0.0);
        let identity = plain && components == Array2::<f32>::eye(d);
        Ok(Self { mean, components, variances, kept, l2, append, offsets, transposed, identity })
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

    /// Variance along every component; descending, unless they were learned.
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

    /// What a descriptor of zeros is projected to, before anything is appended: as [`apply`](Self::apply)
    /// gives it, and in f64.
    pub fn of_zeros(&self) -> (Vec<f32>, Vec<f64>) {
        let mut rounded = self.offsets.clone();
        self.scale_rows(&mut rounded);
        let mut exact: Vec<f64> =
            self.components.rows().into_iter().map(|row| -dot(row, self.mean.view())).collect();
        if self.l2 {
            let length = exact.iter().map(|v| v * v).sum::<f64>().sqrt();
            exact.iter_mut().for_each(|v| *v *= if length > 0.0 { 1.0 / length } else { 0.0 });
        }
        (rounded, exact)
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
        if self.identity {
            rows.iter().zip(out).for_each(|(value, out)| *out = *value);
            return Ok(());
        }
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
            out[k..].copy_from_slice(&self.append.values(*position)[..self.append.len()]);
        }
        Ok(())
    }

    /// As [`apply`](Self::apply), into a new array, `N ×` [`output_dim`](Self::output_dim).
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn project(
        &self,
        rows: ArrayView2<'_, f32>,
        positions: &[Position],
    ) -> Result<Array2<f32>> {
        let mut projected = Array2::zeros((rows.nrows(), self.output_dim()));
        let out = projected.as_slice_mut().expect("a new array is row-major");
        self.apply(rows, positions, &mut Vec::new(), out)?;
        Ok(projected)
    }

    /// Relevance of a descriptor's values (`D`) from that of its projection
    /// ([`output_dim`](Self::output_dim) values), added to `to`:
    ///
    /// ```text
    /// R_c = Σ_j x_c v_jc R_j / (z_j + ε‖x‖ sgn z_j),  z_j = Σ_c x_c v_jc,  ε = 0.01
    /// ```
    ///
    /// The mean is no value of the descriptor and gets nothing. What appended values have goes to the
    /// descriptor's in proportion to their squares.
    ///
    /// # Panics
    /// When the lengths disagree.
    pub fn relevance(&self, row: &[f32], relevance: &[f64], to: &mut [f32]) {
        let k = self.components.nrows();
        assert_eq!(relevance.len(), self.output_dim(), "relevance of a projection");
        assert!(row.len() == self.input_dim() && to.len() == row.len(), "values of a descriptor");
        if self.identity {
            to.iter_mut().zip(relevance).for_each(|(to, &value)| *to += value as f32);
            return;
        }
        let row = ArrayView1::from(row);
        let squares = dot(row, row);
        let epsilon = RELEVANCE_EPSILON * squares.sqrt();
        let mut shares = Array1::<f32>::zeros(row.len());
        for (component, &relevance) in self.components.rows().into_iter().zip(relevance) {
            let z = dot(component, row);
            let sum = z + if z < 0.0 { -epsilon } else { epsilon };
            if sum != 0.0 {
                shares.scaled_add((relevance / sum) as f32, &component);
            }
        }
        let appended: f64 = relevance[k..].iter().sum();
        let even = if squares > 0.0 { (appended / squares) as f32 } else { 0.0 };
        for ((to, &x), share) in to.iter_mut().zip(row).zip(shares) {
            *to += x * (share + even * x);
        }
    }

    /// From products with the components (rows of `k`) to projections.
    fn finish(&self, products: &mut [f32]) {
        linalg::add_to_rows(products, &self.offsets);
        self.scale_rows(products);
    }

    /// Brings rows of `k` values to unit length, where that is asked for.
    fn scale_rows(&self, products: &mut [f32]) {
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

fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
