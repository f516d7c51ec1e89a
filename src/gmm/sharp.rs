//! Sharp components: narrow for their distance from the mixture's centre, and evaluated one by one.
//!
//! The product of [`super::posteriors`] takes `(y − μ')²/σ'²` apart into terms that are each about
//! `μ'²/σ'²` where the component lies. Of a component of black borders or of clear sky, a hundredth
//! of a standard deviation wide, they are 10⁴ in each of 80 dimensions, and what is left of their sum
//! has no right digit in f32. So, for a component with
//!
//! ```text
//! Σ_d μ'²_d/σ'²_d > min(MOST_CANCELLED, D · MOST_CANCELLED_EACH)
//! ```
//!
//! the product is left out, and `Σ_d z_d²`, `z = (x − μ)/σ`, is summed as it stands. Rows further away
//! than any posterior reaches are given up after a few dimensions.

use ndarray::Array2;
use pulp::Simd;

use crate::linalg::{EXP_UNDERFLOW, LANES};
use crate::widest;

/// Largest `Σ_d μ'²_d/σ'²_d` of a component that the product evaluates. Its terms are rounded to about
/// 1e-7 of that sum, and so are logarithms of densities. Of 32 components of photographs in 48
/// dimensions one in ten has more than 96; that of their flat regions has 48,000.
const MOST_CANCELLED: f64 = 512.0;

/// The same for each dimension of a mixture of few: their roundings have nothing to even out with, and
/// one by one costs little there.
const MOST_CANCELLED_EACH: f64 = 32.0;

/// Largest `1/σ'`: more would make `0 · ∞` of a row at the mean.
const LARGEST_INVERSE: f64 = 1e30;

/// The sharp components of a mixture.
#[derive(Debug, Clone)]
pub(super) struct Sharp {
    components: Vec<usize>,
    /// `μ_d / s_d` and `1/σ'_d`, components × `D`.
    scaled_means: Vec<f32>,
    inverse_sigmas: Vec<f32>,
    /// `ln w − ½ Σ_d ln 2πσ²_d`, of densities of `x`.
    constants: Vec<f64>,
}

impl Sharp {
    /// Those of a mixture in standardised coordinates.
    pub fn new(
        weights: &[f64],
        scaled_means: &Array2<f32>,
        means: &Array2<f64>,
        variances: &Array2<f64>,
        log_jacobian: f64,
    ) -> Self {
        let cancelled = |k: usize| -> f64 {
            means.row(k).iter().zip(variances.row(k)).map(|(m, v)| m * m / v).sum()
        };
        let most = MOST_CANCELLED.min(MOST_CANCELLED_EACH * means.ncols() as f64);
        let components: Vec<usize> = (0..weights.len()).filter(|&k| cancelled(k) > most).collect();
        let inverse = |v: &f64| v.sqrt().recip().min(LARGEST_INVERSE) as f32;
        let constant = |&k: &usize| {
            let logs = variances.row(k).into_iter().map(|v| (std::f64::consts::TAU * v).ln());
            weights[k].ln() - 0.5 * logs.sum::<f64>() + log_jacobian
        };
        Self {
            scaled_means: components.iter().flat_map(|&k| scaled_means.row(k).to_vec()).collect(),
            inverse_sigmas: components
                .iter()
                .flat_map(|&k| variances.row(k).iter().map(inverse).collect::<Vec<f32>>())
                .collect(),
            constants: components.iter().map(constant).collect(),
            components,
        }
    }

    /// Their places in the mixture, ascending.
    pub fn components(&self) -> &[usize] {
        &self.components
    }

