//! The models of a channel, fitted to photos in memory.
//!
//! ```text
//! photos ─ sample (R × D_raw, R ≈ sample.rows) ─ PCA ─ R × D ─ mixture
//! ```
//!
//! Which images and rows are drawn depends on the seed, and on the number of an image in the list. A run
//! over files of the same pixels in the same order fits the same models, to the bit.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::seen::Seen;
use super::source::Source;
use crate::config::Config;
use crate::descriptors::{Descriptors, Extractor, Frame, Scratch, sample};
use crate::error::{Error, Result};
use crate::gmm::{self, Gmm};
use crate::image::Photo;
use crate::position::Position;
use crate::progress::Progress;
use crate::projection::{Covariance, Projection};

/// Numbers of the images that descriptors are drawn from, of `images` in a list: all, or `sample.images`
/// of them, chosen by the seed, ascending.
pub fn sampled_images(config: &Config, images: usize) -> Vec<usize> {
    match config.sample.images {
        most if most == 0 || images <= most => (0..images).collect(),
        most => config.seed.stream("sampled images", 0).sample(images, most),
    }
}

/// The projection and the mixture of a channel with this configuration, fitted to photos.
///
/// # Errors
/// [`Error::InMemory`] or [`Error::Image`] when no photo gives a descriptor, and for descriptors of kind
/// `files`; as [`Projection::fit`] and [`gmm::fit`].
pub fn fit_models(
    config: &Config,
    photos: &[Photo],
    progress: &dyn Progress,
) -> Result<(Projection, Gmm)> {
    let source = Source::new(config, &std::sync::Arc::new(Seen::default()));
    let extractor = Extractor::new(&config.descriptors)?;
    let chosen = sampled_images(config, photos.len());
    let quota = sample::quota(config.sample.rows, chosen.len());
    progress.begin("extract", chosen.len() as u64, "images");
    let draw = |scratch: &mut Scratch, (number, &chosen): (usize, &usize)| {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let (picture, _) = source.picture(&photos[chosen], None)?;
        let Descriptors { rows, frames } =
            sample::draw(&extractor, &picture, quota, config.seed, number as u64, scratch);
        progress.advance(1);
        Ok((rows, Frame::positions(&frames, picture.width, picture.height)))
    };
    let drawn: Result<Vec<(Array2<f32>, Vec<Position>)>> =
        chosen.par_iter().enumerate().map_init(Scratch::default, draw).collect();
    progress.end();
    let drawn = drawn?;
    let positions: Vec<Position> =
        drawn.iter().flat_map(|(_, positions)| positions.clone()).collect();
    let values: Vec<f32> = drawn.into_iter().flat_map(|(rows, _)| rows).collect();
    let shape = (positions.len(), extractor.dim());
    let rows = ArrayView2::from_shape(shape, &values).expect("one position a row");
    if rows.is_empty() {
        let first = chosen.first().map(|&first| &photos[first]);
        return Err(first.map_or_else(
            || Error::InMemory { problem: "there is none to fit models to".to_owned() },
            |first| source.without_descriptors(first, None, &extractor),
        ));
    }
    let mut covariance = Covariance::new(rows.row(0));
    covariance.add(rows, progress)?;
    let projection = Projection::fit(&covariance, &config.pca, progress)?;
    let mut projected = vec![0.0; rows.nrows() * projection.output_dim()];
    projection.apply(rows, &positions, &mut Vec::new(), &mut projected)?;
    let projected = ArrayView2::from_shape((rows.nrows(), projection.output_dim()), &projected)
        .expect("as many values as rows and dimensions");
    let fit = gmm::fit(projected, &config.gmm, config.seed, progress)?;
    Ok((projection, fit.gmm))
}
