//! What the benches work on: synthetic photographs of 500 × 375 pixels, their descriptors, and models
//! fitted to them, so that posteriors are as concentrated as on real images.

#![allow(dead_code, reason = "each bench uses its share")]

use std::path::Path;

use fvtool::artifacts::write_atomically;
use fvtool::config::Config;
use fvtool::dataset::synthetic::{Generator, Synthetic};
use fvtool::describer::Describer;
use fvtool::descriptors::{Extractor, Scratch};
use fvtool::gmm::{self, Gmm};
use fvtool::image::load_luminance;
use fvtool::position::Position;
use fvtool::progress::Silent;
use fvtool::projection::{Covariance, Projection};
use fvtool::random::Seed;
use ndarray::{Array2, Axis, concatenate};

/// Dimensions after the projection.
pub const DIM: usize = 80;
/// Components of the mixture.
pub const COMPONENTS: usize = 256;
/// Images drawn.
const IMAGES: usize = 4;

/// Preset `chatfield` without regions.
pub fn config() -> Config {
    let whole = ["encoding.regions=[\"1x1\"]".to_owned()];
    Config::named("chatfield").unwrap().with_overrides(&whole).unwrap()
}

/// JPEG files in `folder`; their names.
pub fn photographs(folder: &Path) -> Vec<std::path::PathBuf> {
    photographs_of(folder, 500, 375, IMAGES)
}

/// JPEG files of the given size, at most 320.
pub fn photographs_of(
    folder: &Path,
    width_px: u32,
    height_px: u32,
    count: usize,
) -> Vec<std::path::PathBuf> {
    let params = Synthetic { width_px, height_px, ..Synthetic::default() };
    let generator = Generator::new(&params, Seed(1)).unwrap();
    (0..count)
        .map(|i| {
            let path = folder.join(format!("{i}.jpg"));
            let jpeg = generator.jpeg(i);
            write_atomically(&path, |file| file.write_all(&jpeg)).unwrap();
            path
        })
        .collect()
}

/// The descriptors of the photographs, about 70,000 rows of 128 for each.
pub fn descriptors(files: &[std::path::PathBuf]) -> Array2<f32> {
    let config = config();
    let extractor = Extractor::new(&config.descriptors).unwrap();
    let mut scratch = Scratch::default();
    let all: Vec<Array2<f32>> = files
        .iter()
        .map(|file| {
            let plane = load_luminance(file, &config.image).unwrap();
            extractor.extract(&plane, &mut scratch).rows
        })
        .collect();
    let views: Vec<_> = all.iter().map(|rows| rows.view()).collect();
    concatenate(Axis(0), &views).unwrap()
}

/// The projection of `rows` to 80 dimensions.
pub fn projection(rows: &Array2<f32>) -> Projection {
    let mut covariance = Covariance::new(rows.row(0));
    covariance.add(rows.view(), &Silent).unwrap();
    Projection::fit(&covariance, &config().pca, &Silent).unwrap()
}

/// `rows` projected.
pub fn project(projection: &Projection, rows: &Array2<f32>) -> Array2<f32> {
    let mut out = Array2::zeros((rows.nrows(), projection.output_dim()));
    let positions = vec![Position::at(0.5, 0.5); rows.nrows()];
    let values = out.as_slice_mut().unwrap();
    projection.apply(rows.view(), &positions, &mut Vec::new(), values).unwrap();
    out
}

/// A mixture of 256 components fitted to every eighth of the projected rows.
pub fn mixture(projected: &Array2<f32>) -> Gmm {
    let every_eighth: Vec<usize> = (0..projected.nrows()).step_by(8).collect();
    let rows = projected.select(Axis(0), &every_eighth);
    let params = gmm::Params {
        components: COMPONENTS,
        kmeans_iterations: 5,
        max_iterations: 5,
        ..gmm::Params::default()
    };
    gmm::fit(rows.view(), &params, Seed(1), &Silent).unwrap().gmm
}

/// The describer of the preset with these models.
pub fn describer(projection: Projection, gmm: &Gmm) -> Describer {
    Describer::from_models(&config(), vec![(projection, gmm.clone())]).unwrap()
}
