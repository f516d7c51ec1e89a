//! Mixtures of Laplace distributions, one for each dimension of a component.
//!
//! ```text
//! p(x) = Σ_k w_k Π_d 1/(2 b_kd) exp(−|x_d − m_kd| / b_kd)
//! ∂/∂m_kd = γ_k sign(x_d − m_kd) / b_kd              information w_k / b²_kd
//! ∂/∂b_kd = γ_k (|x_d − m_kd| / b²_kd − 1 / b_kd)    information w_k / b²_kd
//! ```
//!
//! Where `x_d = m_kd` the derivative by `m` is 0. Scaled by the information, a row is worth `±1` in order 1
//! however far it lies, and in order 2 as far as it lies, not the square: outliers say less than under
//! Gaussians. Source: KLSW15 in `docs/REFERENCES.md` (there one half of a hybrid).

pub mod em;

use ndarray::{Array2, ArrayView2};

use super::parts::Parts;
use super::scratch::Products;
use super::traits::Components;
use crate::error::{Error, Result};
use crate::gmm::Family;
use crate::random::Stream;
use crate::widest;

/// A mixture of Laplace distributions. Weights sum to 1, scales are positive.
#[derive(Debug, Clone)]
pub struct Laplace {
    weights: Vec<f32>,
    locations: Array2<f32>,
    scales: Array2<f32>,
    /// The same in f64, `K × D`: `m`, `1/b`, and `ln w_k − Σ_d ln 2b_kd`.
    wide_locations: Vec<f64>,
    inverse_scales: Vec<f64>,
    constants: Vec<f64>,
}

impl Laplace {
    /// A mixture of `weights` (`K`, scaled to sum to 1), `locations` `m` and `scales` `b` (`K × D`).
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Numerical`] when a weight is negative, a scale not
    /// positive, or any value not finite.
    ///
    /// ```
    /// use ndarray::array;
    /// let model = fvtool::generative::Laplace::new(vec![3.0, 1.0], array![[0.0], [2.0]], array![[1.0], [4.0]])?;
    /// assert_eq!(model.weights(), [0.75, 0.25]);
    /// # Ok::<(), fvtool::Error>(())
    /// ```
    pub fn new(weights: Vec<f32>, locations: Array2<f32>, scales: Array2<f32>) -> Result<Self> {
        let [locations, scales] =
            [locations, scales].map(|array| array.as_standard_layout().into_owned());
        let weights = checked(weights, &locations, [("scales of a mixture", &scales)])?;
        let wide_locations = locations.iter().copied().map(f64::from).collect();
        let inverse_scales = scales.iter().map(|&b| f64::from(b).recip()).collect();
        let constant = |(&weight, scales): (&f32, ndarray::ArrayView1<'_, f32>)| {
            let logs = scales.into_iter().map(|&b| (2.0 * f64::from(b)).ln());
            f64::from(weight).ln() - logs.sum::<f64>()
        };
        let constants = weights.iter().zip(scales.rows()).map(constant).collect();
        Ok(Self { weights, locations, scales, wide_locations, inverse_scales, constants })
    }

    /// Weights `w_k`, summing to 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Locations `m_kd`, `K × D`.
    pub fn locations(&self) -> ArrayView2<'_, f32> {
        self.locations.view()
    }

    /// Scales `b_kd`, `K × D`; the variance is `2b²`.
    pub fn scales(&self) -> ArrayView2<'_, f32> {
        self.scales.view()
    }
}

