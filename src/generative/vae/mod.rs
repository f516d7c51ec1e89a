//! A variational autoencoder of descriptors, and the Fisher score of its decoder's last layer.
//!
//! ```text
//! z ~ N(0, I), q values      p(x | z) = N(x; W h(z) + b, diag s²)      h: H units after a ReLU
//! q(z | x) = N(z; m(x), diag e^{l(x)})                                 the encoder
//! ```
//!
//! `ln p(x)` has no closed form; its place takes the decoder's part of the lower bound, at the posterior's
//! mean `ẑ = m(x)`:
//!
//! ```text
//! ln p(x | ẑ) = −½ Σ_d ( (x − W h − b)_d²/s_d² + ln 2π s_d² )      r = (x − W h(ẑ) − b) / s²
//! ∂/∂W_dj = r_d h_j        ∂/∂b_d = r_d
//! ```
//!
//! Units take the place of components: the vector has `D` values for each of the `H` units and, as one unit
//! more whose `h` is 1, for the bias. At the fit the mean of these columns is not 0, since `ẑ` is a point and not
//! the posterior; it is measured on the training rows and taken off, and so is the information, the variance
//! of each column. A unit that is always 0 says nothing. Rows are centred and divided by one scale before
//! all this, so that the start of the training does not depend on their unit.
//!
//! Encoder `D-256-256-(m, l)`, decoder `q-256-H-D`, ReLU between. Source: the idea is Tor19's, the score QYM17's; KW14 for the autoencoder
//! (`docs/REFERENCES.md`).

pub mod network;
pub mod train;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::parts::{Parts, Sums};
use super::scratch::Scratch;
use super::traits::{Components, Generative};
use crate::error::{Error, Result};
use crate::gmm::{Assignment, Family};
use crate::linalg::{BLOCK_ROWS, multiply_add};
use crate::random::Stream;
use network::{Network, Sizes};

/// A trained autoencoder with what its score is compared with.
#[derive(Debug, Clone)]
pub struct Vae {
    centre: Vec<f32>,
    scale: f32,
    parameters: Vec<f32>,
    network: Network,
    /// Mean and variance of every column over the training rows, `(H + 1) × D` each.
    expectation: Array2<f32>,
    information: Array2<f32>,
}

impl Vae {
    /// An autoencoder of these sizes: rows are `(x − centre)/scale`, `parameters` as [`Network`] lays them
    /// out, `expectation` and `information` of the columns (`(H + 1) × D`).
    ///
    /// # Errors
    /// [`Error::Shape`] when the sizes disagree, [`Error::Numerical`] when a value is not finite, or the scale
    /// or a variance not positive.
    pub fn new(
        sizes: Sizes,
        centre: Vec<f32>,
        scale: f32,
        parameters: Vec<f32>,
        expectation: Array2<f32>,
        information: Array2<f32>,
    ) -> Result<Self> {
        let (rows, dim) = (sizes.hidden + 1, sizes.dim);
        for (what, expected, got) in [
            ("centre of an autoencoder", dim, centre.len()),
            ("parameters of an autoencoder", sizes.len(), parameters.len()),
            ("expectation of an autoencoder's score (units)", rows, expectation.nrows()),
            ("expectation of an autoencoder's score (values)", dim, expectation.ncols()),
            ("information of an autoencoder's score (units)", rows, information.nrows()),
            ("information of an autoencoder's score (values)", dim, information.ncols()),
        ] {
            if expected != got {
                return Err(Error::Shape { what, expected, got });
            }
        }
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let valid = finite(&centre)
            && finite(&parameters)
            && scale.is_finite()
            && scale > 0.0
            && expectation.iter().all(|value| value.is_finite())
            && information.iter().all(|value| value.is_finite() && *value >= 0.0);
        if !valid {
            let problem = "its values must be finite, its scale and information positive".into();
            return Err(Error::Numerical { what: "autoencoder", problem });
        }
        let network = Network::of(sizes, parameters.iter().copied().map(f64::from).collect());
        Ok(Self { centre, scale, parameters, network, expectation, information })
    }

    /// Its sizes.
    pub fn sizes(&self) -> Sizes {
        self.network.sizes()
    }

    /// What rows are taken off, `D` values.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// What rows are divided by.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The same where it lies, for those that keep it.
    pub fn scale_ref(&self) -> &f32 {
        &self.scale
    }

