//! The models of a channel, fitted to photos in memory.
//!
//! ```text
//! photos ─ sample (R × D_raw, R ≈ sample.rows) ─ PCA ─ R × D ─ mixture
//! ```
//!
//! A run over files of the same pixels in the same order fits the same models, to the bit.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::given_models::GivenModels;
use super::looked::Looked;
use super::photos::{Photos, numbered};
use super::sampler::{Drawn, Sampler, sampled_images};
use super::seen::Seen;
use crate::config::Config;
use crate::descriptors::Scratch;
use crate::error::{Error, Result};
use crate::generative::{self, Model};
use crate::gmm::Gmm;
use crate::image::Photo;
use crate::position::Position;
use crate::progress::Progress;
use crate::projection::{Covariance, Projection};

/// The models of a pooled vector of so many values, which nothing is fitted to: a projection that changes
/// nothing, and one normal component of mean 0 and variance 1. A Fisher vector of the first order under
/// them is the mean of an image's rows:
///
/// ```text
/// u = 1/(N √1) Σ_n 1 · (x_n − 0)/1
/// ```
///
/// # Errors
/// [`Error::Numerical`] without a value.
pub fn pooled_models(dimension: usize) -> Result<(Projection, Model)> {
    let (means, variances) = (Array2::zeros((1, dimension)), Array2::ones((1, dimension)));
    let gmm = Gmm::new(vec![1.0], means, variances)?;
    Ok((Projection::identity(dimension)?, gmm.into()))
}

/// The projection and the mixture of a channel with this configuration, fitted to photos.
///
/// # Errors
/// As [`Networks::resolved`](super::Networks::resolved), for descriptors of a network;
/// [`Error::InMemory`] or [`Error::Image`] when no photo gives a descriptor, and for descriptors of kind
/// `files`; as [`Projection::fit`] and [`generative::fit`].
pub fn fit_models(
    config: &Config,
    photos: &[Photo],
    progress: &dyn Progress,
) -> Result<(Projection, Model)> {
    fit_models_of(config, &photos, progress)
}

/// As [`fit_models`], of photos that need not be in memory: only those that descriptors are drawn from are
/// looked at.
///
/// # Errors
/// As [`fit_models`] and [`Photos::photo`].
pub fn fit_models_of(
    config: &Config,
    photos: &dyn Photos,
    progress: &dyn Progress,
) -> Result<(Projection, Model)> {
    let seen = Arc::new(Seen::default());
    let config = &seen.networks().resolved(config)?;
    if config.descriptors.kind.is_one_vector() {
        return pooled_models(config.descriptors.dimension);
    }
    if config.layer.reads() {
        let GivenModels { projection, mixture, .. } = GivenModels::open(config)?;
        return Ok((projection, mixture.into()));
    }
    let range =
        "false where models are fitted to photos without labels: `fvtool fit-layer` learns them";
    Error::require(!config.layer.joint, "layer.joint", true, range)?;
    let chosen = sampled_images(config, photos.len());
    let sampler = Sampler::new(config, chosen.len(), &seen)?;
    progress.begin("extract", chosen.len() as u64, "images");
    let draw = |scratch: &mut Scratch, (number, &chosen): (usize, &usize)| {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let photo = photos.photo(chosen).map_err(|error| numbered(error, chosen))?;
        let drawn = sampler.draw(&Looked::at(&photo), None, number, scratch);
        progress.advance(1);
        drawn.map_err(|error| numbered(error, chosen))
    };
    let drawn: Result<Vec<Drawn>> =
        chosen.par_iter().enumerate().map_init(Scratch::default, draw).collect();
    progress.end();
    let drawn = drawn?;
    let positions: Vec<Position> = drawn.iter().flat_map(|d| d.positions.iter().copied()).collect();
    let values: Vec<f32> = drawn.into_iter().flat_map(|d| d.rows).collect();
    if values.is_empty() {
        let Some(&first) = chosen.first() else {
            return Err(Error::InMemory { problem: "there is none to fit models to".to_owned() });
        };
        let (photo, extractor) = (photos.photo(first)?, sampler.extractor());
        return Err(sampler.source().without_descriptors(&photo, None, extractor));
    }
    let rows = ArrayView2::from_shape((positions.len(), sampler.extractor().dim()), &values)
        .expect("one position a row");
    let mut covariance = Covariance::new(rows.row(0));
    covariance.add(rows, progress)?;
    let projection = Projection::fit(&covariance, &config.pca, progress)?;
    let projected = projection.project(rows, &positions)?;
    let fit = generative::fit(projected.view(), &config.gmm, config.seed, progress)?;
    Ok((projection, fit.model))
}
