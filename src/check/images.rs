//! What the pixels of each image say by themselves: copies, blank and tiny images, files that cannot be used.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::dataset::Split;
use crate::describer::Reader;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Standard deviation of the luminance, of 255, below which an image is blank.
const BLANK: f64 = 2.0;
/// Shorter side below which an image is tiny, in pixels.
const TINY: usize = 32;

/// An image of a split, as its pixels are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Hash of size and pixels; equal for equal pictures in different files.
    pub hash: blake3::Hash,
    /// Standard deviation of the luminance, from 0 to 255.
    pub deviation: f64,
    /// Shorter side in the file, in pixels.
    pub side: usize,
}

impl Facts {
    pub(super) fn is_blank(&self) -> bool {
        self.deviation < BLANK
    }

    pub(super) fn is_tiny(&self) -> bool {
        self.side < TINY
    }
}

/// Looks at every image of the splits, an entry for each; why one cannot be used, in words. An image that
/// stands in several splits under one path is decoded once.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn look(
    splits: &[Split],
    reader: &Reader,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Result<Facts, String>>>> {
    let mut paths = BTreeMap::new();
    for item in splits.iter().flat_map(|split| &split.items) {
        paths.entry(&item.path).or_insert(item);
    }
    progress.begin("check", paths.len() as u64, "images");
    let facts = |(path, item): (&&std::path::PathBuf, &&crate::dataset::Item)| {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let facts = reader.read(item).map_err(|error| error.to_string()).map(|photo| {
            let rgb = photo.rgb(reader.params());
            let mut hasher = blake3::Hasher::new();
            hasher.update(&rgb.width().to_le_bytes()).update(&rgb.height().to_le_bytes());
            hasher.update(rgb.as_raw());
            let luminance = rgb.pixels().map(|pixel| {
                let [r, g, b] = pixel.0.map(f64::from);
                0.299 * r + 0.587 * g + 0.114 * b
            });
            let (mut count, mut sum, mut squares) = (0.0f64, 0.0, 0.0);
            for value in luminance {
                count += 1.0;
                sum += value;
                squares += value * value;
            }
            let mean = sum / count.max(1.0);
            let deviation = (squares / count.max(1.0) - mean * mean).max(0.0).sqrt();
            let [width, height] = photo.size_in_file();
            Facts { hash: hasher.finalize(), deviation, side: width.min(height) }
        });
        progress.advance(1);
        Ok(((*path).clone(), facts))
    };
    let found = paths.par_iter().map(facts).collect::<Result<BTreeMap<_, _>>>();
    progress.end();
    let found = found?;
    let of_split = |split: &Split| {
        split.items.iter().map(|item| found[&item.path].clone()).collect::<Vec<_>>()
    };
    Ok(splits.iter().map(of_split).collect())
}
