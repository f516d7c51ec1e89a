//! The layer: a Fisher vector of an image's projected descriptors, and its derivative.
//!
//! With `y` the descriptors (`N × D`) in the mixture's standardised coordinates, `μ, σ²` (`K × D`) the
//! mixture in the same, `γ` (`N × K`) the posteriors and `c_k = 1/(N √w_k)`, as in [`crate::encoding`]
//! (the `1/√(N w_k)` of Korsch et al. differs by `√N`, which unit length removes):
//!
//! ```text
//! A = γᵀy   B = γᵀy²   n = γᵀ1
//! F_μ = c (A − nμ)/σ          F_σ = c/√2 ((B − 2μA + nμ²)/σ² − n)                     eq. 13, 14
//!
//! G = ∂L/∂F   P = c G_μ/σ − √2 c G_σ μ/σ²   Q = √2 c G_σ/σ²
//! q_nk = ∂L/∂γ_nk = y_n·P_k + y²_n·Q_k/2 + Σ_d (−c G_μ μ/σ + c/√2 G_σ (μ²/σ² − 1))
//! s_nk = γ_nk (q_nk − Σ_l γ_nl q_nl)                                                   eq. 17, summed over k
//! ∂L/∂y = γP + s(μ/σ²) + y ∘ (γQ − s(1/σ²))                                            eq. 15, 16
//! ```
//!
//! Products of `[y², y]` (`N × 2D`) with the mixture's coefficients do the work of six of size `N·K·D`:
//! one gives the posteriors, one the sums, one `q`, one the derivative. Nothing of size `N × K × D` is
//! formed. The mixture is a constant of the derivative, as in the paper: batches move it by EM.
//!
//! Coordinates: `y = (h − m)/s` with the mixture's mean `m` and, as a power of two, its deviation `s`.
//! F does not change with them, and f32 products lose few digits. A component a thousand times narrower
//! than the mixture loses digits here all the same; vectors that are kept are made by
//! [`crate::encoding`], which does not.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip, s};

use super::float::Float;
use crate::gmm::{Mixture, inverse_power_of_two};
use crate::linalg;

/// A mixture made ready for forward and backward passes. Shared between threads.
#[derive(Debug, Clone)]
pub struct Layer<T> {
    /// `m` and `1/s`, in f64 for the way back to the mixture.
    centre: Vec<f64>,
    inverse_scale: Vec<f64>,
    /// `μ`, `1/σ²` and `1/σ`, `K × D`.
    means: Array2<T>,
    inverse_variances: Array2<T>,
    inverse_deviations: Array2<T>,
    /// `1/√w_k`.
    inverse_roots: Vec<T>,
    /// `2D × K`: `−½/σ²` above `μ/σ²`.
    coefficients: Array2<T>,
    /// `ln w_k − ½ Σ_d (ln 2πσ² + μ²/σ²)`.
    constants: Array1<T>,
    /// `2K × 2D`: rows of `k`: what is filled in for each gradient; below: `[−1/σ², μ/σ²]`.
    of_posteriors: Array2<T>,
    log_jacobian: f64,
}

/// What one image gave.
#[derive(Debug, Clone)]
pub struct Passed<T> {
    /// `[y², y]`, `N × 2D`.
    features: Array2<T>,
    /// `γ`, `N × K`.
    posteriors: Array2<T>,
    /// `[B, A]`, `K × 2D`.
    sums: Array2<T>,
    /// `n`, `K`.
    masses: Array1<T>,
    /// `[F_μ, F_σ]`, `2KD` values, as [`crate::encoding::Layout`] of orders 1 and 2.
    pub gradients: Array1<T>,
    /// Sum over rows of `ln p(h)`.
    pub log_likelihood: f64,
}

/// Sums of posteriors over a batch, in a layer's coordinates: all that EM needs.
#[derive(Debug, Clone)]
pub struct BatchSums {
    masses: Array1<f64>,
    sums: Array2<f64>,
    rows: usize,
}