/// Weights scaled to sum to 1, where they, `means` and positive `others` of the same shape make a mixture.
pub(super) fn checked<const N: usize>(
    weights: Vec<f32>,
    means: &Array2<f32>,
    others: [(&'static str, &Array2<f32>); N],
) -> Result<Vec<f32>> {
    let shape = |what, expected, got| {
        if expected == got { Ok(()) } else { Err(Error::Shape { what, expected, got }) }
    };
    shape("weights of a mixture", means.nrows(), weights.len())?;
    for (what, other) in others {
        shape(what, means.nrows(), other.nrows())?;
        shape(what, means.ncols(), other.ncols())?;
    }
    let positive = |array: &Array2<f32>| array.iter().all(|v| v.is_finite() && *v > 0.0);
    let sum: f64 = weights.iter().copied().map(f64::from).sum();
    let valid = means.ncols() > 0
        && weights.iter().all(|w| w.is_finite() && *w >= 0.0)
        && means.iter().all(|m| m.is_finite())
        && others.iter().all(|(_, other)| positive(other))
        && sum > 0.0;
    if !valid {
        let problem = "weights must be 0 or more with a positive sum, scales and variances positive, all \
                       values finite";
        return Err(Error::Numerical { what: "mixture", problem: problem.into() });
    }
    Ok(weights.iter().map(|&w| (f64::from(w) / sum) as f32).collect())
}

impl Components for Laplace {
    fn parts(&self) -> Parts {
        let (components, dim) = self.locations.dim();
        Parts { family: Family::Laplace, components, dim, factors: 0 }
    }

    fn weight(&self, component: usize) -> f64 {
        f64::from(self.weights[component])
    }

    fn log_joint(&self, rows: ArrayView2<'_, f64>, _: &mut Products, out: &mut [f64]) {
        /// Sums beside each other, so that they are vectors.
        const SUMS: usize = 8;
        let d = rows.ncols();
        let rows = rows.to_slice().expect("a block is row-major");
        let (means, inverse) = (&self.wide_locations[..], &self.inverse_scales[..]);
        let constants = &self.constants[..];
        widest!(<'a> |rows: &'a [f64], d: usize, means: &'a [f64], inverse: &'a [f64], constants: &'a [f64], out: &'a mut [f64]| -> () {
            for (row, out) in rows.chunks_exact(d).zip(out.chunks_exact_mut(constants.len())) {
                let components = means.chunks_exact(d).zip(inverse.chunks_exact(d)).zip(constants);
                for (((means, inverse), constant), out) in components.zip(out) {
                    let mut sums = [0.0f64; SUMS];
                    let whole = d / SUMS * SUMS;
                    for start in (0..whole).step_by(SUMS) {
                        for (lane, sum) in sums.iter_mut().enumerate() {
                            let j = start + lane;
                            *sum += (row[j] - means[j]).abs() * inverse[j];
                        }
                    }
                    for j in whole..d {
                        sums[j - whole] += (row[j] - means[j]).abs() * inverse[j];
                    }
                    *out = constant - sums.iter().sum::<f64>();
                }
            }
        });
    }

    fn scores(
        &self,
        component: usize,
        rows: &[f64],
        gammas: &[f32],
        orders: &[u8],
        out: &mut [f64],
    ) {
        let d = self.locations.ncols();
        let places = component * d..(component + 1) * d;
        let (means, inverse) = (&self.wide_locations[places.clone()], &self.inverse_scales[places]);
        let [first, second] = [1, 2].map(|order| orders.contains(&order));
        widest!(<'a> |rows: &'a [f64], gammas: &'a [f32], means: &'a [f64], inverse: &'a [f64], out: &'a mut [f64], first: bool, second: bool| -> () {
            let d = means.len();
            let width = d * (usize::from(first) + usize::from(second));
            for ((row, &gamma), out) in rows.chunks_exact(d).zip(gammas).zip(out.chunks_exact_mut(width)) {
                let gamma = f64::from(gamma);
                let (locations, scales) = out.split_at_mut(if first { d } else { 0 });
                if first {
                    for j in 0..d {
                        let apart = row[j] - means[j];
                        let sign = if apart == 0.0 { 0.0 } else { 1f64.copysign(apart) };
                        locations[j] = gamma * sign * inverse[j];
                    }
                }
                if second {
                    for j in 0..d {
                        let apart = (row[j] - means[j]).abs();
                        scales[j] = gamma * (apart * inverse[j] - 1.0) * inverse[j];
                    }
                }
            }
        });
    }

    fn information(&self, component: usize, _: u8, out: &mut [f64]) {
        let d = self.locations.ncols();
        let weight = self.weight(component);
        let inverse = &self.inverse_scales[component * d..][..d];
        out.iter_mut().zip(inverse).for_each(|(out, inverse)| *out = weight * inverse * inverse);
    }

    fn draw_row(&self, component: usize, stream: &mut Stream, row: &mut [f32]) {
        let of_component =
            self.locations.row(component).into_iter().zip(self.scales.row(component));
        for (value, (&location, &scale)) in row.iter_mut().zip(of_component) {
            let size = -f64::from(scale) * (1.0 - stream.unit()).ln();
            let side = if stream.unit() < 0.5 { -1.0 } else { 1.0 };
            *value = (f64::from(location) + side * size) as f32;
        }
    }
}
