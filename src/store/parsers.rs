//! What reads the files of a run folder, on their contents alone, for the fuzz targets in `fuzz/`.

use std::path::Path;

use ndarray::Array2;

use super::figures::figures_of;
use super::index::Listing;
use super::source::Source;
use super::stored::{mixture_of, model_of, projection_of};
use crate::Result;
use crate::artifacts::Artifact;
use crate::encoding::{self, Encoder};
use crate::evaluation::Report;
use crate::position::Position;

/// Reads an artifact, and uses it, as every stage that takes one of its kind would; how many values its
/// results have.
///
/// # Errors
/// As the commands that read it.
pub fn stored(path: &Path) -> Result<usize> {
    let artifact = Artifact::open(path)?;
    artifact.verify()?;
    match artifact.header().kind.as_str() {
        "pca" => {
            let projection = projection_of(&artifact)?;
            let row = Array2::zeros((1, projection.input_dim()));
            let mut out = vec![0.0; projection.output_dim()];
            projection.apply(row.view(), &[Position::at(0.5, 0.5)], &mut Vec::new(), &mut out)?;
            Ok(out.len())
        }
        "gmm" => {
            Ok(Encoder::of_model(&mixture_of(&artifact)?, &encoding::Params::default())?.len())
        }
        "svm" => {
            let model = model_of(&artifact)?;
            let scores = model.score(&vec![0.0; model.dim()])?;
            Ok(model.probabilities(&scores).len())
        }
        _ => Ok(artifact.tensors().len()),
    }
}

/// Reads a `source.json`; the name of the split.
///
/// # Errors
/// [`crate::Error::Artifact`] for what is none.
pub fn source(text: &str) -> Result<String> {
    Ok(Source::parse(Path::new("/run/source.json"), text)?.split)
}

/// Reads an `index.json`; how many images it lists.
///
/// # Errors
/// [`crate::Error::Artifact`] for a changed one, or one that contradicts itself.
pub fn index(text: &str) -> Result<usize> {
    Ok(Listing::parse(Path::new("index.json"), text)?.images)
}

/// Reads the figures of `eval/<split>.json`; nothing for a text that is damaged.
pub fn figures(text: &str) -> Option<Report> {
    figures_of(Path::new("figures.json"), text).map(|figures| figures.report)
}