impl<T: Float> Layer<T> {
    /// The layer of a mixture with positive weights.
    pub fn new(mixture: &Mixture) -> Self {
        let (k, d) = mixture.means.dim();
        let [centre, variance] = mixture.moments();
        let unit = |variance: &f64| f64::from(inverse_power_of_two(variance.sqrt()));
        let inverse_scale: Vec<f64> = variance.iter().map(unit).collect();
        let at = |array: &Array2<f64>, f: &dyn Fn(f64, usize) -> f64| {
            Array2::from_shape_fn((k, d), |(i, j)| T::of(f(array[[i, j]], j)))
        };
        let standard = |mean: f64, j: usize| (mean - centre[j]) * inverse_scale[j];
        let narrow = |v: f64, j: usize| v * inverse_scale[j] * inverse_scale[j];
        let means = at(&mixture.means, &standard);
        let inverse_variances = at(&mixture.variances, &|v, j| 1.0 / narrow(v, j));
        let inverse_deviations = at(&mixture.variances, &|v, j| 1.0 / narrow(v, j).sqrt());
        let mut coefficients = Array2::from_elem((2 * d, k), T::of(0.0));
        let mut of_posteriors = Array2::from_elem((2 * k, 2 * d), T::of(0.0));
        for i in 0..k {
            for j in 0..d {
                let precision = inverse_variances[[i, j]];
                coefficients[[j, i]] = T::of(-0.5) * precision;
                coefficients[[d + j, i]] = means[[i, j]] * precision;
                of_posteriors[[k + i, j]] = -precision;
                of_posteriors[[k + i, d + j]] = means[[i, j]] * precision;
            }
        }
        let constant = |i: usize| {
            let of_dimension = |j: usize| {
                let variance = narrow(mixture.variances[[i, j]], j);
                (std::f64::consts::TAU * variance).ln()
                    + standard(mixture.means[[i, j]], j).powi(2) / variance
            };
            let sum: f64 = (0..d).map(of_dimension).sum();
            T::of(mixture.weights[i].ln() - 0.5 * sum)
        };
        Self {
            constants: (0..k).map(constant).collect(),
            inverse_roots: mixture.weights.iter().map(|w| T::of(1.0 / w.sqrt())).collect(),
            log_jacobian: inverse_scale.iter().map(|s| s.ln()).sum(),
            centre,
            inverse_scale,
            means,
            inverse_variances,
            inverse_deviations,
            coefficients,
            of_posteriors,
        }
    }

    /// Components and dimensions.
    pub fn dim(&self) -> (usize, usize) {
        self.means.dim()
    }

    /// Values of a vector, `2KD`.
    pub fn len(&self) -> usize {
        2 * self.means.len()
    }

    /// Whether it makes vectors without values.
    pub fn is_empty(&self) -> bool {
        self.means.is_empty()
    }

    /// Encodes the `rows` of one image (`N × D`); without any, all values are 0.
    ///
    /// # Panics
    /// When `D` is not the mixture's.
    pub fn forward(&self, rows: ArrayView2<'_, T>) -> Passed<T> {
        let ((k, d), n) = (self.dim(), rows.nrows());
        assert_eq!(rows.ncols(), d, "values of a projected descriptor");
        let zero = T::of(0.0);
        let mut features = Array2::from_elem((n, 2 * d), zero);
        for (row, mut out) in rows.rows().into_iter().zip(features.rows_mut()) {
            for j in 0..d {
                let y = (row[j] - T::of(self.centre[j])) * T::of(self.inverse_scale[j]);
                out[j] = y * y;
                out[d + j] = y;
            }
        }
        let mut posteriors = Array2::from_elem((n, k), zero);
        let mut sums = Array2::from_elem((k, 2 * d), zero);
        let mut log_likelihood = 0.0;
        if n > 0 {
            linalg::multiply(posteriors.view_mut(), features.view(), self.coefficients.view());
            for mut row in posteriors.rows_mut() {
                log_likelihood += softmax(&mut row, self.constants.view());
            }
            log_likelihood += n as f64 * self.log_jacobian;
            linalg::multiply(sums.view_mut(), posteriors.t(), features.view());
        }
        let masses = posteriors.sum_axis(Axis(0));
        let gradients = self.gradients(&sums, &masses, n);
        Passed { features, posteriors, sums, masses, gradients, log_likelihood }
    }

    /// `1/(N √w_k)`.
    fn divisor(&self, k: usize, rows: usize) -> T {
        self.inverse_roots[k] / T::of(rows.max(1) as f64)
    }

    fn gradients(&self, sums: &Array2<T>, masses: &Array1<T>, rows: usize) -> Array1<T> {
        let (k, d) = self.dim();
        let (two, half_root) = (T::of(2.0), T::of(0.5f64.sqrt()));
        let mut out = Array1::from_elem(self.len(), T::of(0.0));
        for i in 0..k {
            let (c, n) = (self.divisor(i, rows), masses[i]);
            for j in 0..d {
                let (b, a, mean) = (sums[[i, j]], sums[[i, d + j]], self.means[[i, j]]);
                out[i * d + j] = c * (a - n * mean) * self.inverse_deviations[[i, j]];
                let spread =
                    (b - two * mean * a + n * mean * mean) * self.inverse_variances[[i, j]];
                out[(k + i) * d + j] = c * half_root * (spread - n);
            }
        }
        out
    }

