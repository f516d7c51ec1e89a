//! Fisher vector of the descriptors of one image under a diagonal Gaussian mixture.
//!
//! For `N` descriptors `x_n`, components `k` with weight `w_k`, mean `μ_k`, variance `σ²_k`,
//! posteriors `γ_nk` and `z_nk = (x_n − μ_k) / σ_k`:
//!
//! ```text
//! g_k = 1/(N √w_k)    Σ_n (γ_nk − w_k)          order 0
//! u_k = 1/(N √w_k)    Σ_n γ_nk z_nk             order 1
//! v_k = 1/(N √(2w_k)) Σ_n γ_nk (z_nk² − 1)      order 2
//! ```
//!
//! [`Layout`] says where these values stand in the vector: regions one after the other, in each a block
//! for every order asked for. Normalisation is a list of steps per region and a list over the whole
//! vector ([`normalise`]).
//! Source: PSM10, SPMV13 in `docs/REFERENCES.md`.

mod basis;
pub mod contributions;
mod encoder;
#[cfg(test)]
mod family_tests;
mod fisher;
mod layout;
pub mod memory;
pub mod normalise;
mod params;
mod real;
mod rectangle;
pub mod spatial;

use ndarray::ArrayView2;

pub use encoder::{Encoder, Workspace};
pub use layout::{Layout, Place};
pub use params::{AssignmentKind, Divisor, Params, Scaling, Storage};
pub use real::Real;
pub use rectangle::Rectangle;

use crate::error::Result;
use crate::gmm::Gmm;
use crate::position::Position;

/// Encodes one image's descriptors as an unnormalised Fisher vector of orders 1 and 2, keeping
/// every posterior.
///
/// `descriptors` is `N × D`, already projected. Returns `2·K·D` values
/// in the order of [`Layout`]; all zero when `N` is 0.
///
/// # Errors
/// [`crate::Error::Shape`] when `D` is not the mixture's dimension, [`crate::Error::Numerical`] on a NaN or an
/// infinity.
///
/// ```
/// use fvtool::{encoding, gmm::Gmm};
/// use ndarray::array;
/// let gmm = Gmm::new(vec![1.0], array![[0.0, 0.0]], array![[1.0, 4.0]])?;
/// let fv = encoding::encode(&gmm, array![[1.0_f32, 2.0]].view())?;
/// // One σ away in both dimensions: z = 1, z² − 1 = 0.
/// assert!(fv.iter().zip([1.0, 1.0, 0.0, 0.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
/// # Ok::<(), fvtool::Error>(())
/// ```
pub fn encode(gmm: &Gmm, descriptors: ArrayView2<'_, f32>) -> Result<Vec<f32>> {
    let params = Params {
        posterior_threshold: 0.0,
        region_steps: Vec::new(),
        vector_steps: Vec::new(),
        ..Params::default()
    };
    encode_with(gmm, descriptors, &params)
}

/// Encodes one image's descriptors, all at the image's centre, with the given settings.
///
/// # Errors
/// As [`encode`], and [`crate::Error::Setting`] when a setting is out of range.
pub fn encode_with(
    gmm: &Gmm,
    descriptors: ArrayView2<'_, f32>,
    params: &Params,
) -> Result<Vec<f32>> {
    let encoder = Encoder::new(gmm, params)?;
    let mut workspace = Workspace::default();
    encoder.begin(&mut workspace);
    encoder.push(
        descriptors,
        &vec![Position::at(0.5, 0.5); descriptors.nrows()],
        &mut workspace,
    )?;
    encoder.finish(&mut workspace)
}