    /// Joins these components to the others: `posteriors` (rows × `K`) and `ln p(x)` per row are those
    /// without them. `squares` is a buffer.
    pub fn join(
        &self,
        rows: &[f32],
        inverse_scale: &[f32],
        squares: &mut Vec<f32>,
        posteriors: &mut [f32],
        log_likelihood: &mut [f64],
    ) {
        let count = self.components.len();
        squares.resize(log_likelihood.len() * count, 0.0);
        self.sum_squares(rows, inverse_scale, log_likelihood, squares);
        let k = posteriors.len() / log_likelihood.len().max(1);
        for ((squares, gammas), others) in
            squares.chunks_exact(count).zip(posteriors.chunks_exact_mut(k)).zip(log_likelihood)
        {
            if squares.iter().all(|&square| square == f32::INFINITY) {
                continue;
            }
            let log = |(constant, &square): (&f64, &f32)| constant - 0.5 * f64::from(square);
            let logs = || self.constants.iter().zip(squares).map(log);
            let best = logs().fold(*others, f64::max);
            let sum = (*others - best).exp() + logs().map(|log| (log - best).exp()).sum::<f64>();
            let all = best + sum.ln();
            let share = posterior(*others - all);
            gammas.iter_mut().for_each(|gamma| *gamma *= share);
            for (&component, log) in self.components.iter().zip(logs()) {
                gammas[component] = posterior(log - all);
            }
            *others = all;
        }
    }

    /// `Σ_d z_d²` of every row under every component; `∞` where that leaves no posterior beside the
    /// others, whose `ln p(x)` is given.
    fn sum_squares(
        &self,
        rows: &[f32],
        inverse_scale: &[f32],
        others: &[f64],
        squares: &mut [f32],
    ) {
        let Self { scaled_means, inverse_sigmas, constants, .. } = self;
        let (means, sigmas, constants) = (&scaled_means[..], &inverse_sigmas[..], &constants[..]);
        widest!(<'a> simd: S, |rows: &'a [f32], inverse_scale: &'a [f32], means: &'a [f32], sigmas: &'a [f32], constants: &'a [f64], others: &'a [f64], squares: &'a mut [f32]| -> () {
            let d = inverse_scale.len();
            let of_rows = rows.chunks_exact(d).zip(others);
            for ((row, others), squares) in of_rows.zip(squares.chunks_exact_mut(constants.len())) {
                let components = means.chunks_exact(d).zip(sigmas.chunks_exact(d)).zip(constants);
                for (((means, sigmas), constant), square) in components.zip(squares) {
                    let most = 2.0 * (constant - others - f64::from(EXP_UNDERFLOW));
                    *square = sum_of_squares(simd, row, inverse_scale, means, sigmas, most as f32);
                }
            }
        });
    }
}

/// `eˣ` for what is left of a logarithm, 0 where the product's softmax gives 0.
fn posterior(log: f64) -> f32 {
    if log < f64::from(EXP_UNDERFLOW) { 0.0 } else { log.exp() as f32 }
}

/// `Σ ((x/s − μ/s)/σ')²`, or `∞` where that is more than `most`.
#[inline(always)]
fn sum_of_squares<S: Simd>(
    simd: S,
    row: &[f32],
    scale: &[f32],
    means: &[f32],
    sigmas: &[f32],
    most: f32,
) -> f32 {
    let mut sum = 0.0f32;
    let d = row.len();
    let whole = d / LANES * LANES;
    let mut start = 0;
    while start < whole {
        let end = start + LANES;
        let row = S::as_simd_f32s(&row[start..end]).0;
        let scale = S::as_simd_f32s(&scale[start..end]).0;
        let means = S::as_simd_f32s(&means[start..end]).0;
        let sigmas = S::as_simd_f32s(&sigmas[start..end]).0;
        let mut squares = simd.splat_f32s(0.0);
        for v in 0..row.len() {
            let apart = simd.mul_add_e_f32s(row[v], scale[v], simd.neg_f32s(means[v]));
            let z = simd.mul_f32s(apart, sigmas[v]);
            squares = simd.mul_add_e_f32s(z, z, squares);
        }
        sum += simd.reduce_sum_f32s(squares);
        if sum > most {
            return f32::INFINITY;
        }
        start = end;
    }
    for j in whole..d {
        let z = row[j].mul_add(scale[j], -means[j]) * sigmas[j];
        sum += z * z;
    }
    // A row beyond f32 is as far as f32 says, and not nowhere.
    let sum = if sum == f32::INFINITY { f32::MAX } else { sum };
    if sum > most { f32::INFINITY } else { sum }
}
