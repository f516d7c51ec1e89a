//! Mixtures of factor analysers: Gaussians whose covariances are a diagonal and a few factors.
//!
//! ```text
//! p(x) = Σ_k w_k N(x; μ_k, Σ_k)      Σ_k = Λ_k Λ_kᵀ + Ψ_k      Λ_k: D × q, Ψ_k diagonal
//! ```
//!
//! In coordinates in which a component is white (`k` left out),
//!
//! ```text
//! u = Ψ^{−½} (x − μ)      y = (I + V Vᵀ)^{−½} u      V = Ψ^{−½} Λ
//! ```
//!
//! the parts of the vector are those of a diagonal mixture, and one more:
//!
//! | order | column | derivative by | information |
//! |---|---|---|---|
//! | 1 | `γ y_d` | the mean, moved along axis `d` of the component | `w` |
//! | 2 | `γ (y_d² − 1)/2` | the logarithm of the variance along that axis | `w/2` |
//! | 3 | `γ (a bᵀ − Σ⁻¹Λ)_dj`, `a = Σ⁻¹(x − μ)`, `b = Λᵀa` | the loading `Λ_dj` | `w ((Σ⁻¹)_dd (ΛᵀΣ⁻¹Λ)_jj + (Σ⁻¹Λ)²_dj)` |
//!
//! The axes are the columns of `Ψ^{½} (I + V Vᵀ)^{½}`: among all in which the component is white those
//! nearest to the dimensions of the row, unique for any `Λ`, and the dimensions themselves where `Λ = 0`; then
//! the vector is that of the diagonal mixture. (An eigenbasis would not be unique where eigenvalues are
//! equal.) The information of order 3 is the variance of `a_d b_j`, jointly normal with `cov(a, b) = Σ⁻¹Λ`.
//! With `V R` for `V`, `R` an orthonormal `q × q` that makes `(VR)ᵀ(VR) = diag(s²)`, and `r² = 1 + s²`:
//!
//! ```text
//! t = (VR)ᵀ u      y = u − VR (t / (r (r + 1)))      Σ⁻¹(x − μ) = Ψ^{−½} (u − VR (t / r²))
//! (x − μ)ᵀ Σ⁻¹ (x − μ) = ‖u‖² − Σ_j t_j²/r_j²      ln |Σ| = Σ_d ln ψ_d + Σ_j ln r_j²
//! ```
//!
//! so that a row costs `D q` under each component, and no `D × D` matrix is formed. Source: GH97, DV16 in
//! `docs/REFERENCES.md`.

pub mod em;
mod turned;

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::laplace::checked;
use super::parts::Parts;
use super::scratch::Products;
use super::traits::Components;
use crate::error::{Error, Result};
use crate::gmm::Family;
use crate::linalg::multiply;
use crate::random::Stream;
use crate::widest;
use turned::Turned;

/// A mixture of factor analysers. Weights sum to 1, `Ψ` is positive.
#[derive(Debug, Clone)]
pub struct FactorAnalysers {
    weights: Vec<f32>,
    means: Array2<f32>,
    /// `Λ`, `K × D·q`: dimension by dimension.
    loadings: Array2<f32>,
    /// `Ψ`, `K × D`.
    noise: Array2<f32>,
    /// Each component ready for its rows.
    components: Vec<Turned>,
    /// The mixture's mean, which rows are taken off before products.
    centre: Vec<f64>,
    /// `2D × K`: `−½/ψ` above `(μ − c)/ψ`.
    coefficients: Array2<f64>,
    /// `D × K·q`: `Ψ^{−½} VR / r`, and that times `μ − c`.
    directions: Array2<f64>,
    offsets: Vec<f64>,
    /// `ln w_k` and the logarithm of the density at the mean, without `½(μ − c)ᵀΨ⁻¹(μ − c)`.
    constants: Vec<f64>,
}