    /// Values of all layers, as [`Network`] lays them out.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Mean of every column over the training rows, `(H + 1) × D`.
    pub fn expectation(&self) -> ArrayView2<'_, f32> {
        self.expectation.view()
    }

    /// Variance of every column over the training rows, `(H + 1) × D`.
    pub fn information(&self) -> ArrayView2<'_, f32> {
        self.information.view()
    }

    /// Centres and scales rows in place.
    fn standardise(&self, rows: &mut [f64]) {
        let inverse = f64::from(self.scale).recip();
        for row in rows.chunks_exact_mut(self.centre.len()) {
            row.iter_mut()
                .zip(&self.centre)
                .for_each(|(x, &centre)| *x = (*x - f64::from(centre)) * inverse);
        }
    }
}

impl Generative for Vae {
    fn parts(&self) -> Parts {
        let Sizes { dim, code, hidden } = self.sizes();
        Parts { family: Family::Vae, components: hidden + 1, dim, factors: code }
    }

    fn add(
        &self,
        rows: ArrayView2<'_, f32>,
        orders: &[u8],
        _: Assignment,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) -> Result<()> {
        debug_assert_eq!(orders, [1], "orders of an autoencoder");
        let Sizes { dim, hidden, .. } = self.sizes();
        for block in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
            scratch.take(Generative::parts(self), block)?;
            let Scratch { rows, products, .. } = scratch;
            self.standardise(rows);
            let n = block.nrows();
            let [units, residuals] = self.network.score(rows, products);
            let units = ArrayView2::from_shape((n, hidden + 1), units).expect("units of a block");
            let residuals = ArrayView2::from_shape((n, dim), residuals).expect("rows of a block");
            let to = ArrayViewMut2::from_shape((hidden + 1, dim), &mut sums.values[..]);
            multiply_add(to.expect("sums of the only part"), units.t(), residuals);
            sums.rows += n as u64;
        }
        Ok(())
    }

    fn moments(&self, order: u8) -> Vec<[f64; 2]> {
        if order != 1 {
            return Vec::new();
        }
        let both = self.expectation.iter().zip(&self.information);
        both.map(|(&expected, &information)| [expected, information].map(f64::from)).collect()
    }

    fn draw(&self, count: usize, stream: &mut Stream) -> Array2<f32> {
        let code = self.sizes().code;
        let codes: Vec<f64> = (0..count * code).map(|_| stream.normal()).collect();
        let (means, deviations) = self.network.decode(&codes);
        let dim = self.centre.len();
        Array2::from_shape_fn((count, dim), |(row, j)| {
            let value = means[row * dim + j] + deviations[j] * stream.normal();
            (f64::from(self.centre[j]) + f64::from(self.scale) * value) as f32
        })
    }

    fn components(&self) -> Option<&dyn Components> {
        None
    }
}

impl Vae {
    /// The sum over rows of `ln p(x | ẑ)` of their standardised values: what the score is the gradient of.
    #[cfg(test)]
    pub(crate) fn decoder_log_density(&self, rows: ArrayView2<'_, f32>) -> Result<f64> {
        let mut scratch = Scratch::default();
        scratch.take(Generative::parts(self), rows)?;
        self.standardise(&mut scratch.rows);
        let [_, residuals] = self.network.score(&scratch.rows, &mut scratch.products);
        let each = residuals.chunks_exact(self.centre.len()).flat_map(|row| {
            // (x − o)²/s² = r² s².
            let squares = row.iter().zip(self.network.log_deviations());
            squares.map(|(r, log)| -0.5 * (r * log.exp()).powi(2) - log)
        });
        Ok(each.sum::<f64>())
    }

    /// Adds the squares of the columns of a block of rows: a square of a product is a product of squares.
    fn add_squares(
        &self,
        block: ArrayView2<'_, f32>,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) -> Result<()> {
        let Sizes { dim, hidden, .. } = self.sizes();
        scratch.take(Generative::parts(self), block)?;
        let Scratch { rows, products, .. } = scratch;
        self.standardise(rows);
        let n = block.nrows();
        let squares = |values: &[f64]| values.iter().map(|v| v * v).collect::<Vec<f64>>();
        let [units, residuals] = self.network.score(rows, products).map(squares);
        let units = ArrayView2::from_shape((n, hidden + 1), &units).expect("units of a block");
        let residuals = ArrayView2::from_shape((n, dim), &residuals).expect("rows of a block");
        let to = ArrayViewMut2::from_shape((hidden + 1, dim), &mut sums.values[..]);
        multiply_add(to.expect("sums of the only part"), units.t(), residuals);
        sums.rows += n as u64;
        Ok(())
    }
}
