//! An image file in one call: what is read of a [`Photo`] that is used once.

use std::path::Path;

use ::image::RgbImage;

use super::colours::Colours;
use super::decode::Remarks;
use super::params::Params;
use super::photo::Photo;
use super::plane::Plane;
use crate::Result;

/// An image as it is described.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The planes asked for.
    pub planes: Vec<Plane>,
    /// Width and height of the upright image in its file, in whose pixels annotations are written.
    pub size_in_file: [usize; 2],
    /// What should be said of the file.
    pub remarks: Remarks,
}

/// Reads an image file as luminance: decoded, turned upright, scaled and smoothed as
/// `params` say.
///
/// # Errors
/// As [`Photo::open`].
pub fn load_luminance(path: &Path, params: &Params) -> Result<Plane> {
    Ok(load(path, params, Colours::Luminance)?.planes.remove(0))
}

/// As [`load_luminance`], in the planes asked for, and what else is known of the file.
///
/// # Errors
/// As [`Photo::open`].
pub fn load(path: &Path, params: &Params, colours: Colours) -> Result<Loaded> {
    let photo = Photo::open(path, params)?;
    let planes = photo.planes(params, colours);
    Ok(Loaded { planes, size_in_file: photo.size_in_file(), remarks: photo.remarks() })
}

/// Reads an image file in colour, for pictures shown to people: upright and of the same size as
/// [`load_luminance`] gives, never smoothed.
///
/// # Errors
/// As [`Photo::open`].
pub fn load_rgb(path: &Path, params: &Params) -> Result<RgbImage> {
    Ok(Photo::open(path, params)?.rgb(params))
}