impl FactorAnalysers {
    /// A mixture of `weights` (`K`, scaled to sum to 1), `means` (`K × D`), `loadings` (`K × D·q`, dimension
    /// by dimension) and `noise` (`K × D`, the variances `Ψ`).
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Numerical`] when a weight is negative, a variance
    /// not positive, or any value not finite.
    ///
    /// ```
    /// use ndarray::array;
    /// // One component in two dimensions, which go together.
    /// let means = array![[0.0, 0.0]];
    /// let model = fvtool::generative::FactorAnalysers::new(
    ///     vec![1.0], means, array![[1.0, 1.0]], array![[0.5, 0.5]],
    /// )?;
    /// assert_eq!(model.factors(), 1);
    /// # Ok::<(), fvtool::Error>(())
    /// ```
    pub fn new(
        weights: Vec<f32>,
        means: Array2<f32>,
        loadings: Array2<f32>,
        noise: Array2<f32>,
    ) -> Result<Self> {
        let [means, loadings, noise] =
            [means, loadings, noise].map(|array| array.as_standard_layout().into_owned());
        let weights = checked(weights, &means, [("variances of a mixture", &noise)])?;
        let (k, d) = means.dim();
        let q = loadings.ncols() / d;
        for (what, expected, got) in [
            ("loadings of a mixture (components)", k, loadings.nrows()),
            ("loadings of a mixture (values)", q.max(1) * d, loadings.ncols()),
        ] {
            if expected != got {
                return Err(Error::Shape { what, expected, got });
            }
        }
        if !loadings.iter().all(|value| value.is_finite()) {
            let problem = "loadings must be finite".into();
            return Err(Error::Numerical { what: "mixture", problem });
        }
        let wide = |values: ndarray::ArrayView1<'_, f32>| values.mapv(f64::from).to_vec();
        let components = (0..k)
            .map(|i| Turned::new(&wide(loadings.row(i)), &wide(noise.row(i))))
            .collect::<Result<Vec<Turned>>>()?;
        let mut centre = vec![0.0; d];
        for (&weight, means) in weights.iter().zip(means.rows()) {
            let add = |(c, &m): (&mut f64, &f32)| *c += f64::from(weight) * f64::from(m);
            centre.iter_mut().zip(means).for_each(add);
        }
        let mut coefficients = Array2::zeros((2 * d, k));
        let mut directions = Array2::zeros((d, k * q));
        let (mut offsets, mut constants) = (vec![0.0; k * q], Vec::with_capacity(k));
        for (i, component) in components.iter().enumerate() {
            let log = f64::from(weights[i]).ln();
            let mut constant = log - 0.5 * d as f64 * std::f64::consts::TAU.ln();
            constant -= 0.5 * component.log_determinant();
            for j in 0..d {
                let apart = f64::from(means[[i, j]]) - centre[j];
                let root = component.inverse_roots[j];
                coefficients[[j, i]] = -0.5 * root * root;
                coefficients[[d + j, i]] = apart * root * root;
                constant -= 0.5 * (apart * root).powi(2);
                for (f, r) in component.norms.iter().enumerate() {
                    let direction = root * component.turned[f * d + j] / r;
                    directions[[j, i * q + f]] = direction;
                    offsets[i * q + f] += direction * apart;
                }
            }
            constants.push(constant);
        }
        Ok(Self {
            weights,
            means,
            loadings,
            noise,
            components,
            centre,
            coefficients,
            directions,
            offsets,
            constants,
        })
    }

    /// Weights `w_k`, summing to 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Means `μ_kd`, `K × D`.
    pub fn means(&self) -> ArrayView2<'_, f32> {
        self.means.view()
    }

    /// Loadings `Λ`, `K × D·q`: dimension by dimension.
    pub fn loadings(&self) -> ArrayView2<'_, f32> {
        self.loadings.view()
    }

    /// Variances `Ψ`, `K × D`.
    pub fn noise(&self) -> ArrayView2<'_, f32> {
        self.noise.view()
    }

    /// Factors `q`.
    pub fn factors(&self) -> usize {
        self.loadings.ncols() / self.means.ncols()
    }

    /// The mean of a component in f64.
    fn mean(&self, component: usize) -> Vec<f64> {
        self.means.row(component).mapv(f64::from).to_vec()
    }
}

impl Components for FactorAnalysers {
    fn parts(&self) -> Parts {
        let (components, dim) = self.means.dim();
        Parts { family: Family::FactorAnalysers, components, dim, factors: self.factors() }
    }

    fn weight(&self, component: usize) -> f64 {
        f64::from(self.weights[component])
    }

