//! Posteriors of a mixture over blocks of rows, as one matrix product and a softmax.
//!
//! Rows are standardised first, `y = (x − c) / s`, with the mixture's own mean `c` and (nearly) its
//! standard deviation `s` per dimension: f32 products then lose no digits to data far from zero. With
//! `μ', σ'²` the parameters in those coordinates,
//!
//! ```text
//! ln w_k N(y; μ'_k, σ'²_k) = [y², y] · [−½/σ'²_k ; μ'_k/σ'²_k] + b_k
//! b_k = ln w_k − ½ Σ_d ( ln 2πσ'²_kd + μ'²_kd/σ'²_kd )
//! ```
//!
//! so a block of `B` rows costs a `(B × 2D)·(2D × K)` product. Nothing of size `N × K` is formed.
//! Components whose terms would cancel in that sum are evaluated one by one ([`super::sharp`]).
//!
//! `c` and the means are f32 numbers and `1/s` is a power of two: then `x/s − μ/s` is `(x − μ)/s`
//! with one rounding, however narrow a component is.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, s};

use super::known::Known;
use super::mixture::Mixture;
use super::model::Gmm;
use super::scratch::{Buffers, Scratch};
use super::sharp::Sharp;
use crate::error::{Error, Result};
use crate::linalg::{self, BLOCK_ROWS};
use crate::widest;

/// Standardised values are clamped here, so that their squares stay finite in f32. A value a
/// hundred million standard deviations away has the same posterior as one further out.
const LARGEST_STANDARDISED: f32 = 1e8;

/// A mixture made ready to evaluate posteriors. Cheap to build, shared between threads.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// `c`, the mixture's mean, an f32 number.
    pub(super) centre: Vec<f64>,
    /// `s`, the power of two nearest to the mixture's standard deviation.
    pub(super) scale: Vec<f64>,
    /// `w_k`.
    pub(super) weights: Vec<f64>,
    /// `μ'_kd`, of means rounded to f32.
    pub(super) means: Array2<f64>,
    /// `σ'²_kd`.
    pub(super) variances: Array2<f64>,
    centre_f32: Vec<f32>,
    pub(super) inverse_scale: Vec<f32>,
    /// `μ_kd / s_d`, without the centre taken off.
    pub(super) scaled_means: Array2<f32>,
    /// `2D × K`: `−½/σ'²` above `μ'/σ'²`; 0 for a sharp component.
    coefficients: Array2<f32>,
    /// `b_k`; `−∞` for a sharp component.
    constants: Vec<f32>,
    pub(super) sharp: Sharp,
    pub(super) known: Option<Known>,
    /// `−Σ_d ln s_d`, which turns densities of `y` into densities of `x`.
    log_jacobian: f64,
}

/// One component in the evaluator's standardised coordinates.
#[derive(Debug, Clone, Copy)]
pub struct Component<'a> {
    /// `w_k`.
    pub weight: f64,
    /// `μ'_k`, `D` values, of the mean rounded to f32.
    pub means: ArrayView1<'a, f64>,
    /// `σ'²_k`, `D` values.
    pub variances: ArrayView1<'a, f64>,
}

/// One evaluated block.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// The rows, `B × D`.
    pub(super) rows: &'a [f32],
    /// `[y², y]`, `B × 2D`.
    pub(super) features: ArrayView2<'a, f32>,
    /// `γ`, `B × K`, open for replacement by hard assignments.
    pub(super) posteriors: ArrayViewMut2<'a, f32>,
    /// `ln p(x)` per row.
    pub(super) log_likelihood: &'a [f64],
    pub(super) sums: &'a mut Buffers,
}

impl Evaluator {
    /// Prepares a mixture.
    pub fn new(gmm: &Gmm) -> Self {
        Self::of_mixture(&Mixture::from(gmm))
    }