    /// `∂L/∂h` (`N × D`) of an image from `∂L/∂F` (`2KD` values).
    ///
    /// # Panics
    /// When the number of values is not that of a vector.
    pub fn backward(&self, passed: &Passed<T>, of_gradients: ArrayView1<'_, T>) -> Array2<T> {
        let ((k, d), n) = (self.dim(), passed.features.nrows());
        assert_eq!(of_gradients.len(), self.len(), "derivatives of a vector");
        let zero = T::of(0.0);
        if n == 0 {
            return Array2::from_elem((0, d), zero);
        }
        let (half, root) = (T::of(0.5), T::of(2.0f64.sqrt()));
        // [Q/2, P] transposed, for q; [Q, P] above what is constant, for the derivative.
        let mut of_rows = Array2::from_elem((2 * d, k), zero);
        let mut of_posteriors = self.of_posteriors.clone();
        let mut constants = Array1::from_elem(k, zero);
        for i in 0..k {
            let c = self.divisor(i, n);
            for j in 0..d {
                let (mean, precision) = (self.means[[i, j]], self.inverse_variances[[i, j]]);
                let first = c * of_gradients[i * d + j] * self.inverse_deviations[[i, j]];
                let second = c * of_gradients[(k + i) * d + j] / root;
                let (p, q) = (
                    first - T::of(2.0) * second * mean * precision,
                    T::of(2.0) * second * precision,
                );
                of_rows[[j, i]] = half * q;
                of_rows[[d + j, i]] = p;
                of_posteriors[[i, j]] = q;
                of_posteriors[[i, d + j]] = p;
                constants[i] += second * (mean * mean * precision - T::of(1.0)) - first * mean;
            }
        }
        // [γ, s].
        let mut both = Array2::from_elem((n, 2 * k), zero);
        let mut q = Array2::from_elem((n, k), zero);
        linalg::multiply(q.view_mut(), passed.features.view(), of_rows.view());
        for ((mut both, gamma), q) in
            both.rows_mut().into_iter().zip(passed.posteriors.rows()).zip(q.rows_mut())
        {
            let q = &q + &constants;
            let mean = gamma.dot(&q);
            for i in 0..k {
                both[i] = gamma[i];
                both[k + i] = gamma[i] * (q[i] - mean);
            }
        }
        let mut parts = Array2::from_elem((n, 2 * d), zero);
        linalg::multiply(parts.view_mut(), both.view(), of_posteriors.view());
        let mut out = Array2::from_elem((n, d), zero);
        let y = passed.features.slice(s![.., d..]);
        Zip::from(out.rows_mut()).and(parts.rows()).and(y.rows()).for_each(|mut out, parts, y| {
            for j in 0..d {
                let scale = T::of(self.inverse_scale[j]);
                out[j] = (parts[d + j] + y[j] * parts[j]) * scale;
            }
        });
        out
    }
}

impl<T: Float> Passed<T> {
    /// Adds what this image gives EM.
    pub fn add_to(&self, batch: &mut BatchSums) {
        Zip::from(&mut batch.masses).and(&self.masses).for_each(|to, value| *to += value.wide());
        Zip::from(&mut batch.sums).and(&self.sums).for_each(|to, value| *to += value.wide());
        batch.rows += self.features.nrows();
    }
}

impl BatchSums {
    /// Of no rows yet.
    pub fn new((k, d): (usize, usize)) -> Self {
        Self { masses: Array1::zeros(k), sums: Array2::zeros((k, 2 * d)), rows: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What one step of EM makes of `mixture`, that of `layer`, on these rows (eq. 3–5). `floor` is the
    /// smallest variance, as a share of the rows' in the same dimension. A component that explains less
    /// than one row keeps its mean and variance, and a weight that it can come back from.
    pub fn maximisation<T: Float>(
        &self,
        layer: &Layer<T>,
        mixture: &Mixture,
        floor: f64,
    ) -> Mixture {
        let (k, d) = mixture.means.dim();
        let n = self.rows.max(1) as f64;
        let mut new = mixture.clone();
        let total = self.sums.sum_axis(Axis(0));
        for i in 0..k {
            let mass = self.masses[i];
            new.weights[i] = mass.max(1.0) / n;
            if mass < 1.0 {
                continue;
            }
            for j in 0..d {
                let of_rows = total[j] / n - (total[d + j] / n).powi(2);
                let mean = self.sums[[i, d + j]] / mass;
                let variance = self.sums[[i, j]] / mass - mean * mean;
                let scale = 1.0 / layer.inverse_scale[j];
                // A dimension that does not vary has no share: its variance stays positive all the same.
                let least = (floor * of_rows).max(f64::from(f32::EPSILON));
                new.means[[i, j]] = layer.centre[j] + scale * mean;
                new.variances[[i, j]] = scale * scale * variance.max(least);
            }
        }
        let sum: f64 = new.weights.iter().sum();
        new.weights.iter_mut().for_each(|w| *w /= sum);
        new
    }
}

/// Softmax of a row after `constants` are added; returns the logarithm of its divisor.
fn softmax<T: Float>(row: &mut ndarray::ArrayViewMut1<'_, T>, constants: ArrayView1<'_, T>) -> f64 {
    let mut largest = T::neg_infinity();
    Zip::from(&mut *row).and(constants).for_each(|value, &constant| {
        *value += constant;
        largest = largest.max(*value);
    });
    let mut sum = T::of(0.0);
    row.mapv_inplace(|value| {
        let e = (value - largest).exp();
        sum += e;
        e
    });
    row.mapv_inplace(|value| value / sum);
    largest.wide() + sum.wide().ln()
}