    fn log_joint(&self, rows: ArrayView2<'_, f64>, products: &mut Products, out: &mut [f64]) {
        let (n, d) = rows.dim();
        let (k, q) = (self.weights.len(), self.factors());
        let [centred, features, projected, ..] = &mut products.0;
        centred.resize(n * d, 0.0);
        features.resize(n * 2 * d, 0.0);
        projected.resize(n * k * q, 0.0);
        let values = rows.to_slice().expect("a block is row-major");
        let each = values.chunks_exact(d).zip(centred.chunks_exact_mut(d));
        for ((row, centred), features) in each.zip(features.chunks_exact_mut(2 * d)) {
            let (squares, plain) = features.split_at_mut(d);
            for j in 0..d {
                let x = row[j] - self.centre[j];
                centred[j] = x;
                squares[j] = x * x;
                plain[j] = x;
            }
        }
        let same = "sized above";
        let features = ArrayView2::from_shape((n, 2 * d), features).expect(same);
        let centred = ArrayView2::from_shape((n, d), centred).expect(same);
        let logs = ArrayViewMut2::from_shape((n, k), &mut *out).expect("B × K values");
        multiply(logs, features, self.coefficients.view());
        let to = ArrayViewMut2::from_shape((n, k * q), &mut projected[..]).expect(same);
        multiply(to, centred, self.directions.view());
        for (projected, out) in projected.chunks_exact(k * q).zip(out.chunks_exact_mut(k)) {
            let of_components = projected.chunks_exact(q).zip(self.offsets.chunks_exact(q));
            for (((projected, offsets), out), constant) in
                of_components.zip(out).zip(&self.constants)
            {
                let square = |(t, offset): (&f64, &f64)| (t - offset).powi(2);
                let squares: f64 = projected.iter().zip(offsets).map(square).sum();
                *out += constant + 0.5 * squares;
            }
        }
    }

    fn scores(
        &self,
        component: usize,
        rows: &[f64],
        gammas: &[f32],
        orders: &[u8],
        out: &mut [f64],
    ) {
        let (d, q) = (self.means.ncols(), self.factors());
        let mean = self.mean(component);
        let component = &self.components[component];
        let parts = Components::parts(self);
        let width: usize = orders.iter().map(|&order| parts.width(order)).sum();
        let (mut white, mut dual, mut of_factors) = (vec![0.0; d], vec![0.0; d], vec![0.0; q]);
        for ((row, &gamma), out) in
            rows.chunks_exact(d).zip(gammas).zip(out.chunks_exact_mut(width))
        {
            component.whiten(row, &mean, &mut white, &mut dual);
            let (gamma, mut rest) = (f64::from(gamma), out);
            for &order in orders {
                let (to, after) = rest.split_at_mut(parts.width(order));
                rest = after;
                match order {
                    1 => to.iter_mut().zip(&white).for_each(|(to, y)| *to = gamma * y),
                    2 => {
                        let half = 0.5 * gamma;
                        to.iter_mut().zip(&white).for_each(|(to, y)| *to = half * (y * y - 1.0));
                    }
                    _ => {
                        component.onto_factors(&dual, &mut of_factors);
                        let (dual, of_factors) = (&dual[..], &of_factors[..]);
                        let expected = &component.dual_loadings[..];
                        widest!(<'a> |to: &'a mut [f64], dual: &'a [f64], of_factors: &'a [f64], expected: &'a [f64], gamma: f64| -> () {
                            let q = of_factors.len();
                            for ((to, a), expected) in to.chunks_exact_mut(q).zip(dual).zip(expected.chunks_exact(q)) {
                                for ((to, b), expected) in to.iter_mut().zip(of_factors).zip(expected) {
                                    *to = gamma * (a * b - expected);
                                }
                            }
                        });
                    }
                }
            }
        }
    }

    fn information(&self, component: usize, order: u8, out: &mut [f64]) {
        let weight = self.weight(component);
        match order {
            1 => out.fill(weight),
            2 => out.fill(weight / 2.0),
            _ => {
                self.components[component].information(out);
                out.iter_mut().for_each(|out| *out *= weight);
            }
        }
    }

    fn draw_row(&self, component: usize, stream: &mut Stream, row: &mut [f32]) {
        let q = self.factors();
        let factors: Vec<f64> = (0..q).map(|_| stream.normal()).collect();
        let (means, noise) = (self.means.row(component), self.noise.row(component));
        let loadings = self.loadings.row(component);
        let loadings = loadings.to_slice().expect("a model's arrays are row-major");
        for (j, value) in row.iter_mut().enumerate() {
            let along = loadings[j * q..(j + 1) * q].iter().zip(&factors);
            let common: f64 = along.map(|(&loading, z)| f64::from(loading) * z).sum();
            let own = f64::from(noise[j]).sqrt() * stream.normal();
            *value = (f64::from(means[j]) + common + own) as f32;
        }
    }
}