    pub(super) fn of_mixture(mixture: &Mixture) -> Self {
        let (k, d) = mixture.means.dim();
        let [mean, variance] = mixture.moments();
        let centre_f32: Vec<f32> = mean.iter().map(|&mean| mean as f32).collect();
        let inverse_scale: Vec<f32> =
            variance.iter().map(|variance| inverse_power_of_two(variance.sqrt())).collect();
        let centre: Vec<f64> = centre_f32.iter().copied().map(f64::from).collect();
        let scale: Vec<f64> = inverse_scale.iter().map(|&s| 1.0 / f64::from(s)).collect();
        let scaled_means =
            Array2::from_shape_fn((k, d), |(i, j)| mixture.means[[i, j]] as f32 * inverse_scale[j]);
        let means = Array2::from_shape_fn((k, d), |(i, j)| {
            f64::from(scaled_means[[i, j]]) - centre[j] / scale[j]
        });
        let variances =
            Array2::from_shape_fn((k, d), |(i, j)| mixture.variances[[i, j]] / scale[j].powi(2));
        let log_jacobian = -scale.iter().map(|s| s.ln()).sum::<f64>();
        let sharp = Sharp::new(&mixture.weights, &scaled_means, &means, &variances, log_jacobian);
        let mut coefficients = Array2::from_shape_fn((2 * d, k), |(row, i)| {
            let value = if row < d {
                -0.5 / variances[[i, row]]
            } else {
                means[[i, row - d]] / variances[[i, row - d]]
            };
            value as f32
        });
        let mut constants: Vec<f32> = (0..k)
            .map(|i| {
                let sum: f64 = (0..d)
                    .map(|j| {
                        let variance: f64 = variances[[i, j]];
                        (std::f64::consts::TAU * variance).ln() + means[[i, j]].powi(2) / variance
                    })
                    .sum();
                (mixture.weights[i].ln() - 0.5 * sum) as f32
            })
            .collect();
        for &i in sharp.components() {
            coefficients.column_mut(i).fill(0.0);
            constants[i] = f32::NEG_INFINITY;
        }
        let weights = mixture.weights.clone();
        Self {
            centre,
            scale,
            weights,
            means,
            variances,
            centre_f32,
            inverse_scale,
            scaled_means,
            coefficients,
            constants,
            sharp,
            known: None,
            log_jacobian,
        }
    }

    /// Takes rows that begin with `rounded` for the point `exact`, of which they are the f32 numbers.
    ///
    /// # Panics
    /// When the two are of different lengths, or longer than a row.
    pub fn knowing(mut self, rounded: Vec<f32>, exact: &[f64]) -> Self {
        assert_eq!(rounded.len(), exact.len(), "values of a known row");
        assert!(rounded.len() <= self.dim(), "values of a known row");
        self.known = Some(Known::new(rounded, exact));
        self
    }

