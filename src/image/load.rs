//! An image file in one call: what is read of a [`Photo`] that is used once.

use std::path::Path;

use ::image::RgbImage;

use super::decode::{Check, Remarks};
use super::photo::Photo;
use super::{Colours, Params, Plane};
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
    load_if(path, params, colours, &|_| Ok(()))
}

/// As [`load`], of a file whose bytes `check` lets pass: a file may change between two readings.
///
/// # Errors
/// As [`Photo::open_if`].
pub fn load_if(path: &Path, params: &Params, colours: Colours, check: Check<'_>) -> Result<Loaded> {
    let photo = Photo::open_if(path, params, check)?;
    let planes = photo.planes(params, colours);
    Ok(Loaded { planes, size_in_file: photo.size_in_file(), remarks: photo.remarks() })
}

/// Reads an image file in colour, for pictures shown to people: upright and of the same size as
/// [`load_luminance`] gives, never smoothed.
///
/// # Errors
/// As [`Photo::open`].
pub fn load_rgb(path: &Path, params: &Params) -> Result<RgbImage> {
    load_rgb_if(path, params, &|_| Ok(()))
}

/// As [`load_rgb`], of a file whose bytes `check` lets pass.
///
/// # Errors
/// As [`Photo::open_if`].
pub fn load_rgb_if(path: &Path, params: &Params, check: Check<'_>) -> Result<RgbImage> {
    Ok(Photo::open_if(path, params, check)?.rgb(params))
}
