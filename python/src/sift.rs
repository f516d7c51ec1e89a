//! Dense SIFT of one image.

use fvtool::describer::Photos;
use fvtool::descriptors::{Extractor, Frame, Scratch};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{of_matrix, of_values};
use crate::busy::busy;
use crate::errors::{argument, of_library};
use crate::images::Images;
use crate::settings::of_group;

type Both<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>);

/// Descriptors of an image at its own size: dense SIFT, or another kind that needs no file.
///
/// `image` is H×W or H×W×3 (uint8, or floats from 0 to 1), a path, or an image of Pillow; `settings` are
/// those of the group `descriptors` (`step_px=4`, `bin_sizes_px=[4, 6]`, …). Returns `(frames,
/// descriptors)`: N×4 floats (column and row of the centre in pixels, contrast, width of a bin in pixels) and
/// N×128 floats.
#[pyfunction]
#[pyo3(signature = (image, **settings))]
pub fn dense_sift<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Both<'py>> {
    let config = of_group("descriptors", settings)?;
    if config.descriptors.kind.is_given() || config.descriptors.kind.is_of_network() {
        return Err(argument("kind", "descriptors of files and networks need a FisherVectorizer"));
    }
    let extractor = Extractor::new(&config.descriptors).map_err(of_library)?;
    let images = Images::one(image, &config.image)?;
    let described = busy(py, None, |_| {
        let planes = images.photo(0)?.planes(&config.image, extractor.colours());
        Ok(extractor.extract(&planes, &mut Scratch::default()))
    })?;
    let frames: Vec<f32> = described.frames.iter().flat_map(Frame::values).collect();
    let frames = of_values(py, frames, [described.frames.len(), 4])?;
    Ok((frames, of_matrix(py, described.rows)?))
}