    /// Number of components `K`.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// Number of dimensions `D`.
    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    /// Component `k` in standardised coordinates.
    pub fn component(&self, k: usize) -> Component<'_> {
        Component {
            weight: self.weights[k],
            means: self.means.row(k),
            variances: self.variances.row(k),
        }
    }

    /// The scale `s_d` that dimension `d` is divided by.
    pub fn scale(&self, d: usize) -> f64 {
        self.scale[d]
    }

    /// The centre `c_d`, which standardising subtracts in dimension `d`.
    pub fn centre(&self, d: usize) -> f64 {
        self.centre[d]
    }

    /// Posteriors `γ` of `rows` (`N × D`), `N × K`, and `ln p(x)` per row. For inspection and
    /// tests; the pipeline never forms this array for a whole image.
    ///
    /// # Errors
    /// [`Error::Shape`] when `D` is not the mixture's, [`Error::Numerical`] on NaN or infinity.
    pub fn posteriors(&self, rows: ArrayView2<'_, f32>) -> Result<(Array2<f32>, Vec<f64>)> {
        let mut gamma = Array2::zeros((rows.nrows(), self.components()));
        let mut log_likelihood = Vec::with_capacity(rows.nrows());
        let mut scratch = Scratch::default();
        for start in (0..rows.nrows()).step_by(BLOCK_ROWS) {
            let end = (start + BLOCK_ROWS).min(rows.nrows());
            let block = self.evaluate(rows.slice(s![start..end, ..]), &mut scratch)?;
            gamma.slice_mut(s![start..end, ..]).assign(&block.posteriors);
            log_likelihood.extend_from_slice(block.log_likelihood);
        }
        Ok((gamma, log_likelihood))
    }

    /// Evaluates one block of at most [`BLOCK_ROWS`] rows.
    pub(super) fn evaluate<'s>(
        &self,
        rows: ArrayView2<'s, f32>,
        scratch: &'s mut Scratch,
    ) -> Result<Block<'s>> {
        let (n, k, d) = (rows.nrows(), self.components(), self.dim());
        if rows.ncols() != d {
            return Err(Error::Shape {
                what: "descriptors for a mixture",
                expected: d,
                got: rows.ncols(),
            });
        }
        assert!(n <= BLOCK_ROWS, "a block has at most BLOCK_ROWS rows");
        scratch.fit(k, d);
        let mut features = scratch.features.slice_mut(s![..n, ..]);
        let mut values: &'s [f32] = rows.to_slice().expect("descriptors are row-major");
        let inside =
            self.standardise(values, features.as_slice_mut().expect("leading rows are contiguous"));
        if !inside {
            self.clamp(values, &mut scratch.clamped);
            values = &scratch.clamped;
        }

        let mut logits = scratch.posteriors.slice_mut(s![..n, ..]);
        let log_likelihood = &mut scratch.log_likelihood[..n];
        let sharp = self.sharp.components().len();
        if sharp < k {
            linalg::multiply(logits.view_mut(), features.view(), self.coefficients.view());
            let logits = logits.as_slice_mut().expect("leading rows are contiguous");
            linalg::softmax_rows(logits, &self.constants, log_likelihood);
            log_likelihood.iter_mut().for_each(|value| *value += self.log_jacobian);
        } else {
            logits.fill(0.0);
            log_likelihood.fill(f64::NEG_INFINITY);
        }
        if sharp > 0 {
            let posteriors = logits.as_slice_mut().expect("leading rows are contiguous");
            let squares = &mut scratch.squares;
            self.sharp.join(values, &self.inverse_scale, squares, posteriors, log_likelihood);
        }
        if let Some(row) = log_likelihood.iter().position(|value| !value.is_finite()) {
            return Err(Error::Numerical {
                what: "posteriors",
                problem: format!("descriptor {row} of a block has a NaN or an infinity"),
            });
        }
        Ok(Block {
            rows: values,
            features: features.into_shape_with_order((n, 2 * d)).expect("same shape").into_view(),
            posteriors: logits,
            log_likelihood,
            sums: &mut scratch.sums,
        })
    }

    /// `[y², y]` for every row; false when a value was clamped.
    fn standardise(&self, rows: &[f32], features: &mut [f32]) -> bool {
        let d = self.dim();
        let (centre, inverse_scale) = (&self.centre_f32[..], &self.inverse_scale[..]);
        let largest = widest!(<'a> |rows: &'a [f32], features: &'a mut [f32], d: usize, centre: &'a [f32], inverse_scale: &'a [f32]| -> u32 {
            // Bits of positive floats are in the order of the floats, and the largest integer of many
            // is a vector operation.
            let mut largest = 0u32;
            for (row, out) in rows.chunks_exact(d).zip(features.chunks_exact_mut(2 * d)) {
                let (squares, plain) = out.split_at_mut(d);
                for j in 0..d {
                    let y = ((row[j] - centre[j]) * inverse_scale[j])
                        .clamp(-LARGEST_STANDARDISED, LARGEST_STANDARDISED);
                    plain[j] = y;
                    squares[j] = y * y;
                    largest = largest.max(y.abs().to_bits());
                }
            }
            largest
        });
        largest < LARGEST_STANDARDISED.to_bits()
    }

    /// The rows with standardised values of at most [`LARGEST_STANDARDISED`].
    fn clamp(&self, rows: &[f32], clamped: &mut Vec<f32>) {
        clamped.clear();
        for row in rows.chunks_exact(self.dim()) {
            let values = row.iter().zip(&self.centre_f32).zip(&self.inverse_scale);
            clamped.extend(values.map(|((&x, &centre), &inverse)| {
                let reach = LARGEST_STANDARDISED / inverse;
                // Where these are no numbers, the posteriors name the descriptor.
                x.max(centre - reach).min(centre + reach)
            }));
        }
    }
}

/// `1/s` for the power of two `s` that is nearest to `value`, among those whose inverse is an f32
/// number.
pub(crate) fn inverse_power_of_two(value: f64) -> f32 {
    (-value.log2().round().clamp(-125.0, 125.0)).exp2() as f32
}

trait IntoView<'a> {
    fn into_view(self) -> ArrayView2<'a, f32>;
}

impl<'a> IntoView<'a> for ArrayViewMut2<'a, f32> {
    /// A shared view with the full lifetime of the exclusive one it consumes.
    fn into_view(self) -> ArrayView2<'a, f32> {
        let dim = self.dim();
        let values: &'a [f32] = self.into_slice().expect("leading rows are contiguous");
        ArrayView2::from_shape(dim, values).expect("same shape")
    }
}
